"""Validation of what a stage is built from, at the call that builds it.

Each check returns the value in the form the rest of pypeln uses. `call` is the call as the user wrote it,
`pr.map`.
"""

from __future__ import annotations

import functools
import math
import operator
from collections.abc import AsyncIterable, Callable, Iterable
from typing import Any, Final

_ASYNC_FLAGS = 0x0080 | 0x0200  # inspect.CO_COROUTINE and CO_ASYNC_GENERATOR, without the import of inspect


class Undefined:
    """The type of `UNDEFINED`: an argument that was left out, where None would be a value."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "<undefined>"


UNDEFINED: Final[Any] = Undefined()


def checked_workers(call: str, workers: object, least: int) -> int:
    """The number of workers, at least `least`.

    Raises:
        TypeError: It is not an integer.
        ValueError: It is too small.
    """
    number = _integer(call, "workers", workers)
    if number < least:
        meaning = "; 0 means as many as there are elements" if least == 0 else ""
        raise ValueError(f"{call}: workers must be at least {least}{meaning}, got {number}")
    return number


def checked_batch_size(call: str, n: object) -> int:
    """The number of elements of a batch.

    Raises:
        TypeError: It is not an integer.
        ValueError: It is less than 1.
    """
    if hasattr(type(n), "__iter__"):
        raise TypeError(f"{call}: n must be an integer, got {_described(n)}; write {call}(32, stage)")
    number = _integer(call, "n", n)
    if number < 1:
        raise ValueError(f"{call}: n must be at least 1, the number of elements of a batch, got {number}")
    return number


def checked_maxsize(call: str, maxsize: object) -> int:
    """The bound of a queue in elements.

    Raises:
        TypeError: It is not an integer.
        ValueError: It is negative.
    """
    number = _integer(call, "maxsize", maxsize)
    if number < 0:
        raise ValueError(
            f"{call}: maxsize must be a number of elements, or 0 for up to 8192, as is fast, got {number}"
        )
    return number


def checked_seconds(call: str, argument: str, value: Any, meaning_of_0: str) -> float:
    """A span of time, such as the seconds that `f` may take for one element.

    Args:
        meaning_of_0: For the message.

    Raises:
        TypeError: It is not a real number.
        ValueError: It is negative, infinite or not a number.
    """
    kind = type(value)
    if isinstance(value, bool) or not (hasattr(kind, "__float__") or hasattr(kind, "__index__")):
        raise TypeError(
            f"{call}: {argument} must be a number of seconds, or 0 for {meaning_of_0}, "
            f"got {_described(value)}"
        )
    seconds = float(value)
    if not math.isfinite(seconds) or seconds < 0:
        raise ValueError(
            f"{call}: {argument} must be a finite number of seconds, at least 0 (0 for {meaning_of_0}), "
            f"got {value!r}"
        )
    return seconds


def checked_retries(call: str, retries: object) -> int | None:
    """How often a failed element is tried again; None for the default.

    Raises:
        TypeError: It is not an integer.
        ValueError: It is negative.
    """
    if retries is None:
        return None
    number = _integer(call, "retries", retries)
    if number < 0:
        raise ValueError(f"{call}: retries must be at least 0, got {number}")
    return number


def checked_choice(call: str, argument: str, value: Any, choices: tuple[str, ...]) -> str:
    """One of a few words.

    Raises:
        TypeError: It is no string.
        ValueError: It is none of them.
    """
    words = " or ".join(map(repr, choices))
    if not isinstance(value, str):
        raise TypeError(f"{call}: {argument} must be {words}, got {_described(value)}")
    if value not in choices:
        raise ValueError(f"{call}: {argument} must be {words}, got {value!r}")
    return value


def checked_on_error(call: str, on_error: Any) -> str | Callable[[Exception, Any], Any] | None:
    """What to do about errors: a word, a function of error and element, or None.

    Raises:
        TypeError: It is something else.
        ValueError: It is another word.
    """
    if on_error is None or callable(on_error):
        return on_error  # type: ignore[no-any-return]
    if not isinstance(on_error, str):
        raise TypeError(
            f"{call}: on_error must be 'raise', 'skip', 'collect', a function of (error, element) or None, "
            f"got {_described(on_error)}"
        )
    return checked_choice(call, "on_error", on_error, ("raise", "skip", "collect"))


def checked_function(call: str, argument: str, function: Any) -> Callable[..., Any]:
    """A callable.

    Raises:
        TypeError: It cannot be called.
    """
    if not callable(function):
        raise TypeError(f"{call}: {argument} must be callable, got {_described(function)}")
    return function  # type: ignore[no-any-return]


def check_not_async(call: str, function: Any, argument: str = "f") -> None:
    """Refuses an async function where nothing awaits: its coroutine would never run, and count as true.

    Raises:
        TypeError: It is an async function or an async generator function.
    """
    while isinstance(function, functools.partial):
        function = function.func
    code = getattr(function, "__code__", None) or getattr(type(function).__call__, "__code__", None)
    flags = getattr(code, "co_flags", 0)
    if isinstance(flags, int) and flags & _ASYNC_FLAGS:  # a proxy has any attribute, of any type
        raise TypeError(
            f"{call}: {argument} is async, and only tasks can await it; use io.{call.rpartition('.')[2]}"
        )


def checked_callback(call: str, argument: str, callback: Any) -> Callable[..., Any] | None:
    """A callable or None.

    Raises:
        TypeError: It is neither.
    """
    if callback is None:
        return None
    if not callable(callback):
        raise TypeError(f"{call}: {argument} must be callable or None, got {_described(callback)}")
    return callback  # type: ignore[no-any-return]


def checked_flag(call: str, argument: str, flag: object) -> bool:
    """True or False.

    Raises:
        TypeError: It is anything else.
    """
    if not isinstance(flag, bool):
        raise TypeError(f"{call}: {argument} must be True or False, got {_described(flag)}")
    return flag


def checked_source(
    call: str, argument: str, source: Any, accepts_async: bool
) -> Iterable[Any] | AsyncIterable[Any]:
    """Something to iterate. It is only looked at: `iter()` may already do work, which belongs to the run.

    Raises:
        TypeError: It cannot be iterated, or only with `async for` where workers cannot do that.
    """
    kind = type(source)
    if hasattr(kind, "__iter__") or hasattr(kind, "__getitem__"):
        return source  # type: ignore[no-any-return]
    if hasattr(kind, "__aiter__"):
        if accepts_async:
            return source  # type: ignore[no-any-return]
        raise TypeError(
            f"{call}: {argument} is an async iterable ({kind.__name__}), which only tasks can iterate; "
            "pass it through io.from_iterable first"
        )
    wanted = "a stage, an iterable or an async iterable" if accepts_async else "a stage or an iterable"
    hint = "; pass workers by keyword: workers=..." if isinstance(source, int) else ""
    raise TypeError(f"{call}: {argument} must be {wanted}, got {_described(source)}{hint}")


def _integer(call: str, argument: str, value: Any) -> int:
    if isinstance(value, bool):
        raise TypeError(f"{call}: {argument} must be an integer, got {value!r}")
    try:
        return operator.index(value)
    except TypeError:
        raise TypeError(f"{call}: {argument} must be an integer, got {_described(value)}") from None


def _described(value: object) -> str:
    """The value with its type, short enough for one line of a message."""
    text = repr(value)
    if len(text) > 60:
        text = text[:57] + "..."
    return f"{text} ({type(value).__name__})"
