"""A consumer that leaves early, however it does, ends the run: at once, completely, sources included."""

from __future__ import annotations

import asyncio
import gc
import itertools
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from support.process_table import children, thread_names

from pypeln import io, pr, sync, th


def same(x: Any) -> Any:
    return x


def twice(x: Any) -> Any:
    return [x, x]


async def same_async(x: Any) -> Any:
    await asyncio.sleep(0)
    return x


class Source:
    """An endless generator that says whether it was closed."""

    def __init__(self) -> None:
        self.closed = False

    def elements(self) -> Iterator[int]:
        try:
            yield from itertools.count()
        finally:
            self.closed = True

    async def async_elements(self) -> AsyncIterator[int]:
        try:
            for x in itertools.count():
                yield x
        finally:
            self.closed = True


def processes(source: Source) -> Any:
    return pr.map(same, pr.map(same, source.elements(), workers=2, maxsize=1), maxsize=1)


def flat_processes(source: Source) -> Any:
    return pr.flat_map(twice, source.elements(), workers=2, maxsize=1)


def unbounded_processes(source: Source) -> Any:
    return pr.map(same, source.elements(), workers=2)


def threads(source: Source) -> Any:
    return th.map(same, th.map(same, source.elements(), workers=2, maxsize=1), maxsize=1)


def unbounded_threads(source: Source) -> Any:
    return th.map(same, source.elements(), workers=2)


def tasks(source: Source) -> Any:
    return io.map(same_async, io.map(same_async, source.elements(), workers=2, maxsize=1), maxsize=1)


def tasks_with_an_async_source(source: Source) -> Any:
    return io.map(same_async, source.async_elements(), workers=2, maxsize=1)


def unbounded_tasks(source: Source) -> Any:
    return io.map(same_async, source.elements(), workers=2)


def consumer(source: Source) -> Any:
    return sync.map(same, source.elements())


def ordered_processes(source: Source) -> Any:
    return pr.ordered(pr.map(same, source.elements(), workers=2, maxsize=1), maxsize=1)


def mixed(source: Source) -> Any:
    stage = io.map(same_async, pr.map(same, th.map(same, source.elements(), maxsize=1), maxsize=1), maxsize=1)
    return sync.map(same, th.map(same, stage, maxsize=1))


SHAPES = [
    processes,
    flat_processes,
    unbounded_processes,
    threads,
    unbounded_threads,
    tasks,
    tasks_with_an_async_source,
    unbounded_tasks,
    consumer,
    ordered_processes,
    mixed,
]


def leave_with_break(stage: Any) -> None:
    for _ in stage:
        break


def leave_with_close(stage: Any) -> None:
    elements = iter(stage)
    next(elements)
    elements.close()
    with pytest.raises(StopIteration):
        next(elements)


def leave_with_an_error(stage: Any) -> None:
    def consume() -> None:
        for _ in stage:
            raise LookupError("the consumer's own")

    with pytest.raises(LookupError, match="the consumer's own"):
        consume()


def leave_with_del(stage: Any) -> None:
    elements = iter(stage)
    next(elements)
    del elements


def leave_in_a_cycle(stage: Any) -> None:
    cycle: list[Any] = [iter(stage)]
    next(cycle[0])
    cycle.append(cycle)
    del cycle
    gc.collect()


LEAVINGS = [leave_with_break, leave_with_close, leave_with_an_error, leave_with_del, leave_in_a_cycle]


def assert_all_gone() -> None:
    assert children() == set()
    assert [name for name in thread_names() if "pypeln" in name] == []


@pytest.mark.parametrize("leave", LEAVINGS, ids=lambda leave: leave.__name__)
@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.__name__)
def test_promise_07_nothing_is_left(
    shape: Callable[[Source], Any], leave: Callable[[Any], None], fork: None
) -> None:
    source = Source()
    leave(shape(source))
    assert_all_gone()
    assert source.closed


@pytest.mark.parametrize("shape", [processes, mixed], ids=lambda shape: shape.__name__)
def test_promise_07_nothing_is_left_however_workers_start(
    shape: Callable[[Source], Any], start_method: str
) -> None:
    source = Source()
    leave_with_break(shape(source))
    assert_all_gone()
    assert source.closed


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.__name__)
def test_promise_07_an_iterator_that_was_never_asked_has_started_nothing(
    shape: Callable[[Source], Any], fork: None
) -> None:
    elements = iter(shape(Source()))
    assert_all_gone()
    elements.close()
    assert_all_gone()


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.__name__)
def test_promise_07_a_source_is_closed_when_f_fails(shape: Callable[[Source], Any], fork: None) -> None:
    source = Source()

    def fail(x: int) -> None:
        raise KeyError(x)

    with pytest.raises(KeyError):
        list(th.map(fail, shape(source), maxsize=1))
    assert_all_gone()
    assert source.closed


@pytest.mark.parametrize("front_end", [pr, th, io, sync], ids=lambda each: each.__name__)
def test_promise_07_what_is_left_of_a_generator_of_flat_map_is_closed(
    front_end: Any, fork: None, tmp_path: Any
) -> None:
    """The worker holds it in the middle, waiting for room."""
    closed = tmp_path / "closed"

    def children_of(x: int) -> Iterator[int]:
        try:
            yield from itertools.count()
        finally:
            closed.touch()

    for _ in front_end.flat_map(children_of, [0], maxsize=1).to_iterable(maxsize=1):
        break
    assert_all_gone()
    assert closed.exists()


def test_promise_07_a_worker_that_computes_for_long_is_not_waited_for(start_method: str) -> None:
    def first_only(x: int) -> int:
        while x:
            pass
        return x

    for _ in pr.map(first_only, range(10), workers=2):
        break
    assert_all_gone()


def test_promise_07_a_thread_that_computes_for_long_is_interrupted() -> None:
    def first_only(x: int) -> int:
        while x:
            pass
        return x

    for _ in th.map(first_only, range(10), workers=2):
        break
    assert_all_gone()


@pytest.mark.parametrize(
    ("front_end", "named"), [(th, r"map\(wait\) worker 0"), (io, "event loop")], ids=["th", "io"]
)
def test_promise_07_a_thread_that_blocks_is_named_and_left(front_end: Any, named: str) -> None:
    """Nobody can end a thread that waits in C; the caller is told instead of being kept."""
    block, blocked = threading.Lock(), threading.Event()
    block.acquire()

    def wait(x: int) -> int:
        if x:
            blocked.set()
            block.acquire()
        return x

    elements = iter(front_end.map(wait, [0, 1], maxsize=1))
    next(elements)
    blocked.wait()
    with pytest.warns(RuntimeWarning, match=named):
        elements.close()
    block.release()
    for thread in threading.enumerate():
        if "pypeln" in thread.name:
            thread.join()
    assert_all_gone()


@pytest.mark.parametrize("front_end", [pr, th, io], ids=lambda each: each.__name__)
def test_promise_07_two_runs_of_one_stage_do_not_know_each_other(front_end: Any, fork: None) -> None:
    stage = front_end.map(same, range(100), maxsize=1)
    first, second = iter(stage), iter(stage)
    assert next(first) == next(second) == 0
    first.close()
    assert sorted(second) == list(range(1, 100))
    assert_all_gone()


def test_promise_07_a_generator_is_closed_when_the_consumer_has_had_enough(
    front: Any, tmp_path: Path
) -> None:
    closed = []

    def source() -> Iterator[int]:
        try:
            yield from itertools.count()
        finally:
            closed.append(True)

    for x in front.map(same, source(), maxsize=1):
        if x == 10:
            break
    assert closed == [True]
