"""M1: a fast source and a slow consumer: whether memory grows with what the consumer has not taken."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from time import perf_counter
from typing import Any

from contenders import process_map, task_map, thread_map
from harness.case import Case, Contender, Role, applying
from harness.measures import memory_growth

# What the consumer takes for an element, so `items` is the length of a run in milliseconds.
SLOW_S = 1e-3
ELEMENT_NBYTES = 1024


# How many elements the source gave, of each run in this process.
given: list[int] = []


def fast(items: int) -> Iterator[bytes]:
    """New elements, without end for as long as the consumer is slow."""
    end = perf_counter() + items * SLOW_S
    for number in count():
        if perf_counter() > end:
            given.append(number)
            return
        yield number.to_bytes(8, "little") * (ELEMENT_NBYTES // 8)


def number_of(element: bytes) -> int:
    return int.from_bytes(element[:8], "little")


def pass_on(element: Any) -> Any:
    return element


async def pass_on_in_task(element: Any) -> Any:
    return element


apply = applying(pass_on, fast)
apply_to_tasks = applying(pass_on_in_task, fast)

CASE = Case(
    name="M1",
    title="growth of memory in 5 s, endless source of 1 KiB elements, a consumer that takes 1 ms for each",
    unit="MiB",
    higher_is_better=False,
    workers=(1,),
    measure=memory_growth(slow_s=SLOW_S, number_of=number_of),
    expected=lambda items: range(given.pop()),
    contenders=(
        Contender("pypeln processes", Role.PYPELN, 5_000, apply(process_map.pypeln_map)),
        Contender("pypeln threads", Role.PYPELN, 5_000, apply(thread_map.pypeln_map)),
        Contender("pypeln tasks", Role.PYPELN, 5_000, apply_to_tasks(task_map.pypeln_for)),
        Contender("pypeln 0.4.9 processes", Role.OLD, 5_000, apply(process_map.pypeln_map)),
        Contender("pypeln 0.4.9 threads", Role.OLD, 5_000, apply(thread_map.pypeln_map)),
        Contender("Pool chunk 64", Role.PEER, 5_000, apply(process_map.pool_map, 64)),
        Contender("ThreadPool chunk 64", Role.PEER, 5_000, apply(thread_map.thread_pool_map, 64)),
        Contender("Executor chunk 64", Role.PEER, 5_000, apply(process_map.executor_map, 64)),
        Contender("mpire chunk 64", Role.PEER, 5_000, apply(process_map.mpire_map, 64), packages=("mpire",)),
        Contender("pyper threads", Role.PEER, 5_000, apply(thread_map.pyper_map), packages=("pyper",)),
    ),
)
