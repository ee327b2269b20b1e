"""What each operator makes of its elements, whoever its workers are and however they were started."""

from __future__ import annotations

import functools
import operator
from collections.abc import Iterator
from typing import Any

import pytest
from support.notes import Journal

import pypeln as pl


def numbered_twice(x: int) -> Iterator[str]:
    yield f"{x}a"
    yield f"{x}b"


class Scale:
    """A callable object with a method to call as well."""

    def __init__(self, by: int) -> None:
        self.by = by

    def __call__(self, x: int) -> int:
        return x * self.by

    def method(self, x: int) -> int:
        return x * self.by


def test_map_sends_the_results(every_front: Any) -> None:
    stage = every_front.map(lambda x: x * x, range(20), workers=2)
    assert sorted(stage) == [x * x for x in range(20)]


def test_filter_sends_the_elements_whose_result_is_true(every_front: Any) -> None:
    stage = every_front.filter(lambda x: x % 3, range(20), workers=2)
    assert sorted(stage) == [x for x in range(20) if x % 3]


def test_flat_map_sends_each_of_the_result(every_front: Any) -> None:
    stage = every_front.flat_map(numbered_twice, range(5), workers=2)
    assert sorted(stage) == ["0a", "0b", "1a", "1b", "2a", "2b", "3a", "3b", "4a", "4b"]


def test_each_calls_and_sends_nothing(every_front: Any, journal: Journal) -> None:
    assert list(every_front.each(journal.note, range(5), workers=2)) == []
    assert sorted(journal.read()) == [0, 1, 2, 3, 4]


def test_each_can_run_at_once(front: Any, journal: Journal) -> None:
    assert front.each(journal.note, range(5), run=True) is None
    assert sorted(journal.read()) == [0, 1, 2, 3, 4]


def test_concat_sends_the_elements_of_all(every_front: Any) -> None:
    doubled = every_front.map(lambda x: x * 2, range(5))
    assert sorted(every_front.concat([doubled, [100, 101], "a"]), key=str) == [0, 100, 101, 2, 4, 6, 8, "a"]


def test_concat_of_nothing_has_no_elements(front: Any) -> None:
    assert list(front.concat([])) == []


def test_ordered_sends_in_the_order_of_the_source(every_front: Any) -> None:
    stage = every_front.ordered(every_front.map(lambda x: x + 1, range(50), workers=3))
    assert list(stage) == list(range(1, 51))


def test_run_runs_them_all(every_front: Any, journal: Journal) -> None:
    stages = [every_front.each(journal.note, range(start, start + 3)) for start in (0, 10)]
    assert every_front.run(*stages) is None
    assert sorted(journal.read()) == [0, 1, 2, 10, 11, 12]


def test_run_takes_a_list_of_stages_and_a_bound(front: Any, journal: Journal) -> None:
    front.run([front.map(journal.note, [1]), front.map(journal.note, [2])], maxsize=1)
    assert sorted(journal.read()) == [1, 2]
    front.run()


@pytest.mark.parametrize("use_thread", [True, False])
def test_from_iterable_has_the_elements_of_the_iterable(every_front: Any, use_thread: bool) -> None:
    assert list(every_front.from_iterable(range(5), use_thread=use_thread)) == [0, 1, 2, 3, 4]


def test_from_iterable_passes_a_stage_on(front: Any) -> None:
    assert sorted(front.from_iterable(front.map(abs, [-1, -2]))) == [1, 2]


@pytest.mark.parametrize("maxsize", [0, 1, 3])
def test_to_iterable_has_the_elements_of_the_stage(every_front: Any, maxsize: int) -> None:
    stage = every_front.map(abs, range(-5, 0))
    assert sorted(every_front.to_iterable(stage, maxsize=maxsize)) == [1, 2, 3, 4, 5]


def test_to_iterable_can_tell_the_index(every_front: Any) -> None:
    stage = every_front.flat_map(range, every_front.filter(bool, [0, 2, 1]))
    with_index = sorted(every_front.to_iterable(stage, return_index=True))
    assert with_index == [((1, 0), 0), ((1, 1), 1), ((2, 0), 0)]
    assert all(type(element) is pl.Element for element in with_index)


def test_the_index_survives_every_operator(front: Any) -> None:
    passed = front.concat([front.from_iterable(front.map(abs, front.filter(bool, [0, -1, -2]))), [7]])
    assert sorted(front.to_iterable(passed, return_index=True)) == [((0,), 7), ((1,), 1), ((2,), 2)]


def test_an_element_in_a_source_keeps_its_index(front: Any) -> None:
    source = [pl.Element((7, 1), "a"), pl.Element((3,), "b"), "c"]
    found = front.map(str.upper, source).to_iterable(return_index=True)
    assert sorted(found) == [((2,), "C"), ((3,), "B"), ((7, 1), "A")]


def test_f_gets_the_index_when_it_asks(every_front: Any) -> None:
    two = every_front.flat_map(lambda x: [x, x], "ab")
    stage = every_front.map(lambda x, element_index: (x, element_index), two, workers=2)
    assert sorted(stage) == [("a", (0, 0)), ("a", (0, 1)), ("b", (1, 0)), ("b", (1, 1))]


@pytest.mark.parametrize(
    "f",
    [
        functools.partial(operator.mul, 3),
        Scale(3),
        Scale(3).method,
        (3).__mul__,
        lambda x, by=3: x * by,
        lambda x, **ignored: x * 3,
    ],
    ids=["partial", "object", "method", "builtin method", "default", "kwargs"],
)
def test_every_kind_of_callable_works(front: Any, f: Any) -> None:
    assert sorted(front.map(f, range(4))) == [0, 3, 6, 9]


def test_builtins_without_a_signature_work(front: Any) -> None:
    assert sorted(front.map(str, [1, 2])) == ["1", "2"]
    assert sorted(front.map(max, [(1, 3), (2, 1)])) == [2, 3]
    assert sorted(front.flat_map(zip, [[1], [2]])) == [(1,), (2,)]


def test_none_and_false_are_elements(front: Any) -> None:
    assert list(front.ordered(front.map(lambda x: x, [None, False, 0, "", ()]))) == [None, False, 0, "", ()]


def test_dimensions_of_the_index_up_to_16_work_and_more_are_refused(front: Any) -> None:
    stage: Any = [0]
    for _ in range(15):
        stage = front.flat_map(lambda x: [x], stage)
    assert list(front.to_iterable(stage, return_index=True)) == [((0,) * 16, 0)]
    if front is not pl.sync:
        with pytest.raises(ValueError, match="dimensions"):
            list(front.flat_map(lambda x: [x], stage))
