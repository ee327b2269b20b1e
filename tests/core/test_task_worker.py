"""A task worker as the coroutine that a Task drives: what it awaits, and how it ends."""

from __future__ import annotations

import asyncio
import collections.abc
import gc
import weakref
from collections.abc import Awaitable, Callable, Generator
from typing import Any

import pytest

from pypeln._core.counters import Counters
from pypeln._core.entries import CLOSED_ENTRY, ELEMENT, LoopEnd
from pypeln._core.task_worker import Crew, TaskWorker, is_awaitable
from pypeln.run.plan import Emission
from pypeln.transport.loop_queue import LoopQueue


class Recorded(Crew):
    """A crew that writes down what its workers ask for."""

    def __init__(self, f: Any, emission: Emission = Emission.RESULT, maxsize: int = 0) -> None:
        self.queue = LoopQueue()
        self.sink = LoopQueue(maxsize)
        super().__init__(
            emission, f, {}, False, self.queue, [(self.sink, 0)], False, Counters(), 1, 10**9, 1000
        )
        self.alive = 1
        self.failed: list[tuple[BaseException, Any]] = []
        self.recovered: list[tuple[Any, Exception]] = []

    def _hire_more(self) -> None:
        raise AssertionError("this crew has one worker")

    def _fail(self, error: BaseException, index: Any) -> None:
        self.failed.append((error, index))

    async def _recover(self, value: Any, index: Any, lane: int, problem: Exception, *_: object) -> None:
        self.recovered.append((value, problem))

    async def _wait_to_put(self, outlet: LoopQueue, entry: Any) -> None:
        await outlet.put(entry)

    def feed(self, *values: Any) -> None:
        assert self.queue.put_values(list(values), 0, 0, 0) == len(values)
        self.queue.close()

    def results(self) -> list[Any]:
        got = []
        while len(self.sink):
            got.append(self.sink.take_nowait()[0])
        return got


def run(crew: Recorded) -> list[Any]:
    asyncio.run(_as_task(crew))
    return crew.results()


async def _as_task(crew: Recorded) -> None:
    await asyncio.create_task(TaskWorker(crew, False))  # type: ignore[arg-type]


class Once:
    """An awaitable that is no coroutine."""

    def __init__(self, value: Any) -> None:
        self.value = value

    def __await__(self) -> Generator[Any, None, Any]:
        yield from asyncio.sleep(0).__await__()
        return self.value


async def coroutine(x: int) -> int:
    await asyncio.sleep(0)
    return x


async def future(x: int) -> int:
    loop = asyncio.get_running_loop()
    waiter: asyncio.Future[int] = loop.create_future()
    loop.call_soon(waiter.set_result, x)
    return await waiter


async def group(x: int) -> int:
    return sum(await asyncio.gather(coroutine(x), coroutine(0)))


def bare_future(x: int) -> Awaitable[int]:
    return asyncio.ensure_future(coroutine(x))


@pytest.mark.parametrize("f", [coroutine, future, group, bare_future, Once, abs])
def test_whatever_can_be_awaited_is_awaited(f: Callable[[int], Any]) -> None:
    crew = Recorded(f)
    crew.feed(1, 2, 3)
    assert run(crew) == [1, 2, 3]
    assert crew.failed == crew.recovered == []
    assert (crew.counters.taken, crew.counters.emitted, crew.counters.sent) == (3, 3, 3)


def test_a_worker_is_a_coroutine_for_those_who_ask() -> None:
    worker = TaskWorker(Recorded(coroutine), False)
    assert isinstance(worker, collections.abc.Coroutine)
    assert asyncio.iscoroutine(worker)
    assert is_awaitable(worker)
    assert "coroutine" in repr(worker)


def test_an_await_that_gives_no_iterator_is_an_error_of_the_element() -> None:
    class Wrong:
        def __init__(self, x: int) -> None:
            pass

        def __await__(self) -> Any:
            return 7

    crew = Recorded(Wrong)
    crew.feed(1)
    assert run(crew) == []
    [(value, problem)] = crew.recovered
    assert value == 1 and isinstance(problem, TypeError) and "non-iterator" in str(problem)


