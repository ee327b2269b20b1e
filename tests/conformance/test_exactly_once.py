"""No element is lost, none comes twice, however many workers there are and however small the queues."""

from __future__ import annotations

import itertools
from collections import Counter
from typing import Any

import pytest
from support.fronts import KINDS, short_name
from support.notes import Journal


@pytest.mark.parametrize("maxsize", [0, 1, 2, 7])
@pytest.mark.parametrize("workers", [1, 2, 5])
def test_each_element_goes_through_once(front: Any, workers: int, maxsize: int) -> None:
    n = 3000
    stage = front.map(lambda x: x, range(n), workers=workers, maxsize=maxsize)
    stage = front.filter(lambda x: x % 5, stage, workers=workers, maxsize=maxsize)
    stage = front.flat_map(lambda x: (x,) * (x % 3), stage, workers=workers, maxsize=maxsize)
    expected = Counter({x: x % 3 for x in range(n) if x % 5 and x % 3})
    assert Counter(stage) == expected


def test_each_element_is_computed_once(every_front: Any, journal: Journal) -> None:
    list(every_front.map(journal.note, range(100), workers=3, maxsize=1))
    assert sorted(journal.read()) == list(range(100))


def test_more_workers_than_elements(front: Any) -> None:
    assert sorted(front.map(abs, [-1, -2], workers=8)) == [1, 2]


def test_streams_of_elements_of_all_sizes(front: Any) -> None:
    sizes = [0, 1, 40, 41, 60, 64, 100, 1000, 4095, 4096, 4097, 70000]
    elements = [bytes([i % 251]) * size for i, size in enumerate(sizes * 20)]
    assert list(front.ordered(front.map(lambda x: x, elements, workers=2, maxsize=4))) == elements


@pytest.mark.parametrize(
    "kinds", list(itertools.permutations(KINDS[:3])), ids=lambda kinds: "-".join(map(short_name, kinds))
)
def test_long_streams_through_mixed_stages(kinds: tuple[Any, ...]) -> None:
    n = 20000
    stage: Any = range(n)
    for kind in kinds:
        stage = kind.map(lambda x: x + 1, stage, workers=2)
    assert Counter(stage) == Counter(range(3, n + 3))
