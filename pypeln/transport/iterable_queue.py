"""`IterableQueue`: a queue for users, to push elements into a pipeline from wherever they come.

The same rings as between stages. What is here the queues of all kinds have in common: `ThreadQueue` passes
references between threads of a process, `ProcessQueue` encodes elements into memory that processes share,
`TaskQueue` has coroutines at its ends.
"""

from __future__ import annotations

import os
import queue
import threading
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from pypeln._core.local import LocalRing
from pypeln._core.memory import CorruptMemory, RunAborted
from pypeln._core.queue import CLOSED, EMPTY, InPort, OutPort
from pypeln._core.shared import ElementTooLarge, SharedRing
from pypeln.errors import EncodeError

if TYPE_CHECKING:
    from pypeln.transport.in_process import InProcessQueue
    from pypeln.transport.shared_memory import SharedQueue

T = TypeVar("T")
Q = TypeVar("Q", bound="InProcessQueue | SharedQueue")

INDEX = (0,)  # elements of these queues come from nowhere in particular

# Places with maxsize=0. Between stages 8192 do, because somebody always takes; into these queues a program
# may put all that it has before anybody does. Address space until they are used.
UNBOUNDED = 1 << 20

# The largest maxsize of a queue between threads: its slots take 2 GiB once they have all been used.
MOST_ELEMENTS = 1 << 24
# Nobody closes a queue this often; each close has a word of its own.
MOST_SOURCES = 1 << 16

CLOSED_MESSAGE = "the queue is closed: every source has said that it is done"

# How often a waiting consumer looks whether somebody died with a slot in hand, or its run was aborted.
LOOK_S = 0.1


# How many forks lie between the first process and this one. To ask the system who it is takes longer than to
# put an element.
_generation = 0


def _count_fork() -> None:
    global _generation
    _generation += 1


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_count_fork)


class IterableQueue(Generic[T, Q]):
    """What the queues of all kinds share: ports of each thread, closing by as many as there are sources."""

    most_elements = MOST_ELEMENTS
    _queue: Q

    def __init__(self, maxsize: int, total_sources: int) -> None:
        _check("maxsize", maxsize, 0, self.most_elements)
        _check("total_sources", total_sources, 1, MOST_SOURCES)
        self.maxsize = maxsize
        self.total_sources = total_sources
        self._ports = threading.local()

    def put(self, value: T, block: bool = True, timeout: float | None = None) -> None:
        """Put an element, waiting for room. The arguments are those of `queue.Queue.put`.

        Arguments:
            value: The element.
            block: False for not to wait.
            timeout: Seconds to wait at most; None for as long as it takes.

        Raises:
            ValueError: The queue is closed.
            queue.Full: There was no room for `timeout` seconds.
            EncodeError: The element cannot be sent to another process.
        """
        if self._put_at_once(value):
            return
        if not block:
            raise queue.Full
        # It can be encoded. What is raised now comes of the waiting, from a signal handler for one.
        port = self._out_port()
        try:
            if timeout is None:
                port.put(value, INDEX)
            elif not port.put_within(value, INDEX, timeout):
                raise queue.Full
        except RunAborted:
            raise ValueError("the queue is closed") from None

    def put_nowait(self, value: T) -> None:
        """Put an element if there is room.

        Raises:
            ValueError: The queue is closed.
            queue.Full: There is no room.
            EncodeError: The element cannot be sent to another process.
        """
        if not self._put_at_once(value):
            raise queue.Full

    def get(self, block: bool = True, timeout: float | None = None) -> T:
        """The next element, in the order of the puts of each source.

        The arguments are those of `queue.Queue.get`.

        Arguments:
            block: False for not to wait.
            timeout: Seconds to wait at most; None for as long as it takes.

        Raises:
            queue.Empty: Nothing came for `timeout` seconds, or the queue is closed and empty.
        """
        value = self._take(timeout if block else 0, lambda: False)
        if value is EMPTY or value is CLOSED:
            raise queue.Empty
        return value  # type: ignore[no-any-return]

    def get_nowait(self) -> T:
        """The next element, if there is one. Raises `queue.Empty` otherwise."""
        return IterableQueue.get(self, block=False)

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

    def __iter__(self) -> Iterator[T]:
        generation, port = _generation, self._in_port()
        while True:
            if generation != _generation:
                generation, port = _generation, self._in_port()
            value = port.take_nowait()
            if value is EMPTY:
                value = self._take(None, lambda: False)
            if value is CLOSED:
                return
            yield value

    def _feed_run(self, aborted: Callable[[], bool]) -> tuple[Iterator[T], Callable[[], None]]:
        """For a run whose source this queue is: an iterator that ends with the run, and what wakes it."""

        def elements() -> Iterator[T]:
            while True:
                value = self._take(None, aborted)
                if value is CLOSED or value is EMPTY:
                    return
                yield value

        return elements(), self._ring().wake_all

    def _take(self, timeout: float | None, aborted: Callable[[], bool]) -> Any:
        """EMPTY when there is nothing in time or the run is aborted, CLOSED when no more comes."""
        port = self._in_port()
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

    def _put_at_once(self, value: T) -> bool:
        """Whether there was room."""
        ports = self._ports  # as `_out_port` does, in less time
        port = ports.outlet if getattr(ports, "generation", None) == _generation else None
        if port is None:
            port = self._out_port()
        if port.closed:
            raise ValueError(CLOSED_MESSAGE)
        try:
            return port.put_nowait(value, INDEX)
        except ElementTooLarge as error:
            raise EncodeError(f"the queue cannot hold this element: {error}") from error
        except (MemoryError, CorruptMemory):
            raise  # nothing is wrong with the element
        except Exception as error:
            raise EncodeError(
                f"the queue cannot send this element to another process: {type(error).__name__}: {error}. "
                "Put something that pickle can handle, or use th.IterableQueue if only threads need it"
            ) from error

    def _check_open(self) -> None:
        if self._is_closed():
            raise ValueError(CLOSED_MESSAGE)

    def _in_port(self) -> InPort:
        ports = self._own_ports()
        if ports.inlet is None:
            ports.inlet = self._open_inlet()
        port: InPort = ports.inlet
        return port

    def _out_port(self) -> OutPort:
        ports = self._own_ports()
        if ports.outlet is None:
            ports.outlet = self._open_outlet()
        port: OutPort = ports.outlet
        return port

    def _own_ports(self) -> threading.local:
        """This thread's ports; a forked copy of the process must not use those of the original."""
        ports = self._ports
        if getattr(ports, "generation", None) != _generation:
            ports.inlet = ports.outlet = None
            ports.generation = _generation
        return ports

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
