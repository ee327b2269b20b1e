"""A pipeline that waits uses no processor time."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from support.process_table import children, cpu_s, wait_until_blocked

from pypeln import io, pr, th


def same(x: Any) -> Any:
    return x


async def same_async(x: Any) -> Any:
    return x


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
