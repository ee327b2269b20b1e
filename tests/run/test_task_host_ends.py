"""How the elements, the tasks and the loop of a task host end: time-outs, errors, cancellation."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from support.task_line import FLAT_MAP, SOURCE_END, Counts, collect, failure, line, plus_one, values

from pypeln.errors import PipelineError
from pypeln.run import task_host

# Time-outs.


def test_an_element_that_takes_too_long_is_dropped_and_counted() -> None:
    cancelled: list[int] = []

    async def f(x: int) -> int:
        if x % 2:
            try:
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                cancelled.append(x)
                raise
        return x

    each = line(range(6), {"f": f, "workers": 2, "timeout": 0.02}, ends=True)
    got = asyncio.run(collect(each))
    assert each.run.errors == []
    elements = [(0, (0,)), (2, (2,)), (4, (4,))]
    ends = [("END", (n,), 0) for n in (1, 3, 5)]
    assert sorted(got, key=str) == sorted([*elements, *ends, ("END", (6,), SOURCE_END)], key=str)
    assert cancelled == [1, 3, 5]
    assert each.run.counts[1] == Counts(taken=6, emitted=3, timed_out=3, sent=3)


def test_a_timeout_error_of_f_itself_is_an_error() -> None:
    async def f(x: int) -> int:
        raise asyncio.TimeoutError("mine")

    error, _, index = failure(line([1], {"f": f, "timeout": 5.0}))
    assert type(error) is asyncio.TimeoutError
    assert index == (0,)


@pytest.mark.skipif(sys.version_info < (3, 11), reason="asyncio.timeout is of Python 3.11")
def test_time_limits_of_f_itself_work_inside_and_after_ours() -> None:
    async def f(x: int) -> str:
        if x == 0:
            await asyncio.sleep(60)
        try:
            async with asyncio.timeout(0.001):
                await asyncio.sleep(60)
        except TimeoutError:
            return "its own"
        return "none"

    each = line(range(3), {"f": f, "timeout": 0.1})
    assert values(each) == ["its own", "its own"]
    assert each.run.counts[1].timed_out == 1


def test_flat_map_keeps_the_children_that_were_in_time() -> None:
    closed: list[int] = []

    async def f(x: int) -> AsyncIterator[int]:
        try:
            yield 0
            yield 1
            await asyncio.sleep(60)
            yield 2
        finally:
            closed.append(x)

    each = line([7], {"f": f, "operator": FLAT_MAP, "timeout": 0.02}, ends=True)
    got = asyncio.run(collect(each))
    assert got == [(0, (0, 0)), (1, (0, 1)), ("END", (0,), 2), ("END", (1,), SOURCE_END)]
    assert closed == [7]
    assert each.run.counts[1] == Counts(taken=1, timed_out=1, sent=2)


def test_waiting_for_room_is_not_the_time_of_f() -> None:
    async def f(x: int) -> AsyncIterator[int]:
        for number in range(4):
            yield number

    each = line([0], {"f": f, "operator": FLAT_MAP, "timeout": 0.05}, maxsize=1)

    async def main() -> list[Any]:
        task = asyncio.create_task(each.host.main())
        got = []
        for _ in range(4):
            await asyncio.sleep(0.06)
            got.append((await each.sink.take())[0])
        await task
        return got

    assert asyncio.run(main()) == [0, 1, 2, 3]
    assert each.run.counts[1].timed_out == 0


# Ends.


@pytest.mark.parametrize("workers", [1, 50, 0])
@pytest.mark.parametrize("is_async", [False, True])
def test_an_error_of_f_is_reported_as_it_is_with_its_place(workers: int, is_async: bool) -> None:
    raised = ValueError("two", "arguments")

    async def f(x: int) -> int:
        await asyncio.sleep(0)
        if x == 13:
            raise raised
        await asyncio.sleep(x / 1000)
        return x

    def g(x: int) -> int:
        if x == 13:
            raise raised
        return x

    error, stage, index = failure(
        line(range(10_000), {"f": f if is_async else g, "workers": workers}, {"f": plus_one}, maxsize=2)
    )
    assert error is raised
    assert (stage, index) == ("stage 1", (13,))
    assert "element_index (13,)" in error.__notes__[0]  # type: ignore[attr-defined]


def test_an_error_among_the_children_closes_their_generator() -> None:
    closed = []

    async def children(x: int) -> AsyncIterator[int]:
        try:
            while True:
                yield x
        finally:
            closed.append("async")

    def sync_children(x: int) -> Iterator[int]:
        try:
            while True:
                yield x
        finally:
            closed.append("sync")

    def bad(x: int) -> int:
        raise OSError(x)

    for f in (children, sync_children):
        error, _, index = failure(line([5], {"f": f, "operator": FLAT_MAP}, {"f": bad}, maxsize=1))
        assert type(error) is OSError
        assert index == (0, 0)
    assert closed == ["async", "sync"]


def test_cancelling_main_ends_everything_first() -> None:
    ended = []

    async def f(x: int) -> int:
        try:
            await asyncio.sleep(60)
        finally:
            ended.append(x)
        return x

    async def main() -> None:
        each = line(range(10), {"f": f, "workers": 4})
        task = asyncio.create_task(each.host.main())
        await asyncio.sleep(0.02)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert sorted(ended) == [0, 1, 2, 3]
        assert asyncio.all_tasks() == {asyncio.current_task()}

    asyncio.run(main())


def test_abort_from_another_thread_and_before_the_start() -> None:
    async def f(x: int) -> int:
        await asyncio.sleep(60)
        return x

    each = line(range(10), {"f": f, "workers": 4})
    thread = each.host.start_thread("pypeln test")
    while each.run.counts.get(1, Counts()).taken < 4:
        time.sleep(0.001)
    each.host.abort()
    thread.join(10)
    assert not thread.is_alive()
    each.host.abort()

    each = line(range(10), {"f": f})
    each.host.abort()
    asyncio.run(each.host.main())
    assert each.run.counts[1].taken == 0
    assert each.run.errors == []


def test_f_that_cancels_itself_is_an_error_and_cancels_nobody_else() -> None:
    async def f(x: int) -> int:
        task = asyncio.current_task()
        assert task is not None
        task.cancel()
        await asyncio.sleep(0)
        return x

    error, stage, _ = failure(line(range(5), {"f": f, "workers": 2}))
    assert type(error) is PipelineError
    assert isinstance(error.__cause__, asyncio.CancelledError)
    assert "cancelled" in str(error)
    assert stage == "stage 1"


def test_f_that_swallows_its_cancellation_once_ends_with_the_next() -> None:
    swallowed = 0

    async def f(x: int) -> int:
        nonlocal swallowed
        if x == 1:
            raise ValueError(x)
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            swallowed += 1
        await asyncio.sleep(60)
        return x

    error, _, _ = failure(line(range(5), {"f": f, "workers": 2}))
    assert type(error) is ValueError
    assert swallowed == 1


def test_f_that_never_passes_its_cancellation_on_is_named_and_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(task_host, "GRACE_S", 0.2)
    free = False

    async def f(x: int) -> int:
        while not free:
            try:
                await asyncio.sleep(0.01)
            except asyncio.CancelledError:
                pass
        return x

    async def main() -> None:
        nonlocal free
        each = line(range(5), {"f": f, "workers": 2})
        task = asyncio.create_task(each.host.main())
        await asyncio.sleep(0.02)
        each.host.abort()
        with pytest.warns(RuntimeWarning, match="stage 1 did not end"):
            await task
        free = True
        await asyncio.sleep(0.05)
        assert asyncio.all_tasks() == {asyncio.current_task()}

    asyncio.run(main())


def test_an_own_loop_ends_tasks_that_f_forgot_and_runs_async_generators_to_their_end() -> None:
    ended = []

    async def background() -> None:
        try:
            await asyncio.sleep(60)
        finally:
            ended.append("task")

    async def generator() -> AsyncIterator[int]:
        try:
            yield 1
            yield 2
        finally:
            ended.append("generator")

    kept: list[Any] = []

    async def f(x: int) -> int:
        kept.append(asyncio.create_task(background()))
        kept.append(generator())
        await asyncio.sleep(0)
        return await kept[-1].__anext__()  # type: ignore[no-any-return]

    each = line([1], {"f": f})
    thread = each.host.start_thread("pypeln test")
    thread.join(10)
    assert not thread.is_alive()
    assert sorted(ended) == ["generator", "task"]
    assert each.run.errors == []


@pytest.mark.skipif(sys.version_info < (3, 12), reason="eager tasks are of Python 3.12")
def test_an_eager_task_factory_changes_nothing() -> None:
    each = line(range(2000), {"f": plus_one, "workers": 0})

    async def main() -> list[Any]:
        asyncio.get_running_loop().set_task_factory(asyncio.eager_task_factory)
        return await collect(each)

    assert sorted(value for value, _ in asyncio.run(main())) == list(range(1, 2001))
    assert each.run.errors == []


@pytest.fixture(scope="session")
def uvloop() -> Any:
    """The module, once it has the pipe that it opens for its first loop and keeps."""
    module = pytest.importorskip("uvloop")
    module.new_event_loop().close()
    return module


def test_uvloop_runs_the_host(uvloop: Any) -> None:
    each = line((n for n in range(1000)), {"f": plus_one, "workers": 10}, maxsize=3)
    loop = uvloop.new_event_loop()
    try:
        got = loop.run_until_complete(collect(each))
    finally:
        loop.close()
    assert sorted(value for value, _ in got) == list(range(1, 1001))
