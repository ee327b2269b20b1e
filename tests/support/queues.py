"""Every kind of queue behind one face, for tests of what they have in common."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from pypeln._core.arena import Arenas
from pypeln._core.memory import RunAborted, Segment
from pypeln._core.queue import CLOSED as CLOSED_VALUE
from pypeln._core.queue import EMPTY as EMPTY_VALUE
from pypeln._core.queue import END, InPort
from pypeln.transport.bells import Bell
from pypeln.transport.event_loop import (
    CLOSED_ENTRY,
    ELEMENT,
    EMPTY_ENTRY,
    AsyncInPort,
    AsyncOutPort,
    LoopQueue,
)
from pypeln.transport.in_process import InProcessQueue
from pypeln.transport.shared_memory import Layout, SharedQueue

# What `take` returns besides (value, index, lane), and ("end", count, index, lane).
CLOSED = "closed"
EMPTY = "empty"

Taken = Any
MOST_WAITING = 32  # threads that may wait in ports at the same time


def shared_queue(maxsize: int, producers: int, *bells: Bell) -> SharedQueue:
    """A queue between processes, ready for use."""
    layout = Layout()
    queue = SharedQueue(layout, maxsize, producers, Arenas(), None, *bells)
    control = Segment(layout.nbytes)
    control.reserve(0, layout.nbytes)
    queue.create(control)
    return queue


class Producer:
    """One end that puts."""

    def __init__(self, put: Callable[..., Awaitable[None]], try_put: Any, put_end: Any, close: Any) -> None:
        self.put = put
        self.try_put: Callable[..., bool] = try_put
        self.put_end: Callable[..., Awaitable[None]] = put_end
        self.close: Callable[[], None] = close


class Consumer:
    """One end that takes."""

    def __init__(self, take: Callable[[], Awaitable[Taken]], try_take: Callable[[], Taken]) -> None:
        self.take = take
        self.try_take = try_take


class NativeQueue:
    """A ring whose ends are threads."""

    def __init__(self, maxsize: int, producers: int, make: Callable[[int, int], Any]) -> None:
        self._queue = make(maxsize, producers)
        self._threads = ThreadPoolExecutor(MOST_WAITING)
        self._owner = 0

    def producer(self, number: int) -> Producer:
        self._owner += 1
        port = self._queue.outlet(self._owner, number)
        return Producer(
            lambda *args: self._in_thread(port.put, *args),
            port.put_nowait,
            lambda index, lane, count: self._in_thread(port.put_end, index, lane, count),
            port.close,
        )

    def consumer(self) -> Consumer:
        self._owner += 1
        port = self._queue.inlet(self._owner)
        return Consumer(
            lambda: self._in_thread(lambda: _taken(port, port.take())),
            lambda: _taken(port, port.take_nowait()),
        )

    def abort(self) -> None:
        self._queue.abort()

    def close(self) -> None:
        self._threads.shutdown()
        self._queue.close()

    async def _in_thread(self, call: Callable[..., Any], *args: Any) -> Any:
        return await asyncio.get_running_loop().run_in_executor(self._threads, call, *args)


class BelledQueue:
    """A ring whose ends are coroutines. They share one port of each side, as the workers of a stage do."""

    def __init__(self, maxsize: int, producers: int, make: Callable[..., Any]) -> None:
        self._bells = Bell(), Bell()
        self._queue = make(maxsize, producers, *self._bells)
        self._outlets = [AsyncOutPort(self._queue.outlet(1 + i, i)) for i in range(producers)]
        self._inlet = AsyncInPort(self._queue.inlet(producers + 1))

    def producer(self, number: int) -> Producer:
        return _entry_producer(self._outlets[number])

    def consumer(self) -> Consumer:
        return _entry_consumer(self._inlet)

    def abort(self) -> None:
        self._queue.abort()

    def close(self) -> None:
        self._inlet.abort()
        for outlet in self._outlets:
            outlet.abort()
        self._queue.close()


class QueueInLoop:
    """The queue between coroutines of one loop."""

    def __init__(self, maxsize: int, producers: int) -> None:
        self._queue = LoopQueue(maxsize, producers)

    def producer(self, number: int) -> Producer:
        return _entry_producer(self._queue)

    def consumer(self) -> Consumer:
        return _entry_consumer(self._queue)

    def abort(self) -> None:
        self._queue.abort()

    def close(self) -> None:
        pass


QUEUES: dict[str, Callable[[int, int], Any]] = {
    "threads": lambda maxsize, producers: NativeQueue(maxsize, producers, InProcessQueue),
    "processes": lambda maxsize, producers: NativeQueue(maxsize, producers, shared_queue),
    "loop": QueueInLoop,
    "loop and threads": lambda maxsize, producers: BelledQueue(maxsize, producers, InProcessQueue),
    "loop and processes": lambda maxsize, producers: BelledQueue(maxsize, producers, shared_queue),
}


def _taken(port: InPort, value: Any) -> Taken:
    if value is CLOSED_VALUE:
        return CLOSED
    if value is EMPTY_VALUE:
        return EMPTY
    if value is END:
        return "end", port.count, port.index, port.lane
    return value, port.index, port.lane


def _entry_taken(entry: Any) -> Taken:
    if entry is CLOSED_ENTRY:
        return CLOSED
    if entry is EMPTY_ENTRY:
        return EMPTY
    value, index, lane, count = entry
    return (value, index, lane) if count == ELEMENT else ("end", count, index, lane)


def _entry_producer(outlet: Any) -> Producer:
    return Producer(
        lambda value, index, lane=0: outlet.put((value, index, lane, ELEMENT)),
        lambda value, index, lane=0: outlet.put_nowait((value, index, lane, ELEMENT)),
        lambda index, lane, count: outlet.put((None, index, lane, count)),
        outlet.close,
    )


def _entry_consumer(inlet: Any) -> Consumer:
    async def take() -> Taken:
        return _entry_taken(await inlet.take())

    return Consumer(take, lambda: _entry_taken(inlet.take_nowait()))


__all__ = ["CLOSED", "EMPTY", "QUEUES", "RunAborted", "shared_queue"]
