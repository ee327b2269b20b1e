"""Proof of death: a descriptor that becomes readable when a process has ended, because the system says so.

The sentinel that multiprocessing has is a pipe where processes are forked, and a grandchild that inherits its
other end keeps it open. Linux has pidfds for it and macOS kqueues. On Windows the sentinel is the process's
handle, which is proof enough.
"""

from __future__ import annotations

import os
import select
import sys
from multiprocessing.process import BaseProcess

from pypeln.run.private_fds import close_private, own_privately


class Death:
    """The end of one process, to be waited for.

    Args:
        process: It; started, and not yet reaped by this process.

    Raises:
        OSError: There are no descriptors left.
    """

    def __init__(self, process: BaseProcess) -> None:
        assert process.pid is not None
        self._sentinel = process.sentinel
        self._own_fd = -1
        if sys.platform == "linux" and hasattr(os, "pidfd_open"):
            try:
                self._own_fd = own_privately(os.pidfd_open(process.pid))
            except ProcessLookupError:
                pass  # it has come and gone; the sentinel tells
        elif sys.platform == "darwin":
            self._queue = _exit_queue(process.pid)
            if self._queue is None:
                self._own_fd = own_privately(_readable())

    @property
    def fd(self) -> int:
        """Readable when the process has ended."""
        if sys.platform == "darwin" and self._queue is not None:
            return self._queue.fileno()
        return self._own_fd if self._own_fd >= 0 else self._sentinel

    def close(self) -> None:
        """Free what it takes. Idempotent."""
        if sys.platform == "darwin" and self._queue is not None:
            self._queue.close()
        if self._own_fd >= 0:
            close_private(self._own_fd)
            self._own_fd = -1


if sys.platform == "darwin":

    def _exit_queue(pid: int) -> select.kqueue | None:
        """A kqueue with an event for the end of a process; None when that has come already.

        Forked processes do not inherit a kqueue, so that it needs no `own_privately`.
        """
        queue = select.kqueue()
        event = select.kevent(pid, select.KQ_FILTER_PROC, select.KQ_EV_ADD, select.KQ_NOTE_EXIT)
        try:
            queue.control([event], 0)
        except ProcessLookupError:
            queue.close()
            return None
        except BaseException:
            queue.close()
            raise
        return queue

    def _readable() -> int:
        """A descriptor that is at its end."""
        reading, writing = os.pipe()
        os.close(writing)
        return reading
