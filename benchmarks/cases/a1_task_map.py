"""A1: a coroutine that yields to the loop once, over ints, in one asyncio stage."""

from __future__ import annotations

import asyncio

from contenders.task_map import (
    gather_map,
    pypeln_async_for,
    pypeln_await,
    pypeln_for,
    shared_iterator_map,
    streamable_map,
)
from harness.case import Case, Contender, Role, applying
from harness.measures import throughput


async def add_one(x: int) -> int:
    await asyncio.sleep(0)
    return x + 1


apply = applying(add_one, range)

CASE = Case(
    name="A1",
    title="one asyncio stage, `await sleep(0)` per element, whole pipeline",
    unit="items/s",
    higher_is_better=True,
    workers=(1, 100, 1000),
    measure=throughput,
    expected=lambda n: range(1, n + 1),
    contenders=(
        Contender("pypeln await", Role.PYPELN, 100_000, apply(pypeln_await), streams=False),
        Contender("pypeln async for", Role.PYPELN, 100_000, apply(pypeln_async_for), streams=False),
        Contender("pypeln for", Role.PYPELN, 100_000, apply(pypeln_for)),
        Contender("pypeln 0.4.9", Role.OLD, 5_000, apply(pypeln_await), streams=False),
        Contender("gather + Semaphore", Role.PEER, 10_000, apply(gather_map), streams=False),
        Contender(
            "streamable", Role.PEER, 10_000, apply(streamable_map), packages=("streamable",), streams=False
        ),
        Contender(
            "shared iterator by hand", Role.CEILING, 100_000, apply(shared_iterator_map), streams=False
        ),
    ),
)
