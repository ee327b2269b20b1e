"""A participant that dies, raises, sends what cannot be sent, or leaves, ends the run; it never hangs."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from support.endings import DEADLY, DieAt, be_killed, sys_exit
from support.notes import wait_until
from support.process_table import children, thread_names

from pypeln import EncodeError, PipelineError, WorkerDied, io, pr, sync, th


def same(x: Any) -> Any:
    return x


async def same_async(x: Any) -> Any:
    return x


def behind_a_full_queue(f: Any) -> Any:
    return pr.map(same, pr.map(f, range(1000), maxsize=1), maxsize=1)


def in_front_of_a_full_queue(f: Any) -> Any:
    return pr.map(f, pr.map(same, range(100_000), maxsize=1), maxsize=1)


def between_threads(f: Any) -> Any:
    return th.map(same, pr.map(f, th.map(same, range(1000), maxsize=1), maxsize=1), maxsize=1)


def between_tasks(f: Any) -> Any:
    return io.map(same_async, pr.map(f, io.map(same_async, range(1000), maxsize=1), maxsize=1), maxsize=1)


def before_a_sync_stage(f: Any) -> Any:
    return sync.map(same, pr.map(f, range(1000)))


def before_ordered(f: Any) -> Any:
    return pr.ordered(pr.map(f, range(1000), workers=3))


def as_each(f: Any) -> Any:
    return pr.each(f, range(1000), workers=2)


def as_filter(f: Any) -> Any:
    return pr.filter(f, range(1000), workers=2, maxsize=1)


def as_flat_map(f: Any) -> Any:
    return pr.flat_map(lambda x: [f(x)], range(1000), workers=2, maxsize=1)


def in_a_source(f: Any) -> Any:
    return pr.from_iterable((f(x) for x in range(1000)), use_thread=False)


SHAPES = [
    behind_a_full_queue,
    in_front_of_a_full_queue,
    between_threads,
    between_tasks,
    before_a_sync_stage,
    before_ordered,
    as_each,
    as_filter,
    as_flat_map,
    in_a_source,
]


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.__name__)
def test_promise_01_a_death_ends_every_pipeline(shape: Callable[[Any], Any], fork: None) -> None:
    with pytest.raises(WorkerDied):
        list(shape(DieAt(be_killed)))
    assert children() == set()


def test_promise_01_all_workers_may_die_at_once(fork: None) -> None:
    def die(x: int) -> None:
        be_killed()

    with pytest.raises(WorkerDied):
        list(pr.map(die, range(100), workers=4, maxsize=1))
    assert children() == set()


def test_promise_01_the_run_after_a_death_is_untouched(fork: None) -> None:
    stage = pr.map(DieAt(be_killed), range(10 * DEADLY), workers=2)
    for _ in range(3):
        with pytest.raises(WorkerDied):
            list(stage)
    assert sorted(pr.map(same, range(100), workers=2)) == list(range(100))


BAD = 30


class TwoArguments(Exception):
    """Like many errors of libraries: its arguments are not what it was called with."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(f"{code}: {reason}")
        self.code = code
        self.reason = reason


def fail_at(x: int) -> int:
    if x == BAD:
        raise TwoArguments(404, "no such thing")
    return x


def fail(x: Any = None) -> None:
    raise TwoArguments(404, "no such thing")


def name(front_end: Any) -> str:
    return front_end.__name__.rpartition(".")[2]


def assert_nothing_left() -> None:
    assert children() == set()
    assert [each for each in thread_names() if "pypeln" in each] == []


@pytest.mark.parametrize("operator", ["map", "filter", "flat_map", "each"])
def test_promise_01_f_fails_in_an_endless_bounded_pipeline(front: Any, operator: str) -> None:
    """Every queue before and behind it is full, so that all workers wait when it happens."""

    def f(x: int) -> Any:
        return [fail_at(x)] if operator == "flat_map" else fail_at(x)

    stage = front.map(same, itertools.count(), maxsize=1)
    stage = getattr(front, operator)(f, stage, workers=2, maxsize=1)
    stage = front.map(same, stage, maxsize=1)
    with pytest.raises(TwoArguments) as caught:
        for _ in stage:
            pass
    assert (caught.value.code, caught.value.reason) == (404, "no such thing")
    assert str(caught.value) == "404: no such thing"
    assert caught.value.__notes__ == [f"stage {operator}(f), element_index ({BAD},)"]
    assert_nothing_left()


def test_promise_01_on_start_fails_before_a_source_without_end(front: Any) -> None:
    with pytest.raises(TwoArguments):
        list(
            front.map(
                same, itertools.count(), workers=2 if front is not sync else 1, maxsize=1, on_start=fail
            )
        )
    assert_nothing_left()


