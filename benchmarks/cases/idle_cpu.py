"""IDLE: what a pipeline that waits for a slow source takes from the machine."""

from __future__ import annotations

from collections.abc import Iterator
from time import sleep

from contenders import process_map, task_map, thread_map
from harness.case import Case, Contender, Role, applying
from harness.measures import idle_cpu

PAUSE_S = 0.5


def pass_on(x: int) -> int:
    return x


def slowly(n: int) -> Iterator[int]:
    for x in range(n):
        if x:
            sleep(PAUSE_S)
        yield x


async def pass_on_in_task(x: int) -> int:
    return x


apply = applying(pass_on, slowly)
apply_to_tasks = applying(pass_on_in_task, slowly)

CASE = Case(
    name="IDLE",
    title=f"CPU of a pipeline whose source pauses {PAUSE_S} s between elements",
    unit="% of a core",
    higher_is_better=False,
    workers=(2,),
    measure=idle_cpu,
    expected=range,
    contenders=(
        Contender("pypeln processes", Role.PYPELN, 5, apply(process_map.pypeln_map)),
        Contender("pypeln threads", Role.PYPELN, 5, apply(thread_map.pypeln_map)),
        Contender("pypeln tasks", Role.PYPELN, 5, apply_to_tasks(task_map.pypeln_for)),
        Contender("pypeln 0.4.9 processes", Role.OLD, 5, apply(process_map.pypeln_map)),
        Contender("pypeln 0.4.9 threads", Role.OLD, 5, apply(thread_map.pypeln_map)),
        Contender("Pool chunk 1", Role.PEER, 5, apply(process_map.pool_map, 1)),
        Contender("ThreadPool chunk 1", Role.PEER, 5, apply(thread_map.thread_pool_map, 1)),
    ),
    quick_items=2,
)
