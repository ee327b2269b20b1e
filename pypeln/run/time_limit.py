"""A time limit for functions that run in the consumer's own thread.

A thread of its own waits for the limit to pass and then interrupts the function (pypeln._core.guard), which
it notices when it runs Python code again: a call that blocks in C is not interrupted.
"""

from __future__ import annotations

import threading
import time
from types import TracebackType

from pypeln._core.guard import Guard, Interrupted


class TimeLimits:
    """The limits of one run: `with limits(seconds): f(x)` raises TimeoutError when f takes longer."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._due: float | None = None
        self._closed = False
        self._guard: Guard | None = None
        self._thread: threading.Thread | None = None
        self._seconds = 0.0
        self.expired = False

    def __call__(self, seconds: float) -> TimeLimits:
        self._seconds = seconds
        return self

    def __enter__(self) -> None:
        if self._guard is None or self._guard.ident != threading.get_ident():
            self._guard = Guard()
        if self._thread is None:
            self._thread = threading.Thread(target=self._watch, name="pypeln time limit", daemon=True)
            self._thread.start()
        self.expired = False
        with self._changed:
            self._due = time.monotonic() + self._seconds
            self._changed.notify()
        self._guard.enter()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        assert self._guard is not None
        self.expired = self._guard.leave()
        with self._changed:
            self._due = None
        if self.expired and (kind is None or kind is Interrupted):
            raise TimeoutError(f"took longer than {self._seconds} s")

    def close(self) -> None:
        """End the waiting thread."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        if self._thread is not None:
            self._thread.join()

    def _watch(self) -> None:
        with self._changed:
            while not self._closed:
                due = self._due
                if due is None:
                    self._changed.wait()
                elif due > time.monotonic():
                    self._changed.wait(due - time.monotonic())
                else:
                    self._due = None
                    assert self._guard is not None
                    # Not while `__exit__` waits for the lock: then the guard says that nothing runs.
                    self._guard.fire("timeout")
