"""A stage with several consumers is computed once, and each of them gets every element."""

from __future__ import annotations

import itertools
from collections import Counter
from typing import Any

import pytest
from support.fronts import KINDS, short_name
from support.notes import Journal


@pytest.mark.parametrize("maxsize", [0, 1])
def test_two_consumers_get_every_element(every_front: Any, maxsize: int, journal: Journal) -> None:
    def note(x: int) -> int:
        journal.note(x)
        return x

    shared = every_front.map(note, range(50), workers=2, maxsize=maxsize)
    plus = every_front.map(lambda x: ("plus", x), shared, maxsize=maxsize)
    minus = every_front.map(lambda x: ("minus", x), shared, maxsize=maxsize)
    expected = Counter((side, x) for side in ("plus", "minus") for x in range(50))
    assert Counter(every_front.concat([plus, minus], maxsize=maxsize)) == expected
    assert sorted(journal.read()) == list(range(50))


def test_a_stage_that_is_in_a_concat_twice_sends_twice(front: Any, journal: Journal) -> None:
    shared = front.map(lambda x: journal.note(x) or x, range(10))
    assert sorted(front.concat([shared, shared])) == sorted([*range(10), *range(10)])
    assert sorted(journal.read()) == list(range(10))


def test_a_source_with_two_consumers_is_iterated_once(front: Any) -> None:
    source = front.from_iterable(iter(range(10)))
    stage = front.concat([front.map(lambda x: x, source), front.map(lambda x: -x, source)])
    assert sorted(stage) == sorted([*range(10), *(-x for x in range(10))])


def test_diamonds_in_a_row(front: Any) -> None:
    stage: Any = front.from_iterable(range(3))
    for _ in range(4):
        stage = front.concat([front.map(lambda x: x, stage), stage])
    assert Counter(stage) == Counter(dict.fromkeys(range(3), 16))


def test_an_ordered_diamond_is_merged_by_index(front: Any) -> None:
    shared = front.map(lambda x: x, range(30), workers=2)
    odd = front.filter(lambda x: x % 2, shared, workers=2)
    twice = front.flat_map(lambda x: [f"{x}a", f"{x}b"], shared, workers=2)
    stage = front.ordered(front.concat([odd, twice]))
    found = list(front.to_iterable(stage, return_index=True))
    indices = [element.index for element in found]
    assert indices == sorted(indices)
    expected = [x for x in range(30) if x % 2] + [f"{x}{side}" for x in range(30) for side in "ab"]
    assert sorted((element.value for element in found), key=str) == sorted(expected, key=str)


@pytest.mark.parametrize(
    "kinds", list(itertools.product(KINDS, repeat=3)), ids=lambda kinds: "-".join(map(short_name, kinds))
)
def test_consumers_may_be_of_other_kinds(kinds: tuple[Any, Any, Any], journal: Journal) -> None:
    shared_by, left_by, right_by = kinds
    shared = shared_by.map(lambda x: journal.note(x) or x, range(20))
    left = left_by.map(lambda x: x + 100, shared, maxsize=2)
    right = right_by.map(lambda x: x + 200, shared)
    assert sorted(left_by.concat([left, right])) == [*range(100, 120), *range(200, 220)]
    assert sorted(journal.read()) == list(range(20))
