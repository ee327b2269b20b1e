"""Sync stages run in the consumer: lazily, in order, with a proper end."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from typing import Any

import pytest

import pypeln as pl
from pypeln import sync, th
from pypeln.graph.planner import planned
from pypeln.run.inline_host import execute, execute_trailing

Element = pl.Element


class NoLimit:
    """A time limit that never expires."""

    expired = False

    def __init__(self, seconds: float) -> None: ...

    def __enter__(self) -> None: ...

    def __exit__(self, *error: object) -> None: ...


class Limit(NoLimit):
    """A time limit that expires when the body says so, by raising TimeoutError("now")."""

    def __exit__(self, kind: Any = None, error: Any = None, traceback: Any = None) -> None:
        self.expired = isinstance(error, TimeoutError) and error.args == ("now",)


def elements(stage: pl.Stage[Any], limit: Any = NoLimit) -> Iterator[Element]:
    return execute(planned(stage, 0), limit)


def values(stage: pl.Stage[Any], limit: Any = NoLimit) -> list[Any]:
    return [element.value for element in elements(stage, limit)]


def indices(stage: pl.Stage[Any]) -> list[tuple[int, ...]]:
    return [element.index for element in elements(stage)]


def add1(x: int) -> int:
    return x + 1


def is_odd(x: int) -> bool:
    return x % 2 == 1


def up_to(x: int) -> Iterable[int]:
    return range(x)


def test_each_operator_keeps_its_rule() -> None:
    assert values(sync.map(add1, [1, 2])) == [2, 3]
    assert values(sync.filter(is_odd, [1, 2, 3])) == [1, 3]
    assert values(sync.flat_map(up_to, [0, 1, 2])) == [0, 0, 1]
    assert values(sync.each(add1, [1, 2])) == []
    assert values(sync.ordered([3, 1, 2])) == [3, 1, 2]
    assert values(sync.from_iterable([1, 2])) == [1, 2]


def test_indices_say_where_an_element_came_from() -> None:
    stage = sync.flat_map(up_to, sync.filter(is_odd, sync.flat_map(up_to, [0, 2, 4])))
    assert indices(stage) == [(1, 1, 0), (2, 1, 0), (2, 3, 0), (2, 3, 1), (2, 3, 2)]
    assert values(sync.map(lambda x, element_index: element_index, ["a", "b"])) == [(0,), (1,)]


def test_an_element_in_a_source_keeps_its_index() -> None:
    assert indices(sync.map(add1, [Element((7, 1), 1), 2])) == [(7, 1), (1,)]


@pytest.mark.parametrize("index", [(), (-1,), (True,), (1.0,), 3, "ab", None])
def test_an_index_is_a_tuple_of_integers_from_0(index: Any) -> None:
    with pytest.raises(ValueError, match="item 1 of the source is an Element whose index is"):
        values(sync.map(add1, [0, Element(index, 1)]))


def test_concat_takes_from_each_in_turn() -> None:
    assert values(sync.concat([[1, 2, 3], [4], [5, 6]])) == [1, 4, 5, 2, 6, 3]


def test_a_stage_with_several_consumers_is_computed_once() -> None:
    calls: list[int] = []
    shared = sync.map(lambda x: calls.append(x) or x, [1, 2, 3])  # type: ignore[func-returns-value]
    stage = sync.concat([sync.map(lambda x: -x, shared), shared, shared])
    assert values(stage) == [-1, 1, 1, -2, 2, 2, -3, 3, 3]
    assert calls == [1, 2, 3]


def test_each_run_is_new() -> None:
    stage = sync.map(add1, [1, 2])
    assert values(stage) == values(stage) == [2, 3]


def test_nothing_is_computed_before_it_is_asked_for() -> None:
    calls: list[int] = []
    stage = sync.flat_map(up_to, sync.map(lambda x: calls.append(x) or x, itertools.count(1)))  # type: ignore[func-returns-value]
    run = elements(stage)
    assert calls == []
    assert [next(run).value for _ in range(3)] == [0, 0, 1]
    assert calls == [1, 2]


def test_thousands_of_stages_are_no_matter() -> None:
    stage: Any = range(3)
    for _ in range(3000):
        stage = sync.map(add1, stage)
    assert values(stage) == [3000, 3001, 3002]


class TestOrdered:
    def test_paths_are_merged_by_index(self) -> None:
        odd = sync.filter(is_odd, range(6))
        stage = sync.ordered(sync.concat([sync.flat_map(up_to, [3, 1]), odd, ["a", "b"]]))
        assert indices(stage) == sorted(indices(stage))
        assert len(indices(stage)) == 9

    def test_endless_paths_stream_though_one_of_them_drops_everything(self) -> None:
        for nothing in (
            sync.filter(lambda x: False),
            sync.each(add1),
            sync.flat_map(lambda x: ()),
            sync.filter(lambda x: False) | sync.map(add1),
        ):
            shared = sync.map(add1, itertools.count())
            run = elements(sync.ordered(sync.concat([shared | nothing, shared])))
            assert [next(run).value for _ in range(5)] == [1, 2, 3, 4, 5]
            run.close()  # type: ignore[attr-defined]

    def test_elements_that_bring_their_index_are_sorted_by_it(self) -> None:
        source = [Element((4,), "e"), Element((0,), "a"), Element((2, 1), "d"), Element((2, 0), "c")]
        assert values(sync.ordered(source)) == ["a", "c", "d", "e"]

    def test_what_follows_a_join_is_merged_too(self) -> None:
        stage = sync.ordered(sync.map(add1, sync.concat([[1, 2], sync.concat([[3], [4, 5]])])))
        assert indices(stage) == [(0,), (0,), (0,), (1,), (1,)]


class TestErrors:
    def test_an_error_stays_what_it_is_and_says_where(self) -> None:
        with pytest.raises(ZeroDivisionError) as caught:
            values(sync.map(add1, sync.map(lambda x: 1 // x, [2, 1, 0])))
        assert caught.value.__notes__ == ["stage map(<lambda>), element_index (2,)"]

    def test_an_error_of_a_generator_that_f_returned_says_where(self) -> None:
        def bad(x: int) -> Iterator[int]:
            yield x
            raise KeyError(x)

        run = elements(sync.flat_map(bad, [7]))
        assert next(run) == ((0, 0), 7)
        with pytest.raises(KeyError) as caught:
            next(run)
        assert caught.value.__notes__ == ["stage flat_map(bad), element_index (0,)"]

    def test_an_error_of_the_source_says_so(self) -> None:
        def bad() -> Iterator[int]:
            yield 1
            raise OSError("gone")

        with pytest.raises(OSError, match="gone") as caught:
            values(sync.map(add1, bad()))
        assert caught.value.__notes__ == ["stage from_iterable(generator)"]

    def test_an_error_of_a_callback_says_so(self) -> None:
        def fail() -> None:
            raise LookupError

        for options in ({"on_start": fail}, {"on_done": fail}):
            with pytest.raises(LookupError) as caught:
                values(sync.map(add1, [1], **options))  # type: ignore[call-overload]
            assert caught.value.__notes__ == ["stage map(add1)"]


class TestEnd:
    def test_generators_are_closed_at_the_end(self) -> None:
        for leave_early in (False, True):
            closed: list[str] = []

            def source(closed: list[str] = closed) -> Iterator[int]:
                try:
                    yield from (1, 2, 3)
                finally:
                    closed.append("source")

            def children(x: int, closed: list[str] = closed) -> Iterator[int]:
                try:
                    yield from (x, x)
                finally:
                    closed.append(f"children of {x}")

            kept = source()
            run = elements(sync.concat([sync.flat_map(children, kept), [9]]))
            if leave_early:
                next(run)
                run.close()  # type: ignore[attr-defined]
                assert closed == ["children of 1", "source"]
            else:
                assert len(list(run)) == 7
                assert closed == ["children of 1", "children of 2", "children of 3", "source"]

    def test_generators_are_closed_after_an_error(self) -> None:
        closed: list[str] = []

        def source() -> Iterator[int]:
            try:
                yield 0
            finally:
                closed.append("source")

        with pytest.raises(ZeroDivisionError):
            values(sync.map(lambda x: 1 // x, source()))
        assert closed == ["source"]

    def test_a_file_of_the_user_stays_open(self, tmp_path: Any) -> None:
        path = tmp_path / "lines"
        path.write_text("a\nb\n")
        with open(path) as file:
            assert values(sync.map(str.strip, file)) == ["a", "b"]
            assert not file.closed

    def test_callbacks_run_once_around_all_elements(self) -> None:
        seen: list[Any] = []

        def on_start(worker_info: Any) -> dict[str, Any]:
            seen.append(("start", worker_info.index))
            return {"y": 10}

        def on_done(y: int, stage_status: Any) -> None:
            seen.append(("done", y, stage_status.done, stage_status.active_workers))

        stage = sync.map(lambda x, y: x + y, [1, 2], workers=4, on_start=on_start, on_done=on_done)
        assert values(stage) == [11, 12]
        assert seen == [("start", 0), ("done", 10, True, 0)]


class TestTimeout:
    def test_an_element_whose_time_is_up_is_dropped(self) -> None:
        def f(x: int) -> int:
            if x == 2:
                raise TimeoutError("now")
            return x

        for call in (sync.map, sync.filter):
            assert values(call(f, [1, 2, 3], timeout=5), Limit) == [1, 3]  # type: ignore[operator]

    def test_a_timeout_error_of_f_is_an_error(self) -> None:
        def f(x: int) -> int:
            raise TimeoutError("of a socket")

        with pytest.raises(TimeoutError, match="of a socket"):
            values(sync.map(f, [1], timeout=5), Limit)

    def test_flat_map_keeps_what_it_had_sent_on(self) -> None:
        def f(x: int) -> Iterator[int]:
            yield x
            if x == 2:
                raise TimeoutError("now")
            yield x

        assert values(sync.flat_map(f, [1, 2, 3], timeout=5), Limit) == [1, 1, 2, 3, 3]

    def test_no_limit_is_made_without_a_timeout(self) -> None:
        def refuse(seconds: float) -> Any:
            raise AssertionError

        assert values(sync.map(add1, [1]), refuse) == [2]


def test_trailing_stages_continue_a_run() -> None:
    plan = planned(sync.filter(is_odd, sync.map(add1, th.map(add1, [1]))), 0)
    closed: list[str] = []

    def run() -> Iterator[Element]:
        try:
            yield from (Element((i,), i) for i in range(6))
        finally:
            closed.append("run")

    trailing = execute_trailing(plan.trailing, run(), NoLimit, plan.stats)
    assert next(trailing) == ((0,), 1)
    assert next(trailing) == ((2,), 3)
    trailing.close()
    assert closed == ["run"]
    assert [element.value for element in execute_trailing(plan.trailing, run(), NoLimit, plan.stats)] == [
        1,
        3,
        5,
    ]
