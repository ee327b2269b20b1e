"""Writes the stacks of this process when the thread that watches it cannot: something keeps the GIL.

`faulthandler` has one timer for a process, and its thread needs no GIL. It does not survive a fork, and a
copy that cancels the timer would wait for that thread for ever: so the timer rests while somebody forks.
"""

from __future__ import annotations

import faulthandler
import os
import threading
import time

_lock = threading.Lock()
_armed = False


class GilSwitch:
    """Goes off unless it is postponed in time. A process has one at most.

    Args:
        seconds: How long without a call of `postpone`.
        fd: Where the stacks are written.
    """

    def __init__(self, seconds: float, fd: int) -> None:
        self._seconds = seconds
        self._fd = fd
        self._armed_at = 0.0

    def postpone(self) -> None:
        """The GIL can be had, or this would not run."""
        global _armed
        now = time.monotonic()
        if _armed and now - self._armed_at < self._seconds / 8:  # each time costs a thread
            return
        with _lock:
            faulthandler.dump_traceback_later(self._seconds, file=self._fd)
            self._armed_at = now
            _armed = True

    def release(self) -> None:
        """It goes off no more."""
        with _lock:
            _disarm()


def _disarm() -> None:
    global _armed
    if _armed:
        faulthandler.cancel_dump_traceback_later()
        _armed = False


def _before_fork() -> None:
    _lock.acquire()
    _disarm()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before_fork, after_in_parent=_lock.release, after_in_child=_lock.release)
