"""A task host with a source and stages one after the other, whose queues all lie in one loop."""

from __future__ import annotations

import asyncio
import dataclasses
import threading
from collections.abc import Iterator
from typing import Any

from pypeln.errors import RunAborted
from pypeln.run.plan import Emission, Operator, Outlet, PlannedStage, WorkerKind
from pypeln.run.stats import StageCounters
from pypeln.run.task_host import StagePorts, TaskHost
from pypeln.transport.event_loop import CLOSED_ENTRY, ELEMENT, LoopQueue

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
