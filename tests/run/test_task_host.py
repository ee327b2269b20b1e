"""The task host on plans whose queues all lie in one loop."""

from __future__ import annotations

import asyncio
import contextvars
import dataclasses
import sys
import threading
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from typing import Any

import pytest

from pypeln.element import Element
from pypeln.errors import PipelineError, RunAborted
from pypeln.run import task_host, task_source
from pypeln.run.callbacks import StageStatus, WorkerInfo
from pypeln.run.plan import Emission, Operator, Outlet, PlannedStage, WorkerKind
from pypeln.run.stats import StageCounters
from pypeln.run.task_host import StagePorts, TaskHost
from pypeln.transport.event_loop import CLOSED_ENTRY, ELEMENT, EMPTY_ENTRY, LoopQueue

FEED = Operator("from_iterable", Emission.INPUT, feeds=True)
MAP = Operator("map", Emission.RESULT)
FILTER = Operator("filter", Emission.INPUT_IF_RESULT)
FLAT_MAP = Operator("flat_map", Emission.EACH_OF_RESULT)
EACH = Operator("each", Emission.NOTHING)
CONCAT = Operator("concat", Emission.INPUT)

SOURCE_END = 2**64 - 1
UNTRACKED = 2**64 - 2


class Counts(StageCounters):
    """Counters that can be compared."""

    def __init__(self, **counts: int) -> None:
        super().__init__()
        for name, count in counts.items():
            setattr(self, name, count)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Counts) and self.as_dict() == other.as_dict()

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"Counts({self.as_dict()})"


class FakeRun:
    """Records what the host reports."""

    def __init__(self) -> None:
        self.aborted = False
        self.errors: list[tuple[BaseException, str, tuple[int, ...] | None]] = []
        self.counts: dict[int, Counts] = {}
        self.windows: dict[int, Any] = {}
        self.done: list[str] = []

    def fail(self, error: BaseException, stage: PlannedStage, index: tuple[int, ...] | None) -> None:
        self.aborted = True
        self.errors.append((error, stage.name, index))

    def count(self, stage_id: int, worker: int = 0) -> Counts:
        return self.counts.setdefault(stage_id, Counts())

    def window(self, stage: PlannedStage) -> Any:
        return self.windows.get(stage.id)

    def ordering(self, stage: PlannedStage) -> Any:
        raise AssertionError("no stage here reorders")

    def source_iterator(self, stage: PlannedStage) -> Iterator[Any]:
        return stage.source._feed_run()  # type: ignore[no-any-return]

    def finished(self, stage: PlannedStage) -> None:
        self.done.append(stage.name)


@dataclasses.dataclass
class Line:
    """A source and stages one after the other, and the queue that comes out."""

    host: TaskHost
    run: FakeRun
    queues: list[LoopQueue]
    sink: LoopQueue


def line(source: Any, *stages: dict[str, Any], ends: bool = False, maxsize: int = 0) -> Line:
    planned = [PlannedStage(0, "source", WorkerKind.TASK, FEED, 1, 0, source=source, outlets=[Outlet(0)])]
    for number, options in enumerate(stages, start=1):
        settings = {"operator": MAP, "workers": 1, "timeout": 0.0, "name": f"stage {number}", **options}
        planned.append(
            PlannedStage(
                id=number, kind=WorkerKind.TASK, inlet=number - 1, outlets=[Outlet(number)], **settings
            )
        )
    queues = [LoopQueue(maxsize) for _ in planned]
    ports = {
        stage.id: StagePorts(None if stage.inlet is None else queues[stage.inlet], [queues[stage.id]], [ends])
        for stage in planned
    }
    run = FakeRun()
    return Line(TaskHost(planned, ports, run), run, queues, queues[-1])


