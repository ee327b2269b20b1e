"""A coroutine that leaves, or is cancelled, ends its run: at once, completely, sources included."""

from __future__ import annotations

import asyncio
import itertools
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
from support.process_table import children, thread_names

from pypeln import io, pr, th


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
def test_promise_07_cancelling_who_waits_for_a_stage_ends_it(
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
def test_promise_07_a_time_limit_around_a_stage_ends_it(shape: Callable[[Any], Any], fork: None) -> None:
    stuck = Stuck()

    async def main() -> None:
        task = asyncio.ensure_future(awaited(shape(stuck.f)))
        await stuck.is_waiting()
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(task, 0.1)
        assert only_task()
        assert_nothing_left()

    asyncio.run(main())
    assert stuck.cancelled


def test_promise_07_leaving_an_async_iteration_and_closing_it_ends_it() -> None:
    async def main() -> None:
        elements = io.map(same, itertools.count(), workers=3, maxsize=1).to_async_iterable()
        async for _ in elements:
            break
        await elements.aclose()  # type: ignore[attr-defined]
        assert only_task()
        assert_nothing_left()

    asyncio.run(main())


def test_promise_07_an_async_iteration_that_is_dropped_ends_with_its_loop() -> None:
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
def test_promise_07_an_async_generator_as_source_is_closed(consume: Any, n: float) -> None:
    source = AsyncSource()

    async def main() -> None:
        await consume(io.map(same, source.elements(n), workers=2, maxsize=1))
        assert source.closed == 1
        assert only_task()

    asyncio.run(main())


def test_promise_07_an_async_generator_as_source_is_closed_when_f_fails() -> None:
    source = AsyncSource()

    async def fail(x: int) -> None:
        raise KeyError(x)

    with pytest.raises(KeyError):
        list(io.map(fail, source.elements(float("inf")), maxsize=1))
    assert source.closed == 1
    assert_nothing_left()


def test_promise_07_f_that_swallows_a_cancellation_once_is_cancelled_again() -> None:
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
