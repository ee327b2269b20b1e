"""`distinct`, on every front end: each element once, in each run anew."""

from __future__ import annotations

from typing import Any

import pytest


def test_of_equal_elements_one_goes_on(every_front: Any) -> None:
    assert sorted(every_front.distinct([3, 1, 3, 2, 1, 3.0])) == [1, 2, 3]


def test_the_first_of_the_source_goes_on_behind_ordered(front: Any) -> None:
    words = ["b", "a", "B", "c", "A"]
    same = front.map(lambda word: word, words, workers=1)
    assert list(front.distinct(front.ordered(same), key=str.lower)) == ["b", "a", "c"]


def test_elements_are_compared_by_their_key(every_front: Any) -> None:
    stage = every_front.distinct(range(100), key=lambda n: n % 7)
    assert sorted(n % 7 for n in stage) == list(range(7))


def test_elements_that_cannot_be_hashed_need_a_key(front: Any) -> None:
    lists = [[1], [2], [1]]
    assert sorted(front.distinct(lists, key=tuple)) == [[1], [2]]
    with pytest.raises(TypeError, match="unhashable") as caught:
        list(front.distinct(lists))
    assert caught.value.__notes__ == ["stage distinct, element_index (0,)"]


def test_each_run_begins_with_nothing_seen(front: Any) -> None:
    stage = front.distinct([1, 1, 2])
    assert sorted(stage) == sorted(stage) == [1, 2]


def test_the_others_are_filtered_and_order_is_kept_without_them(front: Any) -> None:
    halves = front.map(lambda n: n // 2, range(40), workers=3 if front.__name__ != "pypeln.sync" else 1)
    stage = front.distinct(halves)
    assert list(front.ordered(stage)) == list(range(20))
    figures = stage.stats()
    assert (figures.taken, figures.emitted, figures.filtered) == (40, 20, 20)


def test_wrong_arguments_are_errors_at_the_call(front: Any) -> None:
    async def key(element: int) -> int:
        return element

    with pytest.raises(TypeError, match=r"\.distinct: key must be callable or None, got 3"):
        front.distinct([1], key=3)
    with pytest.raises(TypeError, match=r"\.distinct: key is async"):
        front.distinct([1], key=key)
    with pytest.raises(ValueError, match=r"\.distinct: maxsize must be"):
        front.distinct([1], maxsize=-1)