def test_promise_01_an_error_reaches_a_slow_consumer(front: Any, tmp_path: Path) -> None:
    """It happens long before the consumer asks for more, with all queues full."""
    failing = tmp_path / "failing"

    def f(x: int) -> int:
        if x == 2:
            failing.touch()
            fail()
        return x

    elements = front.map(f, itertools.count()).to_iterable(maxsize=1)
    assert next(elements) == 0
    if front is not sync:  # which computes an element when it is asked for it
        wait_until(failing.exists, "f is about to fail")
    with pytest.raises(TwoArguments):
        for _ in elements:
            pass
    assert_nothing_left()


def test_promise_01_a_failed_iterator_stays_ended(front: Any) -> None:
    elements = iter(front.map(fail_at, itertools.count(BAD)))
    with pytest.raises(TwoArguments):
        next(elements)
    assert list(elements) == []


@pytest.mark.parametrize("front_end", [th, io], ids=name)
def test_promise_01_sys_exit_in_a_thread_is_an_error_of_the_pipeline(front_end: Any) -> None:
    def leave(x: int) -> None:
        raise SystemExit(3)

    with pytest.raises(PipelineError, match=r"stage map\(leave\) called sys\.exit\(3\)"):
        list(front_end.map(leave, range(10)))
    assert_nothing_left()


@pytest.mark.parametrize("error", [KeyboardInterrupt, GeneratorExit, StopIteration, StopAsyncIteration])
def test_promise_01_exceptions_with_a_meaning_for_python_end_the_run_too(
    front: Any, error: type[BaseException]
) -> None:
    def f(x: int) -> None:
        raise error("raised by f")

    # A generator cannot let StopIteration out of it: Python makes it a RuntimeError.
    with pytest.raises((error, RuntimeError)):
        list(front.map(f, range(10), maxsize=1))
    assert_nothing_left()


def test_promise_01_an_error_in_one_branch_ends_the_other(front: Any) -> None:
    if front is sync:
        both = [front.map(same, itertools.count()), front.map(fail_at, itertools.count())]
    else:
        shared = front.map(same, itertools.count(), maxsize=1)
        both = [front.map(same, shared, maxsize=1), front.map(fail_at, shared, maxsize=1)]
    with pytest.raises(TwoArguments):
        for _ in front.concat(both, maxsize=1):
            pass
    assert_nothing_left()


class Unsendable:
    """Neither goes to another process."""

    def __reduce__(self) -> Any:
        raise LookupError("it does not want to be pickled")


def raise_an_error() -> None:
    raise LookupError("raised by f")


# What f does at one element, and what the consumer gets.
FAULTS: dict[str, tuple[Callable[[], Any], type[Exception]]] = {
    "dies": (be_killed, WorkerDied),
    "leaves": (sys_exit, WorkerDied),
    "raises": (raise_an_error, LookupError),
    "returns what cannot be sent": (Unsendable, EncodeError),
}


@pytest.mark.parametrize("operator", ["map", "filter", "flat_map", "each"])
@pytest.mark.parametrize("fault", FAULTS)
def test_promise_01_no_fault_of_f_hangs_a_mixed_pipeline(
    fault: str, operator: str, start_method: str
) -> None:
    """The source is endless and every queue is full, so that nobody but the fault can end it."""
    if operator in ("filter", "each") and fault == "returns what cannot be sent":
        pytest.skip("what f returns is sent nowhere")
    if start_method != "fork" and operator != "map":
        pytest.skip("workers run the same operators however they start")
    does, error = FAULTS[fault]

    def f(x: int) -> Any:
        returned = does() if x == DEADLY else x
        return [returned] if operator == "flat_map" else returned

    stage = th.map(same, itertools.count(), maxsize=1)
    stage = getattr(pr, operator)(f, stage, maxsize=1)
    if operator != "each":
        stage = io.map(same_async, stage, maxsize=1)
    with pytest.raises(error):
        for _ in stage:
            pass
    assert children() == set()


def source_that(does: Callable[[], Any]) -> Iterator[Any]:
    yield from range(DEADLY)
    yield does()
    yield from itertools.count()


@pytest.mark.parametrize("fault", FAULTS)
def test_promise_01_no_fault_of_a_source_hangs_a_mixed_pipeline(fault: str, start_method: str) -> None:
    does, error = FAULTS[fault]

    class Source:
        def __iter__(self) -> Iterator[Any]:
            return source_that(does)

    stage = pr.from_iterable(Source(), use_thread=False, maxsize=1)
    with pytest.raises(error):
        for _ in io.map(same_async, th.map(same, stage, maxsize=1), maxsize=1):
            pass
    assert children() == set()


@pytest.mark.parametrize("moment", ["on_start", "on_done"])
@pytest.mark.parametrize("fault", ["dies", "leaves", "raises"])
def test_promise_01_no_fault_of_a_callback_hangs_a_mixed_pipeline(
    fault: str, moment: str, fork: None
) -> None:
    does, error = FAULTS[fault]
    source = itertools.count() if moment == "on_start" else range(100)
    stage = pr.map(same, th.map(same, source, maxsize=1), workers=2, maxsize=1, **{moment: lambda: does()})
    with pytest.raises(error):
        for _ in io.map(same_async, stage, maxsize=1):
            pass
    assert children() == set()
