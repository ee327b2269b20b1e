"""`th.IterableQueue`: between threads of a process."""

from __future__ import annotations

import threading
from typing import TypeVar

from pypeln._core.local import PARTS
from pypeln.transport.bells import Bell, ring_all
from pypeln.transport.in_process import InProcessQueue
from pypeln.transport.iterable_queue import UNBOUNDED, IterableQueue

T = TypeVar("T")


class ThreadQueue(IterableQueue[T, InProcessQueue]):
    """A queue between threads that pipelines can have as a source: put from any thread, close, iterate.

    Arguments:
        maxsize: Elements it may hold, exactly, at most 16,777,216; 0 for no bound of yours (it then holds a
            million).
        total_sources: How many will close it.

    Example:
        >>> from pypeln import th
        >>> queue = th.IterableQueue()
        >>> for n in range(3):
        ...     queue.put(n)
        >>> queue.close()
        >>> list(th.map(lambda n: n * 2, queue))
        [0, 2, 4]
    """

    def __init__(self, maxsize: int = 0, total_sources: int = 1) -> None:
        super().__init__(maxsize, total_sources)
        self._queue = InProcessQueue(maxsize, total_sources, *self._bells(), slots=UNBOUNDED // PARTS)
        self._lock = threading.Lock()
        self._closed = 0

    def close(self) -> None:
        """One source is done. From any thread. See the class for what follows."""
        with self._lock:
            if self._closed < self.total_sources:
                self._closed += 1
                self._queue.ring.close_for(self._closed - 1)
                ring_all(self._queue.consumer_bell)

    def _bells(self) -> tuple[Bell | None, Bell | None]:
        """Those of the consumer and of the producer, if they are event loops."""
        return None, None
