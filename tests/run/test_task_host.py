"""The task host on plans whose queues all lie in one loop: elements, workers, callbacks."""

from __future__ import annotations

import asyncio
import contextvars
import time
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from typing import Any

import pytest
from support.task_line import (
    CONCAT,
    EACH,
    FEED,
    FILTER,
    FLAT_MAP,
    MAP,
    SOURCE_END,
    Counts,
    FakeRun,
    collect,
    failure,
    immediately_plus_one,
    line,
    no_feeders,
    plus_one,
    sync_plus_one,
    values,
)

from pypeln.run.callbacks import StageStatus, WorkerInfo
from pypeln.run.plan import Outlet, PlannedStage, WorkerKind
from pypeln.run.task_host import StagePorts, TaskHost
from pypeln.transport.event_loop import CLOSED_ENTRY, ELEMENT, LoopQueue

# What an element goes through.


@pytest.mark.parametrize("f", [plus_one, immediately_plus_one, sync_plus_one])
@pytest.mark.parametrize("workers", [1, 3, 100, 0])
@pytest.mark.parametrize("maxsize", [0, 1, 4])
def test_map_sends_the_result_of_every_element(f: Any, workers: int, maxsize: int) -> None:
    each = line(range(500), {"f": f, "workers": workers}, {"f": f, "workers": workers}, maxsize=maxsize)
    assert sorted(values(each)) == list(range(2, 502))
    for stage in (0, 1, 2):
        assert each.run.counts[stage] == Counts(taken=500, emitted=500, sent=500)


def test_elements_keep_their_index_and_f_may_ask_for_it() -> None:
    def f(x: str, element_index: tuple[int, ...]) -> tuple[str, tuple[int, ...]]:
        return x, element_index

    got = asyncio.run(collect(line("abc", {"f": f})))
    assert got == [((x, (i,)), (i,)) for i, x in enumerate("abc")]


def test_filter_sends_the_element_and_says_what_it_dropped() -> None:
    async def odd(x: int) -> bool:
        return x % 2 == 1

    each = line(range(4), {"f": odd, "operator": FILTER}, ends=True)
    got = asyncio.run(collect(each))
    assert got == [
        ("END", (0,), 0),
        (1, (1,)),
        ("END", (2,), 0),
        (3, (3,)),
        ("END", (4,), SOURCE_END),
    ]
    assert each.run.counts[1] == Counts(taken=4, emitted=2, filtered=2, sent=2)


def as_list(x: int) -> Iterable[int]:
    return [x] * x


def as_generator(x: int) -> Iterator[int]:
    yield from [x] * x


async def as_awaited_list(x: int) -> list[int]:
    await asyncio.sleep(0)
    return [x] * x


async def as_async_generator(x: int) -> AsyncIterator[int]:
    for _ in range(x):
        await asyncio.sleep(0)
        yield x


async def as_awaited_async_generator(x: int) -> AsyncIterator[int]:
    return as_async_generator(x)


@pytest.mark.parametrize(
    "f", [as_list, as_generator, as_awaited_list, as_async_generator, as_awaited_async_generator]
)
@pytest.mark.parametrize("workers", [1, 4])
def test_flat_map_sends_each_child_and_their_number(f: Any, workers: int) -> None:
    each = line(range(4), {"f": f, "operator": FLAT_MAP, "workers": workers}, ends=True)
    got = asyncio.run(collect(each))
    children = [(x, (x, n)) for x in range(4) for n in range(x)]
    ends = [("END", (x,), x) for x in range(4)]
    assert sorted(got, key=str) == sorted([*children, *ends, ("END", (4,), SOURCE_END)], key=str)
    assert each.run.counts[1] == Counts(taken=4, emitted=4, sent=6)


def test_each_sends_nothing_but_its_ends() -> None:
    seen: list[int] = []
    each = line(range(3), {"f": seen.append, "operator": EACH}, ends=True)
    got = asyncio.run(collect(each))
    assert got == [("END", (0,), 0), ("END", (1,), 0), ("END", (2,), 0), ("END", (3,), SOURCE_END)]
    assert seen == [0, 1, 2]
    assert each.run.counts[1] == Counts(taken=3, emitted=3)


def test_every_outlet_gets_every_element_in_its_lane() -> None:
    stages = [
        PlannedStage(0, "a", WorkerKind.TASK, FEED, 1, 0, source="ab", outlets=[Outlet(0), Outlet(1, 3)]),
        PlannedStage(1, "b", WorkerKind.TASK, MAP, 1, 0, f=str.upper, inlet=0, outlets=[Outlet(2)]),
        PlannedStage(2, "c", WorkerKind.TASK, CONCAT, 1, 0, inlet=1, outlets=[Outlet(2, lane=1)]),
    ]
    queues = [LoopQueue(), LoopQueue(), LoopQueue(producers=2)]
    ports = {
        0: StagePorts(None, queues[:2], [False, True]),
        1: StagePorts(queues[0], [queues[2]], [False]),
        2: StagePorts(queues[1], [queues[2]], [True]),
    }
    run = FakeRun()

    async def main() -> None:
        await TaskHost(stages, ports, run).main()
        got = set()
        while (entry := queues[2].take_nowait()) is not CLOSED_ENTRY:
            got.add(entry)
        assert got == {
            ("A", (0,), 0, ELEMENT),
            ("B", (1,), 0, ELEMENT),
            ("a", (0,), 4, ELEMENT),
            ("b", (1,), 4, ELEMENT),
            (None, (2,), 4, SOURCE_END),
        }

    asyncio.run(main())
    assert run.errors == []


