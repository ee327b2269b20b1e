"""Thousands of runs leave what there was before, and a pipeline that waits uses no processor time."""

from __future__ import annotations

import asyncio
import gc
import os
import resource
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from process_table import children, cpu_s, open_fds, shared_mappings, thread_names, wait_until_blocked

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
def test_many_runs_leave_nothing(runs: str, fork: None) -> None:
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


def test_a_run_that_is_over_is_free_at_once_and_not_when_garbage_is_collected(fork: None) -> None:
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


class SlowSource:
    """Yields a few elements and then nothing more, until it is told to end."""

    def __init__(self) -> None:
        self.over = threading.Event()

    def __iter__(self) -> Iterator[int]:
        yield from range(5)
        self.over.wait()


IDLE: dict[str, Callable[[Any], Any]] = {
    "processes": lambda source: pr.map(same, pr.map(same, source, workers=2), workers=2),
    "bounded processes": lambda source: pr.map(same, pr.map(same, source, workers=2, maxsize=1), maxsize=1),
    "threads": lambda source: th.map(same, th.map(same, source, workers=2), workers=2),
    "tasks": lambda source: io.map(same_async, source, workers=50),
    "mixed": lambda source: th.map(same, io.map(same, pr.map(same, source, workers=2), workers=3)),
    "with time-outs": lambda source: th.map(same, pr.map(same, source, workers=2, timeout=60), timeout=60),
    "ordered": lambda source: pr.ordered(pr.map(same, source, workers=2)),
}


def _spent_s(pids: set[int]) -> float:
    return sum(cpu_s(pid) for pid in pids)


@pytest.mark.parametrize("shape", IDLE)
def test_a_pipeline_that_waits_for_its_source_uses_no_processor(shape: str, fork: None) -> None:
    source = SlowSource()
    taken = []
    enough, ended = threading.Event(), threading.Event()

    def consume() -> None:
        for x in IDLE[shape](source):
            taken.append(x)
            if len(taken) == 5:
                enough.set()
        ended.set()

    consumer = threading.Thread(target=consume)
    consumer.start()
    enough.wait()
    everybody = children() | {os.getpid()}
    before = _spent_s(everybody)
    time.sleep(2)
    spent = _spent_s(everybody) - before
    source.over.set()
    consumer.join()
    assert spent < 0.2
    assert sorted(taken) == list(range(5))
    assert ended.is_set()


@pytest.mark.parametrize("front_end", [pr, th, io], ids=lambda each: each.__name__)
def test_a_pipeline_whose_consumer_waits_uses_no_processor(front_end: Any, fork: None) -> None:
    """Everybody has something to put, and no room."""
    elements = front_end.map(
        same, front_end.map(same, iter(int, 1), workers=2, maxsize=1), maxsize=1
    ).to_iterable(maxsize=1)
    next(elements)
    workers = children()
    for pid in workers:
        wait_until_blocked(pid)
    everybody = workers | {os.getpid()}
    before = _spent_s(everybody)
    time.sleep(2)
    spent = _spent_s(everybody) - before
    elements.close()
    assert spent < 0.2
