"""T1: a function that costs nothing, over ints, in one thread stage."""

from __future__ import annotations

from contenders.thread_map import (
    executor_map,
    pypeln_map,
    pyper_map,
    simple_queue_map,
    streamable_map,
    thread_pool_map,
)
from contenders.without_queue import plain_map
from harness.case import Case, Contender, Role, applying
from harness.measures import throughput


def add_one(x: int) -> int:
    return x + 1


apply = applying(add_one, range)

CASE = Case(
    name="T1",
    title="one thread stage, x + 1 over ints, whole pipeline",
    unit="items/s",
    higher_is_better=True,
    workers=(1, 4),
    measure=throughput,
    expected=lambda n: range(1, n + 1),
    contenders=(
        Contender("pypeln", Role.PYPELN, 2_000_000, apply(pypeln_map)),
        Contender("pypeln 0.4.9", Role.OLD, 40_000, apply(pypeln_map)),
        Contender("ThreadPool chunk 1", Role.PEER, 200_000, apply(thread_pool_map, 1)),
        Contender("ThreadPool chunk 64", Role.PEER, 1_000_000, apply(thread_pool_map, 64)),
        Contender("ThreadPool chunk 1024", Role.PEER, 1_000_000, apply(thread_pool_map, 1024)),
        Contender("ThreadPoolExecutor", Role.PEER, 40_000, apply(executor_map), streams=False),
        Contender(
            "streamable", Role.PEER, 40_000, apply(streamable_map), packages=("streamable",), workers=(4,)
        ),
        Contender("pyper", Role.PEER, 40_000, apply(pyper_map), packages=("pyper",)),
        Contender("SimpleQueue by hand", Role.CEILING, 1_000_000, apply(simple_queue_map)),
        Contender("plain map()", Role.REFERENCE, 2_000_000, apply(plain_map), workers=(1,)),
    ),
)
