"""Calls without their stage, joined with `|`."""

from __future__ import annotations

import builtins
from typing import Any

from support.notes import Journal


def test_a_whole_pipeline_of_partials(every_front: Any) -> None:
    stage = (
        range(10)
        | every_front.from_iterable(maxsize=2)
        | every_front.map(lambda x: x + 1, workers=2)
        | every_front.filter(lambda x: x % 2 == 0)
        | every_front.flat_map(lambda x: [x, -x])
        | every_front.ordered()
    )
    assert stage | list == [2, -2, 4, -4, 6, -6, 8, -8, 10, -10]


def test_it_ends_in_any_callable(front: Any) -> None:
    assert range(5) | front.map(abs) | builtins.sorted == [0, 1, 2, 3, 4]
    assert range(5) | front.map(abs) | sum == 10


def test_each_and_to_iterable_as_partials(front: Any, journal: Journal) -> None:
    range(3) | front.map(abs) | front.each(journal.note, run=True)
    assert sorted(journal.read()) == [0, 1, 2]
    elements = range(3) | front.map(abs) | front.to_iterable(maxsize=1, return_index=True)
    assert sorted(elements) == [((0,), 0), ((1,), 1), ((2,), 2)]


def test_a_partial_can_be_used_again(front: Any) -> None:
    double = front.map(lambda x: x * 2)
    assert sorted([1, 2] | double) == [2, 4]
    assert sorted([1, 2] | double | double) == [4, 8]


def test_partial_and_call_are_the_same(front: Any) -> None:
    assert sorted(front.map(abs)([-1])) == sorted([-1] | front.map(abs)) == sorted(front.map(abs, [-1]))
