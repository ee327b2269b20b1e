"""Tasks: inside and outside of a running loop, cancelled from outside, and next to threads; nothing hangs."""

from __future__ import annotations

import asyncio
import itertools
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
from process_table import children, thread_names

from pypeln import PipelineError, io, pr, th


async def same(x: Any) -> Any:
    await asyncio.sleep(0)
    return x


def plain(x: Any) -> Any:
    return x


def assert_nothing_left() -> None:
    assert children() == set()
    assert [name for name in thread_names() if "pypeln" in name] == []


def only_task() -> bool:
    return asyncio.all_tasks() == {asyncio.current_task()}


@pytest.mark.parametrize("maxsize", [0, 1, 7])
@pytest.mark.parametrize("workers", [0, 1, 3, 50])
def test_a_bounded_queue_loses_nothing(workers: int, maxsize: int) -> None:
    stage = io.map(same, range(2000), workers=workers, maxsize=maxsize)
    stage = io.map(same, stage, workers=workers, maxsize=maxsize)
    assert sorted(stage) == list(range(2000))


@pytest.mark.parametrize("maxsize", [0, 1, 7])
def test_tasks_feed_threads_that_feed_tasks(maxsize: int) -> None:
    stage = io.map(same, range(500), workers=3, maxsize=maxsize)
    stage = th.map(plain, stage, workers=3, maxsize=maxsize)
    stage = io.map(same, stage, workers=3, maxsize=maxsize)
    stage = th.map(plain, stage, workers=3, maxsize=maxsize)
    assert sorted(stage) == list(range(500))
    assert_nothing_left()


@pytest.mark.parametrize("maxsize", [0, 1])
def test_a_list_of_a_stage_inside_of_a_running_loop(maxsize: int) -> None:
    async def main() -> list[int]:
        return list(io.map(same, range(100), workers=3, maxsize=maxsize))

    assert sorted(asyncio.run(main())) == list(range(100))
    assert_nothing_left()


def test_an_error_in_a_list_of_a_stage_inside_of_a_running_loop() -> None:
    async def fail(x: int) -> None:
        raise KeyError(x)

    async def main() -> None:
        list(io.map(fail, range(100), maxsize=1))

    with pytest.raises(KeyError):
        asyncio.run(main())
    assert_nothing_left()


def awaited(stage: Any) -> Awaitable[Any]:
    async def wait() -> Any:
        return await stage

    return wait()


def iterated(stage: Any) -> Awaitable[Any]:
    async def iterate() -> list[Any]:
        return [x async for x in stage]

    return iterate()


class Stuck:
    """A coroutine function that waits for ever, and says when it does and when it was cancelled."""

    def __init__(self) -> None:
        self.waits = threading.Event()
        self.cancelled: list[int] = []

    async def f(self, x: int) -> int:
        self.waits.set()
        try:
            await asyncio.sleep(1000)
        except asyncio.CancelledError:
            self.cancelled.append(x)
            raise
        return x

    async def is_waiting(self) -> None:
        while not self.waits.is_set():
            await asyncio.sleep(0)


def in_tasks(f: Any) -> Any:
    return io.map(f, itertools.count(), workers=2, maxsize=1)


def behind_processes(f: Any) -> Any:
    return io.map(f, pr.map(plain, itertools.count(), maxsize=1), workers=2, maxsize=1)


def before_threads(f: Any) -> Any:
    return io.map(
        plain, th.map(plain, io.map(f, itertools.count(), workers=2, maxsize=1), maxsize=1), maxsize=1
    )


SHAPES = [in_tasks, behind_processes, before_threads]


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.__name__)
@pytest.mark.parametrize("consume", [awaited, iterated])
def test_cancelling_who_waits_for_a_stage_ends_it(
    consume: Callable[[Any], Awaitable[Any]], shape: Callable[[Any], Any], fork: None
) -> None:
    stuck = Stuck()

    async def main() -> None:
        task = asyncio.ensure_future(consume(shape(stuck.f)))
        await stuck.is_waiting()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert only_task()
        assert_nothing_left()

    asyncio.run(main())
    assert sorted(stuck.cancelled) in ([0], [0, 1])


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.__name__)
def test_a_time_limit_around_a_stage_ends_it(shape: Callable[[Any], Any], fork: None) -> None:
    stuck = Stuck()

    async def main() -> None:
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(awaited(shape(stuck.f)), 0.1)
        assert only_task()
        assert_nothing_left()

    asyncio.run(main())
    assert stuck.cancelled


