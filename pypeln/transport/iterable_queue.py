"""`IterableQueue`: a queue for users, to push elements into a pipeline from wherever they come.

The same rings as between stages. What is here the queues of all kinds have in common: `ThreadQueue` passes
references between threads of a process, `ProcessQueue` encodes elements into memory that processes share,
`TaskQueue` has coroutines at its ends.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from pypeln._core.local import LocalRing
from pypeln._core.memory import CorruptMemory
from pypeln._core.queue import EMPTY, InPort, OutPort
from pypeln._core.shared import ElementTooLarge, SharedRing
from pypeln._core.user_queue import Elements, UserQueue
from pypeln.errors import EncodeError

if TYPE_CHECKING:
    from pypeln.transport.in_process import InProcessQueue
    from pypeln.transport.shared_memory import SharedQueue

T = TypeVar("T")
Q = TypeVar("Q", bound="InProcessQueue | SharedQueue")

# Elements with maxsize=0. Between stages 8192 do, because somebody always takes; into these queues a program
# may put all that it has before anybody does. Address space until they are used.
UNBOUNDED = 1 << 20

# The largest maxsize of a queue between threads: its slots take 2 GiB once they have all been used.
MOST_ELEMENTS = 1 << 24
# Nobody closes a queue this often; each close has a word of its own.
MOST_SOURCES = 1 << 16

# How often a waiting consumer looks whether somebody died with a slot in hand, or its run was aborted.
LOOK_S = 0.1


class IterableQueue(UserQueue[T], Generic[T, Q]):
    """What the queues of all kinds share: closing by as many as there are sources, waiting, errors."""

    most_elements = MOST_ELEMENTS
    _queue: Q

    def __init__(self, maxsize: int, total_sources: int) -> None:
        _check("maxsize", maxsize, 0, self.most_elements)
        _check("total_sources", total_sources, 1, MOST_SOURCES)
        self.maxsize = maxsize
        self.total_sources = total_sources

    def close(self) -> None:
        """One source is done: no put of it is under way, and none will follow.

        When as many as `total_sources` have closed, iteration ends after what is left.
        """
        raise NotImplementedError

    def worker_done(self) -> None:
        """The name that pypeln 0.4.9 had for `close`."""
        self.close()

    def is_done(self) -> bool:
        """Whether it is closed and empty."""
        return self._is_closed() and self.empty()

    def qsize(self) -> int:
        """How many elements wait, more or less: others may be putting and taking."""
        return self._ring().count

    def empty(self) -> bool:
        """Whether nothing waits, more or less: others may be putting and taking."""
        return self.qsize() == 0

    def full(self) -> bool:
        """Whether `maxsize` elements wait, more or less; without a `maxsize` never."""
        return 0 < self.maxsize <= self.qsize()

    def _feed_run(self, aborted: Callable[[], bool]) -> tuple[Iterator[T], Callable[[], None]]:
        """For a run whose source this queue is: an iterator that ends with the run, and what wakes it."""
        return Elements(self, aborted), self._ring().wake_all

    def _take(self, timeout: float | None, aborted: Callable[[], bool]) -> Any:
        """EMPTY when there is nothing in time or the run is aborted, CLOSED when no more comes."""
        port = self._own_inlet()
        left = timeout
        while True:
            value = port.take(LOOK_S if left is None else min(left, LOOK_S))
            if value is not EMPTY or aborted():
                return value
            self._look_around()
            if left is not None:
                left -= LOOK_S
                if left <= 0:
                    return EMPTY

    def _refuse(self, error: Exception) -> None:
        """Say what is wrong with an element, if that is what the error is about."""
        if isinstance(error, ElementTooLarge):
            raise EncodeError(f"the queue cannot hold this element: {error}") from error
        if not isinstance(error, (MemoryError, CorruptMemory)):
            raise EncodeError(
                f"the queue cannot send this element to another process: {type(error).__name__}: {error}. "
                "Put something that pickle can handle, or use th.IterableQueue if only threads need it"
            ) from error

    def _check_open(self) -> None:
        if self._is_closed():
            raise ValueError("the queue is closed: every source has said that it is done")

    def _look_around(self) -> None:
        """Something may be wrong: nothing came for a while."""

    def _is_closed(self) -> bool:
        return self._ring().closed

    def _ring(self) -> LocalRing | SharedRing:
        return self._queue.ring

    def _owner(self) -> int:
        """The number in the ring of who uses it here."""
        return 1

    def _open_inlet(self) -> InPort:
        return self._queue.inlet(self._owner())

    def _open_outlet(self) -> OutPort:
        return self._queue.outlet(self._owner(), 0)


def _check(name: str, value: Any, least: int, most: int) -> None:
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError(f"IterableQueue: {name} is a whole number, not {type(value).__name__}")
    if value < least:
        raise ValueError(f"IterableQueue: {name} is at least {least}, not {value}")
    if value > most:
        raise ValueError(f"IterableQueue: {name} is at most {most}, not {value}")
