"""Clients that fetch many URLs with so many requests at once. Each takes (get, items, workers)."""

from __future__ import annotations

import asyncio
import functools
import importlib
from collections.abc import Awaitable, Callable
from typing import Any

Get = Callable[[int], Awaitable[int]]
Client = Callable[[Get, int, int], Awaitable[list[int]]]


async def pypeln_client(get: Get, items: int, workers: int) -> list[int]:
    """`await stage`; the same user's code for this pypeln and for 0.4.9."""
    from pypeln import task as io

    return list(await io.map(get, range(items), workers=workers))


async def semaphore_client(get: Get, items: int, workers: int) -> list[int]:
    """What most people write: a Task per request and a semaphore as the bound."""
    semaphore = asyncio.Semaphore(workers)

    async def bounded(number: int) -> int:
        async with semaphore:
            return await get(number)

    return await asyncio.gather(*(bounded(number) for number in range(items)))


async def shared_iterator_client(get: Get, items: int, workers: int) -> list[int]:
    """Long-lived coroutines that take from one iterator: no error handling, nothing streams."""
    numbers = iter(range(items))
    results = []

    async def work() -> None:
        for number in numbers:
            results.append(await get(number))

    await asyncio.gather(*(work() for _ in range(workers)))
    return results


async def aiometer_client(get: Get, items: int, workers: int) -> list[int]:
    """The aiometer library."""
    aiometer: Any = importlib.import_module("aiometer")
    jobs = [functools.partial(get, number) for number in range(items)]
    return list(await aiometer.run_all(jobs, max_at_once=workers))
