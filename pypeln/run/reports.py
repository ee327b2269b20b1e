"""What worker processes tell the run, beside their results: errors, and that they are done.

One pipe for each worker, because a record that is cut short by a death must not spoil those of others. A
record is a length and a pickle. The reader never blocks: it takes what is there and keeps incomplete records
until the rest comes, or never does.
"""

from __future__ import annotations

import os
import pickle
import struct
import sys
from typing import NamedTuple

from pypeln.exception_pickling import pack, traceback_text, unpack
from pypeln.run.private_fds import close_private

LENGTH = struct.Struct("<Q")


class ErrorReport(NamedTuple):
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


Report = ErrorReport | Finished


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
        text = traceback_text(error)
        self._send(pickle.dumps(("failure", pack(error, text), index, text)))

    def finished(self) -> None:
        """Report that all is done."""
        self._send(pickle.dumps(("finished",)))

    def _send(self, record: bytes) -> None:
        data = LENGTH.pack(len(record)) + record
        while data:
            data = data[os.write(self._fd, data) :]


def _read(record: bytes) -> Report:
    kind, *rest = pickle.loads(record)
    if kind == "finished":
        return Finished()
    packed, index, text = rest
    return ErrorReport(unpack(packed, text), index, text)


class ReportReader:
    """The run's end.

    Args:
        fd: Descriptor of the pipe.
    """

    def __init__(self, fd: int) -> None:
        self.fd = fd
        self._data = bytearray()
        if sys.platform == "win32":
            raise AssertionError("refused before")
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
