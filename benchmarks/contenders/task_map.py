"""One stage of coroutines over a stream: as libraries offer it, and by hand."""

from __future__ import annotations

import asyncio
import importlib
from collections.abc import Awaitable, Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

F = Callable[[Any], Awaitable[Any]]
Results = Iterator[Iterable[Any]]


@contextmanager
def pypeln_await(f: F, source: Iterable[Any], workers: int) -> Results:
    """`await stage` inside a running loop; the same user's code for this pypeln and for 0.4.9."""
    from pypeln import task as io

    async def main() -> Any:
        return await io.map(f, source, workers=workers)

    yield asyncio.run(main())


@contextmanager
def pypeln_async_for(f: F, source: Iterable[Any], workers: int) -> Results:
    """`async for` over the stage inside a running loop."""
    from pypeln import task as io

    async def main() -> list[Any]:
        return [x async for x in io.map(f, source, workers=workers)]

    yield asyncio.run(main())


@contextmanager
def pypeln_for(f: F, source: Iterable[Any], workers: int) -> Results:
    """`for` over the stage, with no loop of the user's own."""
    from pypeln import task as io

    yield io.map(f, source, workers=workers)


@contextmanager
def gather_map(f: F, source: Iterable[Any], workers: int) -> Results:
    """The recipe most people know: a Task per element and a semaphore as the bound."""

    async def main() -> list[Any]:
        semaphore = asyncio.Semaphore(workers)

        async def bounded(element: Any) -> Any:
            async with semaphore:
                return await f(element)

        return await asyncio.gather(*(bounded(element) for element in source))

    yield asyncio.run(main())


@contextmanager
def streamable_map(f: F, source: Iterable[Any], workers: int) -> Results:
    """The streamable library, unordered as the others."""
    streamable = importlib.import_module("streamable")

    async def main() -> list[Any]:
        mapped = streamable.stream(source).map(f, concurrency=workers, as_completed=True)
        return [x async for x in mapped]

    yield asyncio.run(main())


@contextmanager
def shared_iterator_map(f: F, source: Iterable[Any], workers: int) -> Results:
    """Long-lived coroutines that take from one iterator: no queue, no bound on results, no error handling."""

    async def main() -> list[Any]:
        elements = iter(source)
        results = []

        async def work() -> None:
            for element in elements:
                results.append(await f(element))

        await asyncio.gather(*(work() for _ in range(workers)))
        return results

    yield asyncio.run(main())
