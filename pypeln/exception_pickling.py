"""Exceptions on their way between processes: with type and attributes if that can be done, else as text.

Exceptions are rebuilt by calling their type with their args, which fails for types with another signature. So
the attributes travel beside the object, and whether it can be rebuilt is tried where the original is.
"""

from __future__ import annotations

import sys
from typing import Any

from pypeln.errors import RemoteError

# What `pack` makes and `unpack` reads: a tuple of strings and bytes that any pickle can take along.
Packed = tuple[Any, ...]


def traceback_text(error: BaseException) -> str:
    """The error as Python would print it, with its traceback, causes and notes."""
    import traceback

    text = "".join(traceback.format_exception(type(error), error, error.__traceback__))
    if sys.version_info < (3, 11):  # where Python prints no notes
        text += "".join(f"{note}\n" for note in getattr(error, "__notes__", ()))
    return text


def pack(error: BaseException, text: str) -> Packed:
    """An exception in a form that can always be pickled.

    Args:
        error: Any exception.
        text: Its traceback, for when nothing else of it can travel.

    Returns:
        What `unpack` takes.
    """
    notes = list(getattr(error, "__notes__", ()))
    for attempt in (_pack_whole, _pack_parts):
        try:
            packed = attempt(error)
            if type(_rebuilt(packed)) is type(error):
                return notes, *packed
        except Exception:  # whatever pickling a stranger's exception raises
            continue
    name = f"{type(error).__module__}.{type(error).__qualname__}".removeprefix("builtins.")
    try:
        message = str(error)
    except Exception as problem:  # a stranger's __str__
        message = f"<its __str__ raised {type(problem).__name__}>"
    return notes, "remote", name, message, text


def unpack(packed: Packed, text: str) -> BaseException:
    """The exception that `pack` was given, or a `RemoteError` that tells what is known of it.

    Args:
        packed: What `pack` returned.
        text: Its traceback, for a RemoteError.
    """
    notes, *recipe = packed
    try:
        error = _rebuilt(tuple(recipe))
    except Exception as problem:  # its class may not be importable here
        what = f"{type(problem).__name__}: {problem}"
        error = RemoteError("an error that could not be read here", what, text)
    error.__notes__ = notes  # type: ignore[attr-defined,unused-ignore]
    return error


def _pack_whole(error: BaseException) -> Packed:
    return "whole", _dumps(error)


def _pack_parts(error: BaseException) -> Packed:
    return "parts", _dumps(type(error)), _dumps(error.args), _dumps(error.__dict__)


def _dumps(value: Any) -> bytes:
    """Pickle what belongs to `__main__` or a notebook by value, so that spawned and forked workers agree."""
    import pickle

    try:
        return pickle.dumps(value)
    except Exception:  # pickle raises many types for "cannot"
        from pypeln import by_value

        return by_value.dumps(value)


def _rebuilt(recipe: Packed) -> BaseException:
    import pickle

    kind, *parts = recipe
    if kind == "whole":
        error = pickle.loads(parts[0])
    elif kind == "parts":
        cls = pickle.loads(parts[0])
        error = cls.__new__(cls)
        error.args = pickle.loads(parts[1])
        error.__dict__.update(pickle.loads(parts[2]))
    else:
        error = RemoteError(*parts)
    if not isinstance(error, BaseException):
        raise TypeError(f"not an exception: {error!r}")
    return error
