"""What a stage of the demo did, as counted by the stage's own function."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator


class StageFigures:
    """The figures of one stage; any thread of the main process may add to them.

    Attributes:
        taken: Elements that went in.
        emitted: Elements that came out.
        seconds_in_f: Time inside the stage's function, summed over its workers.
    """

    def __init__(self, name: str, kind: str, workers: int) -> None:
        self.name = name
        self.kind = kind
        self.workers = workers
        self.taken = 0
        self.emitted = 0
        self.seconds_in_f = 0.0
        self._begin = float("inf")
        self._end = float("-inf")
        self._lock = threading.Lock()

    def record(self, begin: float, end: float, emitted: int = 1) -> None:
        """Add one element.

        Args:
            begin: When the function was called, in seconds on `time.perf_counter()`; all processes share it.
            end: When it returned.
            emitted: How many elements it sent on.
        """
        with self._lock:
            self.taken += 1
            self.emitted += emitted
            self.seconds_in_f += end - begin
            self._begin = min(self._begin, begin)
            self._end = max(self._end, end)

    @contextlib.contextmanager
    def element(self) -> Iterator[None]:
        """Record the `with` block as one element taken and one emitted."""
        begin = time.perf_counter()
        yield
        self.record(begin, time.perf_counter())

    @property
    def seconds(self) -> float:
        """From the beginning of the first element to the end of the last, 0 when there was none."""
        return max(0.0, self._end - self._begin)

    @property
    def rate(self) -> float:
        """Elements taken per second, 0 when there is no time to divide by."""
        return self.taken / self.seconds if self.seconds else 0.0
