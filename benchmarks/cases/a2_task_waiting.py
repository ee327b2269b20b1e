"""A2: 1 ms of waiting per element on 1,000 tasks: how much time they lose to the queue."""

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
from harness.measures import efficiency

WAIT_S = 1e-3


async def wait(x: int) -> int:
    await asyncio.sleep(WAIT_S)
    return x


apply = applying(wait, range)

CASE = Case(
    name="A2",
    title="sleep(1 ms) per element on 1,000 tasks, share of the ideal time",
    unit="% of ideal",
    higher_is_better=True,
    workers=(1000,),
    measure=efficiency(lambda n, w: n * WAIT_S / w),
    expected=range,
    contenders=(
        Contender("pypeln await", Role.PYPELN, 10_000, apply(pypeln_await), streams=False),
        Contender("pypeln async for", Role.PYPELN, 10_000, apply(pypeln_async_for), streams=False),
        Contender("pypeln for", Role.PYPELN, 10_000, apply(pypeln_for)),
        Contender("pypeln 0.4.9", Role.OLD, 10_000, apply(pypeln_await), streams=False),
        Contender("gather + Semaphore", Role.PEER, 10_000, apply(gather_map), streams=False),
        Contender(
            "streamable", Role.PEER, 10_000, apply(streamable_map), packages=("streamable",), streams=False
        ),
        Contender("shared iterator by hand", Role.CEILING, 10_000, apply(shared_iterator_map), streams=False),
    ),
)