def test_end_marks_are_forwarded_where_they_are_wanted() -> None:
    each = line(range(4), {"f": lambda x: x > 1, "operator": FILTER}, {"f": sync_plus_one}, ends=True)
    got = asyncio.run(collect(each))
    assert got == [("END", (0,), 0), ("END", (1,), 0), (3, (2,)), (4, (3,)), ("END", (4,), SOURCE_END)]


# Workers.


@pytest.mark.parametrize("workers", [1, 7])
def test_no_more_than_workers_run_f_at_once_and_so_many_do(workers: int) -> None:
    running, most = 0, 0

    async def f(x: int) -> int:
        nonlocal running, most
        running += 1
        most = max(most, running)
        for _ in range(20):
            await asyncio.sleep(0)
        running -= 1
        return x

    assert len(values(line(range(200), {"f": f, "workers": workers}))) == 200
    assert most == workers


def test_without_a_limit_all_elements_run_at_once() -> None:
    running = 0

    async def f(x: int) -> int:
        nonlocal running
        running += 1
        while running < 300:
            await asyncio.sleep(0)
        return x

    assert sorted(values(line(range(300), {"f": f, "workers": 0}))) == list(range(300))


def test_without_a_limit_a_consumer_that_does_not_take_stops_the_source() -> None:
    """Or an endless source would fill the memory with workers that wait for room."""
    taken = 0

    async def f(x: int) -> int:
        nonlocal taken
        taken += 1
        await asyncio.sleep(0)
        return x

    def endless() -> Iterator[int]:
        while True:
            yield 0

    each = line(endless(), {"f": f, "workers": 0}, maxsize=4)

    async def main() -> None:
        task = asyncio.create_task(each.host.main())
        await each.sink.take()
        await asyncio.sleep(0.2)
        assert taken < 200
        each.host.abort()
        await task

    asyncio.run(main())
    assert no_feeders()


def test_elements_that_arrive_while_all_workers_are_busy_get_workers_of_their_own() -> None:
    async def main() -> None:
        met = asyncio.Event()
        inside = 0

        async def source() -> AsyncIterator[int]:
            for number in range(3):
                await asyncio.sleep(0.002)
                yield number

        async def f(x: int) -> int:
            nonlocal inside
            inside += 1
            if inside == 3:
                met.set()
            await met.wait()
            return x

        each = line(source(), {"f": f, "workers": 3})
        assert len(await asyncio.wait_for(collect(each), 10)) == 3

    asyncio.run(main())


def test_workers_that_never_await_leave_the_loop_to_others() -> None:
    """A ticker gets its turn all along, though no worker, source or queue ever has to wait."""

    async def main() -> None:
        ticks = 0

        async def tick() -> None:
            nonlocal ticks
            while True:
                await asyncio.sleep(0)
                ticks += 1

        def work(x: int) -> int:
            until = time.perf_counter() + 0.0005
            while time.perf_counter() < until:
                pass
            return x

        each = line(range(200), {"f": work}, {"f": work})
        ticker = asyncio.create_task(tick())
        await collect(each)
        ticker.cancel()
        assert ticks > 20

    asyncio.run(main())


# on_start, on_done, context.


@pytest.mark.parametrize("is_async", [False, True])
def test_on_start_and_on_done_run_once_and_inject(is_async: bool) -> None:
    calls: list[Any] = []

    def on_start(worker_info: WorkerInfo) -> dict[str, Any]:
        calls.append(("start", worker_info.index))
        return {"offset": 10}

    def on_done(stage_status: StageStatus, offset: int) -> None:
        calls.append(("done", stage_status.done, stage_status.active_workers, offset))

    async def async_on_start(worker_info: WorkerInfo) -> dict[str, Any]:
        await asyncio.sleep(0)
        return on_start(worker_info)

    async def async_on_done(stage_status: StageStatus, offset: int) -> None:
        await asyncio.sleep(0)
        on_done(stage_status, offset)

    async def f(x: int, offset: int) -> int:
        await asyncio.sleep(0)
        return x + offset

    starts: Callable[..., Any] = async_on_start if is_async else on_start
    ends: Callable[..., Any] = async_on_done if is_async else on_done
    each = line(range(20), {"f": f, "workers": 5, "on_start": starts, "on_done": ends})
    assert sorted(values(each)) == list(range(10, 30))
    assert calls == [("start", 0), ("done", True, 0, 10)]
    assert "stage 1" in each.run.done


@pytest.mark.parametrize("where", ["on_start", "on_done"])
def test_errors_of_callbacks_end_the_run(where: str) -> None:
    async def bad() -> None:
        raise KeyError("bad")

    error, stage, index = failure(line(range(5), {"f": plus_one, where: bad}))
    assert type(error) is KeyError
    assert (stage, index) == ("stage 1", None)


def test_on_start_must_return_a_dict_or_none() -> None:
    error, _, _ = failure(line(range(5), {"f": plus_one, "on_start": lambda: 3}))
    assert type(error) is TypeError
    assert "on_start" in str(error)


variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="nobody")


def test_workers_see_the_context_where_the_host_was_made_and_what_on_start_set() -> None:
    other: contextvars.ContextVar[str] = contextvars.ContextVar("other", default="unset")

    async def on_start() -> None:
        other.set("by on_start")

    async def f(x: int) -> tuple[str, str]:
        await asyncio.sleep(0)
        return variable.get(), other.get()

    token = variable.set("caller")
    each = line(range(3), {"f": f, "workers": 3, "on_start": on_start})
    variable.reset(token)
    thread = each.host.start_thread("pypeln test")
    thread.join(10)
    assert not thread.is_alive()
    got = [each.sink.take_nowait()[0] for _ in range(3)]
    assert got == [("caller", "by on_start")] * 3
