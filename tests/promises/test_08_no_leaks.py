"""Many runs leave what there was before: processes, threads, descriptors, memory."""

from __future__ import annotations

import asyncio
import gc
import resource
from collections.abc import Callable
from typing import Any

import pytest
from support.process_table import children, open_fds, shared_mappings, thread_names

from pypeln import io, pr, sync, th


def same(x: Any) -> Any:
    return x


async def same_async(x: Any) -> Any:
    return x


def fail_at_7(x: int) -> int:
    if x == 7:
        raise KeyError(x)
    return x


def take_all(stage: Any) -> None:
    for _ in stage:
        pass


def take_one(stage: Any) -> None:
    for _ in stage:
        break


def take_until_error(stage: Any) -> None:
    with pytest.raises(KeyError):
        take_all(stage)


def take_in_a_loop(stage: Any) -> None:
    async def wait() -> None:
        await stage

    asyncio.run(wait())


RUNS: dict[str, tuple[int, Callable[[Any], None], Callable[[], Any]]] = {
    "threads": (300, take_all, lambda: th.map(same, range(10), workers=2, maxsize=1)),
    "threads, left": (200, take_one, lambda: th.map(same, range(10), workers=2, maxsize=1)),
    "threads, failing": (200, take_until_error, lambda: th.map(fail_at_7, range(10), workers=2, maxsize=1)),
    "tasks": (300, take_all, lambda: io.map(same_async, range(10), workers=2, maxsize=1)),
    "tasks, left": (150, take_one, lambda: io.map(same_async, range(10), workers=2, maxsize=1)),
    "tasks, in a loop": (150, take_in_a_loop, lambda: io.map(same_async, range(10), workers=2, maxsize=1)),
    "sync": (1000, take_all, lambda: sync.map(same, range(10), timeout=60)),
    "processes": (120, take_all, lambda: pr.map(same, range(10), workers=2, maxsize=1)),
    "processes, left": (60, take_one, lambda: pr.map(same, range(10), workers=2, maxsize=1)),
    "processes, failing": (60, take_until_error, lambda: pr.map(fail_at_7, range(10), workers=2, maxsize=1)),
    "mixed": (
        60,
        take_all,
        lambda: th.map(same, io.map(same, pr.map(same, range(10), maxsize=1)), timeout=60),
    ),
}


@pytest.mark.parametrize("runs", RUNS)
def test_promise_08_many_runs_leave_nothing(runs: str, fork: None) -> None:
    number, consume, make = RUNS[runs]
    stage = make()
    for _ in range(10):  # what is allocated once, and what Python keeps for reuse
        consume(stage)
    gc.collect()
    before = (open_fds(), thread_names(), len(shared_mappings()))
    objects, size = len(gc.get_objects()), _rss_mib()
    for _ in range(number):
        consume(stage)
    assert (open_fds(), thread_names(), len(shared_mappings())) == before
    assert children() == set()
    gc.collect()
    assert len(gc.get_objects()) - objects < number  # less than one object in a run
    assert _rss_mib() - size < 16


def _rss_mib() -> float:
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * resource.getpagesize() / (1 << 20)


def test_promise_08_a_run_that_is_over_is_free_at_once_and_not_when_garbage_is_collected(fork: None) -> None:
    """An error, whose traceback holds frames of the run, is one of the ways to its end."""
    gc.collect()
    before = (open_fds(), len(shared_mappings()))
    gc.disable()
    try:
        for number, consume, make in RUNS.values():
            for _ in range(min(number, 5)):
                consume(make())
        assert (open_fds(), len(shared_mappings())) == before
    finally:
        gc.enable()
