"""`ordered` streams: what is next goes on at once, whatever the workers do, and sources do not run away."""

from __future__ import annotations

import itertools
import random
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from support.fronts import KINDS, short_name
from support.notes import Gate, settled, wait_until

import pypeln as pl

CONCURRENT = KINDS[:3]


class Endless:
    """Numbers without end, and how many were handed out."""

    def __init__(self) -> None:
        self.handed_out = 0

    def __iter__(self) -> Iterator[int]:
        for number in itertools.count():
            self.handed_out += 1
            yield number


def spin(x: int) -> int:
    """Take a while that differs from element to element."""
    for _ in range(random.Random(x).randrange(2000)):
        pass
    return x


def through_everything(kind: Any, source: Any) -> Any:
    """An ordered pipeline in which elements are dropped and multiplied, on two ways."""
    odd = kind.filter(lambda x: x % 2, kind.map(spin, source, workers=3), workers=2)
    twice = kind.flat_map(lambda x: [x, x] if x % 3 else [], source, workers=3)
    return kind.ordered(kind.concat([odd, twice]))


def expected_of_everything() -> Iterator[int]:
    for x in itertools.count():
        # An index that is the beginning of another comes first.
        yield from [x] * (x % 2)
        yield from [x, x] if x % 3 else []


def test_elements_are_ordered_however_long_each_takes(front: Any) -> None:
    assert list(front.ordered(front.map(spin, range(2000), workers=4))) == list(range(2000))


def test_order_through_filter_flat_map_and_concat_of_an_endless_source(front: Any) -> None:
    stage = through_everything(front, front.from_iterable(itertools.count()))
    n = 3000
    assert list(itertools.islice(stage, n)) == list(itertools.islice(expected_of_everything(), n))


def test_order_in_the_middle_of_a_pipeline(front: Any) -> None:
    stage = front.ordered(front.map(spin, range(500), workers=3))
    assert list(front.map(lambda x: x + 1, stage)) == list(range(1, 501))
    assert list(front.ordered(front.map(spin, stage, workers=3))) == list(range(500))


@pytest.mark.parametrize("kind", CONCURRENT, ids=short_name)
def test_results_come_before_the_source_ends(kind: Any) -> None:
    taken = threading.Event()

    def source() -> Iterator[int]:
        yield from range(30)
        taken.wait()
        yield 30

    # The last element that was kept; 29 % 2 == 1.
    stage = kind.filter(lambda x: x % 2 or x == 30, source(), workers=2)
    iterator = iter(kind.ordered(kind.flat_map(lambda x: [x, -x], stage, workers=2)))
    first = list(itertools.islice(iterator, 30))
    assert first == [y for x in range(1, 30, 2) for y in (x, -x)]
    taken.set()
    assert list(iterator) == [30, -30]


@pytest.mark.parametrize("kind", CONCURRENT, ids=short_name)
def test_a_slow_element_holds_the_source_back(kind: Any, gate: Gate) -> None:
    """Element 0 waits at the gate; the others go past it, but not without end."""

    def wait_at_0(x: int) -> int:
        if x == 0:
            gate.wait()
        return x

    async def wait_at_0_async(x: int) -> int:
        if x == 0:
            await gate.wait_async()
        return x

    source = Endless()
    f = wait_at_0_async if kind is pl.io else wait_at_0
    iterator = iter(kind.ordered(kind.map(f, source, workers=2)))
    got: list[int] = []
    thread = threading.Thread(target=lambda: got.extend(itertools.islice(iterator, 50_000)))
    thread.start()
    try:
        wait_until(lambda: source.handed_out > 1000, "the source runs ahead")
        ran_ahead = settled(lambda: source.handed_out, quiet_s=0.5)
        assert ran_ahead <= 100_000
        assert got == []
    finally:
        gate.open()
        thread.join()
        iterator.close()
    assert got == list(range(50_000))


@pytest.mark.parametrize("kind", CONCURRENT, ids=short_name)
def test_what_follows_a_kept_back_element_in_a_bounded_pipeline(kind: Any) -> None:
    """Small queues and many workers: what is next may be in any of them, and must still come through."""
    stage = kind.map(spin, range(1000), workers=5, maxsize=1)
    stage = kind.flat_map(lambda x: [x] * (x % 3), stage, workers=5, maxsize=1)
    assert list(kind.ordered(stage, maxsize=1)) == [x for x in range(1000) for _ in range(x % 3)]


def test_elements_with_their_own_index_are_sorted_by_it(front: Any) -> None:
    source = [pl.Element((index,), f"v{index}") for index in (5, 1, 4, 0, 9)]
    assert list(front.ordered(front.map(lambda x: x, source, workers=2))) == ["v0", "v1", "v4", "v5", "v9"]


def test_sources_of_unequal_length_are_merged(front: Any) -> None:
    stage = front.ordered(front.concat([range(3), range(100, 110), [], front.map(abs, range(1000, 1005))]))
    indices = [element.index[0] for element in front.to_iterable(stage, return_index=True)]
    assert indices == sorted(indices)
    assert len(indices) == 18
