"""What worker processes tell the run, beside their results: errors, and that they are done.

One pipe for each worker, because a record that is cut short by a death must not spoil those of others. A
record is a length and a pickle. The reader never blocks: it takes what is there and keeps incomplete records
until the rest comes, or never does.
"""

from __future__ import annotations

import os
import pickle
import struct
import traceback
from typing import Any, NamedTuple

from pypeln.errors import RemoteError
from pypeln.run.private_fds import close_private

LENGTH = struct.Struct("<Q")


class Failure(NamedTuple):
    """An error in a worker.

    Attributes:
        error: It, or a RemoteError when it cannot be pickled.
        index: element_index of the element it happened at; None outside of elements.
        traceback: The worker's traceback, formatted.
    """

    error: BaseException
    index: tuple[int, ...] | None  # type: ignore[assignment]  # hides tuple.index, which nobody needs here
    traceback: str


class Finished(NamedTuple):
    """The worker has done all it had to do."""


Report = Failure | Finished


class Traceback(Exception):
    """Carries the traceback of a worker as the cause of the error that it raised there."""

    def __str__(self) -> str:
        return f'\n"""\n{self.args[0]}"""'


class ReportWriter:
    """The worker's end.

    Args:
        fd: Descriptor of the pipe.
    """

    def __init__(self, fd: int) -> None:
        self._fd = fd

    def failure(self, error: BaseException, index: tuple[int, ...] | None) -> None:
        """Report an error, with its attributes if they can be pickled."""
        text = "".join(traceback.format_exception(type(error), error, error.__traceback__))
        self._send(pickle_failure(error, index, text))

    def finished(self) -> None:
        """Report that all is done."""
        self._send(pickle.dumps(("finished",)))

    def _send(self, record: bytes) -> None:
        data = LENGTH.pack(len(record)) + record
        while data:
            data = data[os.write(self._fd, data) :]


def pickle_failure(error: BaseException, index: tuple[int, ...] | None, text: str) -> bytes:
    """A failure as a record.

    Exceptions are rebuilt by calling their type with their args, which fails for types with another
    signature. So the attributes travel beside the object, and whether it can be rebuilt is tried here, where
    the original is.
    """
    notes = list(getattr(error, "__notes__", ()))
    for attempt in (_pickle_whole, _pickle_parts):
        try:
            rebuilt = attempt(error)
            record = pickle.dumps(("failure", rebuilt, notes, index, text))
            if type(_rebuild(rebuilt)) is type(error):
                return record
        except Exception:  # whatever pickling a stranger's exception raises
            continue
    name = f"{type(error).__module__}.{type(error).__qualname__}".removeprefix("builtins.")
    try:
        message = str(error)
    except Exception as problem:  # a stranger's __str__
        message = f"<its __str__ raised {type(problem).__name__}>"
    return pickle.dumps(("failure", ("remote", name, message, text), notes, index, text))


def _pickle_whole(error: BaseException) -> tuple[Any, ...]:
    return "whole", _dumps(error)


def _pickle_parts(error: BaseException) -> tuple[Any, ...]:
    return "parts", _dumps(type(error)), _dumps(error.args), _dumps(error.__dict__)


def _dumps(value: Any) -> bytes:
    """Pickle what belongs to `__main__` or a notebook by value, so that spawned and forked workers agree."""
    try:
        return pickle.dumps(value)
    except Exception:  # pickle raises many types for "cannot"
        import cloudpickle

        data: bytes = cloudpickle.dumps(value)
        return data


def _rebuild(recipe: tuple[Any, ...]) -> BaseException:
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


def _read(record: bytes) -> Report:
    kind, *rest = pickle.loads(record)
    if kind == "finished":
        return Finished()
    recipe, notes, index, text = rest
    try:
        error = _rebuild(recipe)
    except Exception as problem:  # its class may not be importable here
        what = f"{type(problem).__name__}: {problem}"
        error = RemoteError("an error that could not be read here", what, text)
    error.__notes__ = notes  # type: ignore[attr-defined]
    return Failure(error, index, text)


class ReportReader:
    """The run's end.

    Args:
        fd: Descriptor of the pipe.
    """

    def __init__(self, fd: int) -> None:
        self.fd = fd
        self._data = bytearray()
        os.set_blocking(fd, False)

    def read(self) -> tuple[list[Report], bool]:
        """What has arrived, and whether nothing more can."""
        ended = False
        while True:
            try:
                data = os.read(self.fd, 1 << 16)
            except BlockingIOError:
                break
            if not data:
                ended = True
                break
            self._data += data
        reports = []
        while len(self._data) >= LENGTH.size:
            (length,) = LENGTH.unpack_from(self._data)
            if len(self._data) < LENGTH.size + length:
                break
            reports.append(_read(bytes(self._data[LENGTH.size : LENGTH.size + length])))
            del self._data[: LENGTH.size + length]
        return reports, ended

    def close(self) -> None:
        """Free the descriptor."""
        close_private(self.fd)
