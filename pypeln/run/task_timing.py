"""Time in an event loop: whose turn it is, and when `f` has used up what an element may take."""

from __future__ import annotations

import asyncio
import sys
from time import perf_counter


class TimedOut(Exception):
    """`f` did not return in time for the element in hand. Never leaves this module."""


class Turn:
    """Whose turn it is on the loop. Shared by all workers of a host."""

    __slots__ = ("owner", "until")

    def __init__(self) -> None:
        self.owner: object = None
        self.until = 0.0

    def is_over(self, owner: object, quantum_s: float) -> bool:
        """Whether the owner has had the loop for its quantum. If somebody else ran since, it begins anew."""
        if self.owner is owner:
            return perf_counter() >= self.until
        self.owner = owner
        self.until = perf_counter() + quantum_s
        return False

    async def give_way(self, owner: object, quantum_s: float) -> None:
        """Let everybody else run, then begin a new turn."""
        await asyncio.sleep(0)
        self.owner = owner
        self.until = perf_counter() + quantum_s


class Deadline:
    """Cancels the worker when `f` has used up its time for an element. Waiting for room does not count.

    Like `asyncio.timeout`, which Python 3.10 lacks, and which can neither be paused nor used again.
    """

    __slots__ = ("_handle", "_left_s", "_loop", "_resumed_at", "_seconds", "_task", "expired")

    def __init__(self, seconds: float) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._task = task
        self._loop = asyncio.get_running_loop()
        self._seconds = seconds
        self._handle: asyncio.TimerHandle | None = None
        self._left_s = seconds
        self._resumed_at = 0.0
        self.expired = False

    def start(self) -> None:
        self.expired = False
        self._left_s = self._seconds
        self.resume()

    def pause(self) -> None:
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None
            self._left_s -= self._loop.time() - self._resumed_at

    def resume(self) -> None:
        if not self.expired:
            self._resumed_at = self._loop.time()
            self._handle = self._loop.call_later(max(self._left_s, 0.0), self._expire)

    def stop(self) -> None:
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None
        if self.expired and sys.version_info >= (3, 11):
            # Or `asyncio.timeout` inside a later f would take our cancellation for another's.
            self._task.uncancel()

    def _expire(self) -> None:
        self._handle = None
        self.expired = True
        self._task.cancel()
