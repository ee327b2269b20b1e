"""The calls that start runs."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from pypeln import io, pr, sync, th

FRONT_ENDS = [pr, th, io, sync]


@pytest.fixture(params=FRONT_ENDS, ids=lambda module: module.__name__)
def front_end(request: pytest.FixtureRequest) -> Any:
    return request.param


def double(x: int) -> int:
    return 2 * x


class Adder:
    """Counts in a namespace, so that calls in other processes are seen."""

    def __init__(self) -> None:
        self.total = pr.Namespace(count=0)

    def __call__(self, x: int) -> None:
        with self.total:
            self.total.count += x


def test_run_takes_stages_iterables_and_lists_of_stages(front_end: Any) -> None:
    add = Adder()
    assert front_end.run() is None
    assert front_end.run(front_end.each(add, [1])) is None
    assert add.total.count == 1
    front_end.run(front_end.each(add, [10]), front_end.each(add, [20]), maxsize=1)
    assert add.total.count == 31
    front_end.run([front_end.each(add, [100]), front_end.each(add, [200])])
    assert add.total.count == 331
    seen: list[int] = []
    front_end.run(seen.append(i) for i in range(3))  # type: ignore[func-returns-value]
    assert seen == [0, 1, 2]


def test_each_runs_at_once_when_it_is_asked_to(front_end: Any) -> None:
    add = Adder()
    assert front_end.each(add, [1, 2], run=True) is None
    assert add.total.count == 3
    assert ([1, 2] | front_end.each(add, run=True)) is None
    assert add.total.count == 6
    assert list(front_end.each(add, [1])) == []
    assert add.total.count == 7


def test_to_iterable_takes_stages_and_iterables(front_end: Any) -> None:
    stage = front_end.map(double, [1, 2])
    assert sorted(front_end.to_iterable(stage, maxsize=1)) == [2, 4]
    assert sorted(stage | front_end.to_iterable(maxsize=1)) == [2, 4]
    assert sorted(front_end.to_iterable(stage, return_index=True)) == [((0,), 2), ((1,), 4)]
    assert list(front_end.to_iterable(["a", "b"])) == ["a", "b"]
    assert list(["a"] | front_end.to_iterable(return_index=True)) == [((0,), "a")]


def test_a_stage_passes_through_from_iterable_with_its_indices(front_end: Any) -> None:
    for other in FRONT_ENDS:
        stage = other.filter(double, range(3)) | front_end.from_iterable(maxsize=2)
        assert sorted(front_end.to_iterable(stage, return_index=True)) == [((1,), 1), ((2,), 2)]


def test_an_async_iterable_is_a_source_of_tasks() -> None:
    async def numbers() -> AsyncIterator[int]:
        yield 1
        yield 2

    assert sorted(io.map(double, numbers())) == [2, 4]
    assert list(io.to_iterable(numbers())) == [1, 2]
    assert sorted(th.map(double, io.from_iterable(numbers()))) == [2, 4]
    io.run(numbers())