async def collect(line: Line) -> list[Any]:
    """All entries of a line: (value, index) of elements, ("END", index, count) of marks."""
    main = asyncio.create_task(line.host.main())
    got: list[Any] = []
    try:
        while (entry := await line.sink.take()) is not CLOSED_ENTRY:
            value, index, _, count = entry
            got.append((value, index) if count == ELEMENT else ("END", index, count))
    except RunAborted:
        pass
    await asyncio.wait_for(main, 10)
    return got


def values(line: Line) -> list[Any]:
    """Run a line that must not fail; the values that came out."""
    got = asyncio.run(collect(line))
    assert line.run.errors == []
    return [value for value, *_ in got]


def failure(line: Line) -> tuple[BaseException, str, tuple[int, ...] | None]:
    """Run a line that must fail, once; the error it reported. Nothing it started is left."""

    async def main() -> None:
        await collect(line)
        assert asyncio.all_tasks() == {asyncio.current_task()}

    asyncio.run(main())
    [error] = line.run.errors
    return error


def no_feeders() -> bool:
    return not any(thread.name.endswith(" source") for thread in threading.enumerate())


async def plus_one(x: int) -> int:
    await asyncio.sleep(0)
    return x + 1


async def immediately_plus_one(x: int) -> int:
    return x + 1


def sync_plus_one(x: int) -> int:
    return x + 1


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


# Sources.


@pytest.mark.parametrize(
    "source",
    [[3, 1, 2], (3, 1), range(5), {4: 1}, {7}, "ab", b"ab", deque([1]), {1: 2}.items(), [], iter([1, 2])],
    ids=repr,
)
def test_everything_iterable_is_a_source(source: Any) -> None:
    expected = [3, 1, 2] if not isinstance(source, Iterable) else None
    if expected is None:
        expected = [1, 2] if type(source) is type(iter([])) else list(source)
    assert values(line(source, {"f": lambda x: x})) == expected


@pytest.mark.parametrize("kind", [list, iter], ids=["container", "iterator"])
def test_elements_keep_the_index_they_bring(kind: Any) -> None:
    source = kind([Element((5,), "a"), Element((2, 1), "b")])
    got = asyncio.run(collect(line(source, ends=True)))
    assert got == [("END", (0,), UNTRACKED), ("a", (5,)), ("b", (2, 1)), ("END", (2,), SOURCE_END)]


def test_an_index_that_is_none_is_refused() -> None:
    error, stage, _ = failure(line([Element((-1,), "a")]))
    assert type(error) is ValueError
    assert stage == "source"


def test_a_source_that_cannot_be_iterated_is_refused() -> None:
    error, _, _ = failure(line(3))
    assert type(error) is TypeError
    assert "int" in str(error)


def test_an_error_of_the_source_arrives_after_its_elements_were_taken() -> None:
    def source() -> Iterator[int]:
        yield 1
        raise LookupError("source")

    async def async_source() -> AsyncIterator[int]:
        yield 1
        raise LookupError("source")

    for each in (source, async_source):
        error, stage, _ = failure(line(each(), {"f": plus_one}))
        assert type(error) is LookupError
        assert stage == "source"
    assert no_feeders()


@pytest.mark.parametrize("is_async", [False, True])
@pytest.mark.parametrize("how", ["exhausted", "failed", "aborted", "cancelled"])
def test_a_generator_is_closed_however_the_run_ends(is_async: bool, how: str) -> None:
    closed = []

    def numbers() -> Iterator[int]:
        try:
            yield from range(5 if how == "exhausted" else 10**9)
        finally:
            closed.append(threading.current_thread() is threading.main_thread())

    async def async_numbers() -> AsyncIterator[int]:
        try:
            for number in range(5 if how == "exhausted" else 10**9):
                yield number
        finally:
            await asyncio.sleep(0)
            closed.append(True)

    async def f(x: int) -> int:
        await asyncio.sleep(0)
        if how == "failed" and x == 3:
            raise ValueError
        return x

    async def main() -> None:
        each = line(async_numbers() if is_async else numbers(), {"f": f, "workers": 3}, maxsize=3)
        if how in ("exhausted", "failed"):
            await collect(each)
            return
        task = asyncio.create_task(each.host.main())
        await each.sink.take()
        if how == "aborted":
            each.host.abort()
            await task
        else:
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
        assert closed

    asyncio.run(main())
    assert closed == [is_async]  # a plain generator in the thread that iterated it
    assert no_feeders()


