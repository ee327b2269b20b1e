"""maxsize counts elements exactly: what a source hands out, and what f does, when somebody downstream waits.

A worker holds one element, its queue `maxsize`, and a source has one more in its hands while it waits for
room.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest
from support.fronts import KINDS, short_name
from support.notes import Gate, Journal, settled, wait_until

import pypeln as pl

CONCURRENT = KINDS[:3]
by_name = {"ids": short_name}


class Source:
    """Numbers without end, or `n` of them, and how many were handed out."""

    def __init__(self, n: int = 1 << 40) -> None:
        self.n = n
        self.handed_out = 0

    def __iter__(self) -> Iterator[int]:
        for number in range(self.n):
            self.handed_out += 1
            yield number


def held(kind: Any, gate: Gate, journal: Journal) -> Any:
    """A function that notes its element, and waits at the gate."""

    def blocking(x: int) -> int:
        journal.note(x)
        gate.wait()
        return x

    async def waiting(x: int) -> int:
        journal.note(x)
        await gate.wait_async()
        return x

    return waiting if kind is pl.io else blocking


class Consumer:
    """Takes the elements of a stage in a thread of its own."""

    def __init__(self, iterator: Iterator[Any]) -> None:
        self.got: list[Any] = []
        self._thread = threading.Thread(target=lambda: self.got.extend(iterator))
        self._thread.start()

    def join(self) -> list[Any]:
        self._thread.join()
        return self.got


@pytest.mark.parametrize("workers", [1, 3])
@pytest.mark.parametrize("maxsize", [1, 2, 5, 100])
@pytest.mark.parametrize("kind", CONCURRENT, **by_name)
def test_a_stage_takes_no_more_than_its_queue_holds(
    kind: Any, maxsize: int, workers: int, gate: Gate, journal: Journal
) -> None:
    source = Source(200)
    consumer = Consumer(iter(kind.map(held(kind, gate, journal), source, workers=workers, maxsize=maxsize)))
    try:
        wait_until(lambda: source.handed_out >= workers + maxsize, "the queue is full")
        wait_until(lambda: len(journal.read()) >= workers, "every worker has an element")
        assert workers + maxsize <= settled(lambda: source.handed_out) <= workers + maxsize + 1
        assert len(journal.read()) == workers
    finally:
        gate.open()
    assert sorted(consumer.join()) == list(range(200))


@pytest.mark.parametrize("second", CONCURRENT, **by_name)
@pytest.mark.parametrize("first", CONCURRENT, **by_name)
def test_chained_stages_hold_the_sum_of_their_queues(
    first: Any, second: Any, gate: Gate, journal: Journal
) -> None:
    source = Source(100)
    stage = first.map(lambda x: x, source, workers=1, maxsize=3)
    consumer = Consumer(iter(second.map(held(second, gate, journal), stage, workers=2, maxsize=4)))
    holds = 3 + 1 + 4 + 2
    try:
        wait_until(lambda: source.handed_out >= holds, "all queues are full")
        assert holds <= settled(lambda: source.handed_out) <= holds + 1
    finally:
        gate.open()
    assert sorted(consumer.join()) == list(range(100))


@pytest.mark.parametrize("kind", CONCURRENT, **by_name)
def test_the_queue_of_a_source_holds_its_maxsize(kind: Any, gate: Gate, journal: Journal) -> None:
    source = Source(100)
    stage = source | kind.from_iterable(maxsize=5) | kind.map(held(kind, gate, journal))
    consumer = Consumer(iter(stage))
    try:
        wait_until(lambda: source.handed_out >= 6, "the queue is full")
        assert 6 <= settled(lambda: source.handed_out) <= 7
    finally:
        gate.open()
    assert sorted(consumer.join()) == list(range(100))


@pytest.mark.parametrize("maxsize", [1, 4])
@pytest.mark.parametrize("kind", CONCURRENT, **by_name)
def test_results_wait_for_the_consumer_up_to_maxsize(kind: Any, maxsize: int, journal: Journal) -> None:
    def f(x: int) -> int:
        journal.note(x)
        return x

    workers = 2
    iterator = kind.map(f, range(1000), workers=workers, maxsize=1).to_iterable(maxsize=maxsize)
    next(iterator)
    # One is taken, maxsize wait, and each worker has one in its hands; tasks that never await are one worker.
    least = 1 + maxsize + 1
    wait_until(lambda: len(journal.read()) >= least, "the results wait")
    assert least <= settled(lambda: len(journal.read())) <= 1 + maxsize + workers
    iterator.close()


@pytest.mark.parametrize("maxsize", [0, 1, 10])
def test_sync_stages_take_what_is_asked_for(maxsize: int) -> None:
    source = Source()
    iterator = iter(pl.sync.map(lambda x: x, pl.sync.map(lambda x: x, source, maxsize=maxsize)))
    for taken in range(1, 6):
        next(iterator)
        assert source.handed_out == taken


@pytest.mark.parametrize("kind", CONCURRENT, **by_name)
def test_without_maxsize_a_queue_is_bounded_all_the_same(kind: Any, gate: Gate, journal: Journal) -> None:
    source = Source()
    iterator = iter(kind.map(held(kind, gate, journal), source))
    thread = threading.Thread(target=lambda: next(iterator))
    thread.start()
    try:
        wait_until(lambda: source.handed_out > 1000, "the source runs ahead")
        assert settled(lambda: source.handed_out, quiet_s=0.3) <= 20_000
    finally:
        gate.open()
        thread.join()
        iterator.close()


@pytest.mark.parametrize("maxsize", [10**9, 1 << 32, 1 << 70], ids=["a billion", "2**32", "2**70"])
@pytest.mark.parametrize("kind", KINDS, **by_name)
def test_a_maxsize_that_nothing_reaches_is_no_error(kind: Any, maxsize: int) -> None:
    stage = kind.map(str, kind.from_iterable(range(5), maxsize=maxsize), maxsize=maxsize)
    assert sorted(kind.to_iterable(stage, maxsize=maxsize)) == ["0", "1", "2", "3", "4"]
    assert len(list(kind.ordered(pl.th.map(str, range(5)), maxsize=maxsize))) == 5
    stages = [pl.th.map(str, range(5)), pl.io.map(str, range(5))]
    assert len(list(kind.concat(stages, maxsize=maxsize))) == 10