@pytest.mark.parametrize("error", [ValueError, StopIteration, StopAsyncIteration, TimeoutError])
def test_an_exception_of_f_is_for_the_policy_and_the_worker_goes_on(error: type[Exception]) -> None:
    def f(x: int) -> int:
        if x == 2:
            raise error(x)
        return x

    crew = Recorded(f)
    crew.feed(1, 2, 3)
    assert run(crew) == [1, 3]
    [(value, problem)] = crew.recovered
    assert value == 2 and type(problem) is error


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit, GeneratorExit])
def test_what_is_no_exception_ends_the_worker_and_names_the_element(error: type[BaseException]) -> None:
    async def f(x: int) -> int:
        await asyncio.sleep(0)
        raise error

    crew = Recorded(f)
    crew.feed(1, 2)
    assert run(crew) == []
    [(failed, index)] = crew.failed
    assert type(failed) is error and index == (0,)


def test_a_cancellation_reaches_f_which_may_refuse_it() -> None:
    seen = []

    async def f(x: int) -> int:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            seen.append(x)
        await asyncio.sleep(0)
        return x

    crew = Recorded(f)
    crew.feed(5)

    async def main() -> None:
        task = asyncio.create_task(TaskWorker(crew, False))  # type: ignore[arg-type]
        await asyncio.sleep(0)
        task.cancel()
        await task

    asyncio.run(main())
    assert seen == [5] == crew.results()


def test_a_cancellation_ends_a_worker_that_waits_for_an_element_or_for_room() -> None:
    for waits_for_room in (False, True):
        crew = Recorded(abs, maxsize=1)

        async def main(crew: Recorded = crew, full: bool = waits_for_room) -> None:
            if full:
                crew.queue.put_values([1, 2], 0, 0, 0)
            task = asyncio.create_task(TaskWorker(crew, False))  # type: ignore[arg-type]
            await asyncio.sleep(0)
            task.cancel()
            await task

        asyncio.run(main())
        [(error, index)] = crew.failed
        assert isinstance(error, asyncio.CancelledError)
        assert index == ((1,) if waits_for_room else None)


class Forever:
    """Never done, and needs no loop."""

    def __await__(self) -> Generator[None, None, None]:
        while True:
            yield


def test_closing_a_worker_closes_f() -> None:
    left = []

    async def f(x: int) -> None:
        try:
            await Forever()
        finally:
            left.append(x)

    for drop in (False, True):
        crew = Recorded(f)
        crew.feed(drop)
        worker = TaskWorker(crew, False)
        next(worker)
        if not drop:
            worker.close()
            with pytest.raises(RuntimeError):
                next(worker)
        del worker
        gc.collect()
    assert left == [False, True]


def test_values_are_not_kept() -> None:
    class Value:
        pass

    first = Value()
    gone = weakref.ref(first)

    async def f(x: Value) -> bool:
        await asyncio.sleep(0)
        return gone() is None

    crew = Recorded(f, Emission.INPUT_IF_RESULT)
    crew.feed(first, Value())
    del first
    assert len(run(crew)) == 1


def test_a_worker_that_never_waits_gives_way_when_its_turn_is_over() -> None:
    crew = Recorded(abs)
    crew.feed(*range(5000))
    worker = TaskWorker(crew, False)
    crew.alive = 10**9  # that many share the quantum, so nothing is left of it
    assert next(worker) is None
    assert 0 < len(crew.sink) < 5000


class Plain(LoopEnd):
    """An end that is written in Python."""

    def __init__(self, *entries: Any) -> None:
        self.entries = list(entries)

    def take_nowait(self) -> Any:
        return self.entries.pop(0) if self.entries else CLOSED_ENTRY

    def put_nowait(self, entry: Any) -> bool:
        self.entries.append(entry)
        return True


def test_ends_may_be_written_in_python() -> None:
    index = (3, 1)
    inlet, outlet = Plain(("a", index, 2, ELEMENT), (None, (4,), 0, 2)), Plain()
    crew = Recorded(str.upper)
    Crew.__init__(
        crew, Emission.RESULT, str.upper, {}, False, inlet, [(outlet, 5)], False, Counters(), 1, 10**9, 9
    )
    asyncio.run(_as_task(crew))
    assert outlet.entries == [("A", index, 7, ELEMENT)]