@pytest.mark.parametrize("maxsize", [1, 3])
def test_no_more_is_taken_from_a_generator_than_the_queue_has_room_for(maxsize: int) -> None:
    pulled = 0

    def source() -> Iterator[int]:
        nonlocal pulled
        for number in range(50):
            pulled += 1
            yield number

    each = line(source(), maxsize=maxsize)

    async def main() -> None:
        task = asyncio.create_task(each.host.main())
        for taken in range(50):
            while (entry := each.sink.take_nowait()) is EMPTY_ENTRY:
                await asyncio.sleep(0.001)
            await asyncio.sleep(0.002)
            assert pulled <= taken + 1 + maxsize
            assert entry[0] == taken
        await task

    asyncio.run(main())


def test_a_slow_source_is_delivered_element_by_element() -> None:
    """The next element is made only after the one before has arrived."""
    arrived = threading.Semaphore(1)

    def source() -> Iterator[int]:
        for number in range(200):
            assert arrived.acquire(timeout=10)
            yield number

    each = line(source(), {"f": lambda x: (arrived.release(), x)[1]})
    assert values(each) == list(range(200))


def test_a_source_that_blocks_is_named_and_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(task_source, "JOIN_S", 0.2)
    blocks, release = threading.Event(), threading.Event()

    def source() -> Iterator[int]:
        yield 1
        blocks.set()
        release.wait(30)
        yield 2

    async def main() -> None:
        each = line(source(), {"f": plus_one})
        task = asyncio.create_task(each.host.main())
        await each.sink.take()
        await asyncio.to_thread(blocks.wait)
        each.host.abort()
        with pytest.warns(RuntimeWarning, match="'source source' did not return"):
            await task

    asyncio.run(main())
    release.set()
    for thread in threading.enumerate():
        if thread.name == "source source":
            thread.join(10)
    assert no_feeders()


def test_a_loop_that_is_dropped_lets_the_feeder_go() -> None:
    def source() -> Iterator[int]:
        while True:
            yield 1

    each = line(source(), {"f": plus_one}, maxsize=2)
    loop = asyncio.new_event_loop()
    task = loop.create_task(each.host.main())
    loop.run_until_complete(each.sink.take())
    for other in [task, *each.host._tasks]:
        other._log_destroy_pending = False  # type: ignore[attr-defined]
        other.get_coro().close()  # type: ignore[union-attr]
    loop.close()
    for thread in threading.enumerate():
        if thread.name == "source source":
            thread.join(10)
    assert no_feeders()


class NarrowWindow:
    """Lets a source be one position ahead of what it is told."""

    def __init__(self) -> None:
        self.floor = 0
        self.waits = 0
        self.changed: asyncio.Event | None = None

    def admit(self, position: int) -> bool:
        return position <= self.floor

    async def wait(self, position: int) -> None:
        self.waits += 1
        self.changed = asyncio.Event()
        while not self.admit(position):
            await self.changed.wait()
            self.changed.clear()


@pytest.mark.parametrize("kind", [list, iter], ids=["container", "iterator"])
def test_a_windowed_source_waits_for_its_window(kind: Any) -> None:
    each = line(kind(list(range(20))))
    window = each.run.windows[0] = NarrowWindow()

    async def main() -> None:
        task = asyncio.create_task(each.host.main())
        for number in range(20):
            assert (await each.sink.take())[0] == number
            await asyncio.sleep(0.001)
            assert each.sink.take_nowait() is (CLOSED_ENTRY if number == 19 else EMPTY_ENTRY)
            window.floor += 1
            if window.changed is not None:
                window.changed.set()
        await task

    asyncio.run(main())
    assert window.waits == 19
