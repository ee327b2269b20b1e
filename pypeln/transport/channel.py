"""`IterableQueue`: a queue for users, to push elements into a pipeline from wherever they come.

The same rings as between stages. `ThreadQueue` passes references between threads of a process, `ProcessQueue`
encodes elements into memory that processes share, `TaskQueue` has coroutines at its ends.

Failure modes. Put by a process that is killed in the middle of a put: the element is lost, all others arrive;
the queue notices when it next waits. A process that is killed without closing leaves the queue open, as it
must: another may still put.
"""

from __future__ import annotations

import os
import queue
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any, Generic, TypeVar

from pypeln._core.arena import Arenas
from pypeln._core.local import LocalRing
from pypeln._core.memory import CorruptMemory, Roster, RunAborted, Segment
from pypeln._core.queue import CLOSED, EMPTY, InPort, OutPort
from pypeln._core.shared import ElementTooLarge, SharedRing
from pypeln._core.system import process_born
from pypeln.errors import EncodeError
from pypeln.platforms import refuse_on_windows
from pypeln.transport.bells import Bell
from pypeln.transport.event_loop import CLOSED_ENTRY, ELEMENT, AsyncInPort, AsyncOutPort
from pypeln.transport.in_process import MOST_SLOTS, InProcessQueue
from pypeln.transport.shared_memory import Layout, SharedQueue

T = TypeVar("T")

INDEX = (0,)  # elements of these queues come from nowhere in particular

# Places with maxsize=0. Between stages 8192 do, because somebody always takes; into these queues a program
# may put all that it has before anybody does. Address space for references, but memory in a segment, whose
# pages are reserved.
UNBOUNDED = 1 << 20
UNBOUNDED_SHARED = 1 << 17

# The largest maxsize of a queue between threads: its slots take 2 GiB once they have all been used.
MOST_ELEMENTS = 1 << 24
# Nobody closes a queue this often; each close has a word of its own.
MOST_SOURCES = 1 << 16

CLOSED_MESSAGE = "the queue is closed: every source has said that it is done"

# How often a waiting consumer looks whether somebody died with a slot in hand, or its run was aborted.
LOOK_S = 0.1

# How many processes may use one ProcessQueue at the same time.
MOST_PROCESSES = 1024


# How many forks lie between the first process and this one. To ask the system who it is takes longer than to
# put an element.
_generation = 0


def _count_fork() -> None:
    global _generation
    _generation += 1


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_count_fork)


class _Queue(Generic[T]):
    """What the queues have in common: ports of each thread, closing by as many as there are sources."""

    most_elements = MOST_ELEMENTS

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
        return _Queue.get(self, block=False)

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
        ports = self._ports
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
        raise NotImplementedError

    def _open_inlet(self) -> InPort:
        raise NotImplementedError

    def _open_outlet(self) -> OutPort:
        raise NotImplementedError


class ThreadQueue(_Queue[T]):
    """A queue between threads that pipelines can have as a source: put from any thread, close, iterate.

    Arguments:
        maxsize: Elements it may hold, exactly, at most 16,777,216; 0 for no bound of yours (it then holds up
            to 1,048,576).
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
        self._queue = InProcessQueue(maxsize or UNBOUNDED, total_sources)
        self._lock = threading.Lock()
        self._closed = 0

    def close(self) -> None:
        """One source is done. See the class for what follows."""
        with self._lock:
            if self._closed < self.total_sources:
                self._closed += 1
                self._queue.ring.close_for(self._closed - 1)

    def _ring(self) -> LocalRing:
        return self._queue.ring

    def _open_inlet(self) -> InPort:
        return self._queue.inlet(1)

    def _open_outlet(self) -> OutPort:
        return self._queue.outlet(1, 0)


class ProcessQueue(_Queue[T]):
    """A queue between processes that pipelines can have as a source: put from any process, close, iterate.

    Pass it to a child process as an argument when the child is made, as with `multiprocessing.Queue`; inside
    an element it cannot travel.

    Arguments:
        maxsize: Elements it may hold, exactly, at most 1,048,576; 0 for no bound of yours (it then holds up
            to 131,072, and no more than its byte budget).
        total_sources: How many will close it.

    Example:
        >>> from pypeln import pr
        >>> queue = pr.IterableQueue()
        >>> for n in range(3):
        ...     queue.put(n)
        >>> queue.close()
        >>> sorted(pr.map(abs, queue))
        [0, 1, 2]
    """

    most_elements = MOST_SLOTS

    def __init__(self, maxsize: int = 0, total_sources: int = 1) -> None:
        super().__init__(maxsize, total_sources)
        refuse_on_windows("a queue between processes")
        layout = Layout()
        self._roster_at = layout.add(Roster.nbytes(MOST_PROCESSES))
        self._closers_at = layout.add(Roster.nbytes(total_sources))
        self._queue = SharedQueue(layout, maxsize or UNBOUNDED_SHARED, total_sources, Arenas())
        self._control = Segment(layout.nbytes)
        self._control.reserve(0, layout.nbytes)
        self._queue.create(self._control)
        self._open_rosters()

    def __getstate__(self) -> dict[str, Any]:
        from multiprocessing.context import assert_spawning

        assert_spawning(self)
        state = self.__dict__.copy()
        for private in ("_ports", "_roster", "_closers", "_place", "_pid", "_lock"):
            del state[private]
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._ports = threading.local()
        self._open_rosters()

    def close(self) -> None:
        """One source is done. See the class for what follows."""
        place = self._closers.join(1)
        if place >= 0:
            self._queue.ring.close_for(place)

    def _open_rosters(self) -> None:
        self._roster = Roster(MOST_PROCESSES, self._control, self._roster_at.offset)
        self._closers = Roster(self.total_sources, self._control, self._closers_at.offset)
        self._lock = threading.Lock()
        self._place = -1
        self._pid = 0

    def _owner(self) -> int:
        """This process's number in the ring."""
        with self._lock:
            if self._pid != os.getpid():
                self._place = self._roster.join(_identity(os.getpid()))
                self._pid = os.getpid()
            if self._place < 0:
                raise RuntimeError(f"more than {MOST_PROCESSES} processes use this queue")
            return self._place + 1

    def _look_around(self) -> None:
        for place, word in self._roster.present():
            if _identity(word & PID_MASK) != word:
                self._queue.ring.mend(None, 0, place + 1)
                self._roster.leave(place, word)

    def _ring(self) -> SharedRing:
        return self._queue.ring

    def _open_inlet(self) -> InPort:
        return self._queue.inlet(self._owner())

    def _open_outlet(self) -> OutPort:
        return self._queue.outlet(self._owner(), 0)


