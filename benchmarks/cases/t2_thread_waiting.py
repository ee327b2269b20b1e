"""T2: 1 ms of waiting per element on 50 threads: how much time they lose to the queue."""

from __future__ import annotations

from time import sleep

from contenders.thread_map import (
    executor_map,
    pypeln_map,
    pyper_map,
    simple_queue_map,
    streamable_map,
    thread_pool_map,
)
from harness.case import Case, Contender, Role, applying
from harness.measures import efficiency

WAIT_S = 1e-3


def wait(x: int) -> int:
    sleep(WAIT_S)
    return x


apply = applying(wait, range)

CASE = Case(
    name="T2",
    title="sleep(1 ms) per element on 50 threads, share of the ideal time",
    unit="% of ideal",
    higher_is_better=True,
    workers=(50,),
    measure=efficiency(lambda n, w: n * WAIT_S / w),
    expected=range,
    contenders=(
        Contender("pypeln", Role.PYPELN, 1_000, apply(pypeln_map)),
        Contender("pypeln 0.4.9", Role.OLD, 1_000, apply(pypeln_map)),
        Contender("ThreadPool chunk 1", Role.PEER, 1_000, apply(thread_pool_map, 1)),
        Contender("ThreadPoolExecutor", Role.PEER, 1_000, apply(executor_map)),
        Contender("streamable", Role.PEER, 1_000, apply(streamable_map), packages=("streamable",)),
        Contender("pyper", Role.PEER, 1_000, apply(pyper_map), packages=("pyper",)),
        Contender("SimpleQueue by hand", Role.CEILING, 1_000, apply(simple_queue_map)),
    ),
)