def test_leaving_an_async_iteration_and_closing_it_ends_it() -> None:
    async def main() -> None:
        elements = io.map(same, itertools.count(), workers=3, maxsize=1).to_async_iterable()
        async for _ in elements:
            break
        await elements.aclose()  # type: ignore[attr-defined]
        assert only_task()
        assert_nothing_left()

    asyncio.run(main())


def test_an_async_iteration_that_is_dropped_ends_with_its_loop() -> None:
    """`break` leaves an async generator to the loop, which closes it in time or at its end."""

    async def main() -> None:
        async for _ in io.map(same, pr.map(plain, itertools.count(), maxsize=1), maxsize=1):
            break

    asyncio.run(main())
    assert_nothing_left()


class AsyncSource:
    def __init__(self) -> None:
        self.closed = 0

    async def elements(self, n: float) -> AsyncIterator[int]:
        try:
            x = 0
            while x < n:
                yield x
                x += 1
        finally:
            await asyncio.sleep(0)
            self.closed += 1


async def take_all(stage: Any) -> None:
    assert [x async for x in stage]


async def take_one(stage: Any) -> None:
    elements = stage.to_async_iterable()
    async for _ in elements:
        break
    await elements.aclose()


async def be_cancelled(stage: Any) -> None:
    with pytest.raises(asyncio.TimeoutError):
        await asyncio.wait_for(awaited(io.each(same, stage)), 0.05)


@pytest.mark.parametrize(
    ("consume", "n"), [(take_all, 10), (take_one, float("inf")), (be_cancelled, float("inf"))]
)
def test_an_async_generator_as_source_is_closed(consume: Any, n: float) -> None:
    source = AsyncSource()

    async def main() -> None:
        await consume(io.map(same, source.elements(n), workers=2, maxsize=1))
        assert source.closed == 1
        assert only_task()

    asyncio.run(main())


def test_an_async_generator_as_source_is_closed_when_f_fails() -> None:
    source = AsyncSource()

    async def fail(x: int) -> None:
        raise KeyError(x)

    with pytest.raises(KeyError):
        list(io.map(fail, source.elements(float("inf")), maxsize=1))
    assert source.closed == 1
    assert_nothing_left()


def test_f_that_swallows_a_cancellation_once_is_cancelled_again() -> None:
    swallowed = []
    waits = threading.Event()

    async def f(x: int) -> int:
        if x:
            waits.set()
            try:
                await asyncio.sleep(1000)
            except asyncio.CancelledError:
                swallowed.append(x)
            await asyncio.sleep(1000)
        return x

    for _ in io.map(f, itertools.count(), maxsize=1):
        waits.wait()
        break
    assert swallowed == [1]
    assert_nothing_left()


def test_f_that_is_cancelled_by_somebody_else_is_an_error() -> None:
    async def f(x: int) -> None:
        raise asyncio.CancelledError

    with pytest.raises(PipelineError, match=r"map\(f\) was cancelled, but not by the pipeline"):
        list(io.map(f, range(10), maxsize=1))
    assert_nothing_left()


def test_an_unbounded_number_of_tasks_waits_together() -> None:
    """workers=0: each of them needs all the others to be there."""
    n = 300

    async def main() -> list[int]:
        everybody, arrived = asyncio.Event(), itertools.count(1)

        async def f(x: int) -> int:
            if next(arrived) == n:
                everybody.set()
            await everybody.wait()
            return x

        return await io.map(f, range(n), workers=0)

    assert sorted(asyncio.run(main())) == list(range(n))


def test_two_loops_iterate_one_stage_at_once() -> None:
    stage = io.map(same, range(300), workers=3, maxsize=1)
    got: list[list[int]] = []

    def run() -> None:
        async def main() -> None:
            got.append(await stage)

        asyncio.run(main())

    threads = [threading.Thread(target=run) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [sorted(each) for each in got] == [list(range(300))] * 2
