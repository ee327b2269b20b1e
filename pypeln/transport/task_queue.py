"""`io.IterableQueue`: with coroutines at its ends."""

from __future__ import annotations

import itertools
import queue
from collections.abc import AsyncIterator
from typing import TypeVar

from pypeln.transport.bells import Bell
from pypeln.transport.event_loop import CLOSED_ENTRY, ELEMENT, AsyncInPort, AsyncOutPort
from pypeln.transport.thread_queue import ThreadQueue

T = TypeVar("T")


class TaskQueue(ThreadQueue[T]):
    """A queue with coroutines at its ends, usable as a source: `await put`, close, `async for`.

    Threads put with `put_threadsafe` and take with `get_threadsafe` or `for`. The coroutines that put belong
    to one loop, as do those that take.

    Arguments:
        maxsize: Elements it may hold, exactly, at most 16,777,216; 0 for no bound of yours (it then holds a
            million).
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
        self._async_in: AsyncInPort | None = None
        self._async_out: AsyncOutPort | None = None
        self._numbers = itertools.count()

    put_threadsafe = ThreadQueue.put
    get_threadsafe = ThreadQueue.get

    async def put(self, value: T) -> None:  # type: ignore[override]
        """Put an element, waiting for room without blocking the loop.

        Raises:
            ValueError: The queue is closed.
        """
        self._check_open()
        if self._async_out is None:
            self._async_out = AsyncOutPort(self._open_outlet())
        await self._async_out.put((value, (next(self._numbers),), 0, ELEMENT))

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

    def _entries(self) -> AsyncInPort:
        if self._async_in is None:
            self._async_in = AsyncInPort(self._open_inlet())
        return self._async_in

    def _bells(self) -> tuple[Bell, Bell]:
        return Bell(), Bell()