class TaskQueue(_Queue[T]):
    """A queue with coroutines at its ends, usable as a source: `await put`, close, `async for`.

    Threads put with `put_threadsafe` and take with `get_threadsafe` or `for`. The coroutines that put belong
    to one loop, as do those that take.

    Arguments:
        maxsize: Elements it may hold, exactly, at most 16,777,216; 0 for no bound of yours (it then holds up
            to 1,048,576).
        total_sources: How many will close it.

    Example:
        >>> import asyncio
        >>> from pypeln import io
        >>> async def main():
        ...     queue = io.IterableQueue()
        ...     for n in range(3):
        ...         await queue.put(n)
        ...     queue.close()
        ...     return await io.map(lambda n: n * 2, queue)
        >>> asyncio.run(main())
        [0, 2, 4]
    """

    def __init__(self, maxsize: int = 0, total_sources: int = 1) -> None:
        super().__init__(maxsize, total_sources)
        self._queue = InProcessQueue(maxsize or UNBOUNDED, total_sources, Bell(), Bell())
        self._lock = threading.Lock()
        self._closed = 0
        self._async_in: AsyncInPort | None = None
        self._async_out: AsyncOutPort | None = None

    put_threadsafe = _Queue.put
    get_threadsafe = _Queue.get

    async def put(self, value: T) -> None:  # type: ignore[override]
        """Put an element, waiting for room without blocking the loop.

        Raises:
            ValueError: The queue is closed.
        """
        self._check_open()
        if self._async_out is None:
            self._async_out = AsyncOutPort(self._open_outlet())
        await self._async_out.put((value, INDEX, 0, ELEMENT))

    async def get(self) -> T:  # type: ignore[override]
        """The next element. Raises `queue.Empty` when the queue is closed and empty."""
        entry = await self._entries().take()
        if entry is CLOSED_ENTRY:
            raise queue.Empty
        return entry[0]  # type: ignore[no-any-return]

    async def __aiter__(self) -> AsyncIterator[T]:
        inlet = self._entries()
        while (entry := await inlet.take()) is not CLOSED_ENTRY:
            yield entry[0]

    async def worker_done(self) -> None:  # type: ignore[override]
        """The name that pypeln 0.4.9 had for `close`, to be awaited as there."""
        self.close()

    def worker_done_nowait(self) -> None:
        """The name that pypeln 0.4.9 had for `close`, for code that cannot await."""
        self.close()

    def close(self) -> None:
        """One source is done. From any thread."""
        with self._lock:
            if self._closed < self.total_sources:
                self._closed += 1
                self._queue.ring.close_for(self._closed - 1)
                assert self._queue.consumer_bell is not None
                self._queue.consumer_bell.ring()

    def _entries(self) -> AsyncInPort:
        if self._async_in is None:
            self._async_in = AsyncInPort(self._open_inlet())
        return self._async_in

    def _ring(self) -> LocalRing:
        return self._queue.ring

    def _open_inlet(self) -> InPort:
        return self._queue.inlet(1)

    def _open_outlet(self) -> OutPort:
        return self._queue.outlet(1, 0)


PID_MASK = (1 << 22) - 1


def _identity(pid: int) -> int:
    """A word for a living process: its pid and when it started, because pids are reused; 0 for a dead one."""
    born = process_born(pid)
    return (born << 22 | pid & PID_MASK) & ((1 << 64) - 1) if born else 0


def _check(name: str, value: Any, least: int, most: int) -> None:
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError(f"IterableQueue: {name} is a whole number, not {type(value).__name__}")
    if value < least:
        raise ValueError(f"IterableQueue: {name} is at least {least}, not {value}")
    if value > most:
        raise ValueError(f"IterableQueue: {name} is at most {most}, not {value}")
