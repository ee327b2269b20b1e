"""The text of a report on a run: who waits for whom, every worker, every queue, every stack.

It is put together while the run goes on, so figures need not agree with each other to the last element.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

from pypeln._core.local import LocalRing
from pypeln._core.queue import InPort
from pypeln._core.shared import SharedRing
from pypeln.run.plan import Edge, PlannedStage, WorkerKind
from pypeln.run.process_stacks import stuck_state
from pypeln.run.stacks import is_running, loop_answers, stacks_of
from pypeln.run.wiring import is_ring, places
from pypeln.transport.loop_queue import LoopQueue
from pypeln.transport.shared_memory import SharedQueue

if TYPE_CHECKING:
    from pypeln.run.diagnosis import WatchedRun
    from pypeln.run.run import Run
    from pypeln.run.wiring import Queue

CONSUMER = "the consumer"
FATES = ("emitted", "filtered", "failed", "timed_out", "lost")
WAITING, FINISHED = 1, 3  # of Ledger.state


class Doing(NamedTuple):
    """What a worker is seen to do.

    Attributes:
        worker: Its index in the stage, and its process if it has one; "" for the tasks of a stage.
        what: In words.
        is_cause: Others may wait for this, and it waits for nobody in the pipeline.
    """

    worker: str
    what: str
    is_cause: bool = False


def counts_of(run: Run) -> list[tuple[int, ...]]:
    """The counters of every place in the ledger."""
    found = []
    for stage in run.plan.stages:
        for place in range(places(stage)):
            found.append(tuple(_counts(run, stage, place).values()))
    return found


def meter_of(queue: Queue) -> LocalRing | SharedRing | LoopQueue:
    """What has the figures of a queue."""
    return queue.ring if is_ring(queue) else queue


def is_asking(watched: WatchedRun) -> bool:
    """Whether the consumer waits for an element, or works on one inside of the pipeline."""
    run = watched.run
    if run.wiring.async_sink:
        return meter_of(run.wiring.queues[run.plan.sink]).awaited
    consumer = watched.consumer
    return consumer is not None and is_running(consumer)


def report(watched: WatchedRun, why: str) -> str:
    """Everything that is known of a run."""
    run = watched.run
    doing = {stage.id: list(_doing(watched, stage)) for stage in run.plan.stages}
    lines = [f"===== pypeln, process {os.getpid()}: {why} =====", "Who waits for whom:"]
    lines += [f"  {line}" for line in _causes(watched, doing)]
    lines.append("Stages:")
    for stage in run.plan.stages:
        lines.append(f"  {stage.name}: {_workers(stage)}; {_totals(run, stage)}")
        lines += [f"    {line}" for line in _grouped(doing[stage.id])]
    lines.append("Queues:")
    for edge, queue in zip(run.plan.edges, list(run.wiring.queues), strict=False):
        lines.append(f"  {_producers(run, edge)} -> {_consumer(run, edge)}: {_figures(queue)}")
    lines.append("Stacks, innermost frame last:")
    return "\n".join(lines) + "\n" + stacks_of(watched) + "===== end of the report =====\n"


def _causes(watched: WatchedRun, doing: dict[int, list[Doing]]) -> Iterator[str]:
    run = watched.run
    sink = run.plan.edges[run.plan.sink]
    depth = run.sink.depth if isinstance(run.sink, InPort) else run.sink.count
    asking = is_asking(watched)
    if run.aborted:
        yield "the run is ending early: it waits for those workers that have not left"
    elif run.succeeded or run._complete:
        yield "the consumer has had every element, and waits for those workers that have not left"
    elif not asking:
        yield (
            f"the consumer has not asked for an element for {time.monotonic() - watched.asked_at:.1f} s: "
            "workers that wait for room wait for the program behind the pipeline"
        )
    elif depth:
        yield f"the consumer is at work inside the pipeline, on an element of {_producers(run, sink)}"
    else:
        yield f"the consumer waits for an element from {_producers(run, sink)}"
    found = not asking or bool(depth)
    if loop_answers(run) is False:
        found = True
        yield "the event loop does not answer: something that does not await blocks it (see its thread below)"
    for stage in run.plan.stages:
        causes = [each for each in doing[stage.id] if each.is_cause]
        for line in _grouped(causes):
            found = True
            yield f"{stage.name}, {line}"
    if not found:
        yield (
            "everybody waits for somebody else, and nobody does anything: if this comes again in the next "
            "report, it is a bug of pypeln; please report it with all of this text"
        )


def _doing(watched: WatchedRun, stage: PlannedStage) -> Iterator[Doing]:
    run = watched.run
    if stage.kind is WorkerKind.TASK:
        yield _tasks_doing(watched, stage)
        return
    supervisor = run.supervisor
    pids = {} if supervisor is None else supervisor.pids()
    threads = {each.number: each for each in list(run._threads)}
    for worker in range(stage.workers):
        number = run.wiring.first[stage.id] + worker
        pid = pids.get(number)
        name = f"worker {worker}" if pid is None else f"worker {worker} (process {pid})"
        thread = threads.get(number)
        is_alive = (
            pid is not None if stage.kind is WorkerKind.PROCESS else thread and thread.thread.is_alive()
        )
        finished = run.wiring.ledger.state(number) == FINISHED
        if not is_alive:
            yield Doing(name, "has finished" if finished else "has ended")
        elif finished:
            what = "on_done has not returned" if stage.on_done else "it has not left yet"
            yield Doing(name, f"has no more elements, but {what}", True)
        else:
            what, is_cause = _worker_doing(watched, stage, number)
            state = None if pid is None else stuck_state(pid)
            if state is not None:
                what, is_cause = f"its process is {state}; {what}", True
            yield Doing(name, what, is_cause)


def _worker_doing(watched: WatchedRun, stage: PlannedStage, number: int) -> tuple[str, bool]:
    """What a worker that is alive does, and whether others may wait for it alone."""
    run = watched.run
    ledger = run.wiring.ledger
    still_s = time.monotonic() - watched.changed_at[number]
    counts = ledger.counts(number)
    in_hand = counts["taken"] - sum(counts[fate] for fate in FATES)
    busy_s = ledger.busy_s(number)
    if stage.operator.feeds:
        if in_hand > 0:
            return _room(run, stage), False
        if any(not window.admit(counts["taken"]) for window in run.wiring.windows_of(stage)):
            return "waits for an ordered stage that is too far behind", False
        return f"its source has not given an element for {still_s:.1f} s", True
    if busy_s > 0:
        return f"in f for {busy_s:.1f} s with element {_index(run, stage, number)}", True
    if ledger.state(number) == WAITING:
        return f"waits for an element from {_upstream(run, stage)}", False
    if not counts["taken"] and not stage.operator.holds_many and stage.f is not None:
        what = "on_start has not returned" if stage.on_start else "has not started"
        return f"{what} for {still_s:.1f} s", True
    assert stage.inlet is not None
    inlet = meter_of(run.wiring.queues[stage.inlet])
    if in_hand > 0 and not stage.operator.holds_many:
        return _room(run, stage), False
    if not inlet.count:
        return f"waits for an element from {_upstream(run, stage)}", False
    return _room(run, stage), False


def _tasks_doing(watched: WatchedRun, stage: PlannedStage) -> Doing:
    run = watched.run
    number = run.wiring.first[stage.id]
    counts = _counts(run, stage, 0)
    in_hand = counts["taken"] - sum(counts[fate] for fate in FATES)
    still_s = time.monotonic() - watched.changed_at[number]
    if run.wiring.ledger.state(number) == FINISHED:
        return Doing("", "has finished, or is in on_done")
    full = [edge for edge in _outlets(run, stage) if _is_full(run, edge)]
    if stage.operator.feeds:
        if full:
            return Doing("", _room(run, stage))
        return Doing("", f"its source has not given an element for {still_s:.1f} s", True)
    if stage.operator.holds_many:  # what it has in hand waits for other elements
        return Doing("", _room(run, stage) if full else f"waits for an element from {_upstream(run, stage)}")
    if not in_hand:
        if stage.on_start is not None and not counts["taken"]:
            return Doing("", f"waits for an element from {_upstream(run, stage)}, or for on_start")
        return Doing("", f"waits for an element from {_upstream(run, stage)}")
    if full:
        return Doing("", f"{in_hand} elements in f, or waiting for room: {_room(run, stage)}")
    return Doing("", f"{in_hand} elements in f, none of which has ended for {still_s:.1f} s", True)


def _index(run: Run, stage: PlannedStage, number: int) -> str:
    """element_index of what a worker has in hand, as far as it can be seen from here."""
    try:
        if stage.kind is WorkerKind.THREAD:
            thread = next(each for each in list(run._threads) if each.number == number)
            return str(thread.index)
        assert stage.inlet is not None
        leased = run.wiring.shared_queue(stage.inlet).inlet(number + 1, run.wiring.ledger, number)
        return str(leased.index) if leased.resume() else "(answered meanwhile)"
    except Exception:  # it went on to another while we looked
        return "(unknown)"


def _counts(run: Run, stage: PlannedStage, place: int) -> dict[str, int]:
    if stage.kind is WorkerKind.TASK:
        return run.plan.stats.counters(stage.id).as_dict()
    return run.wiring.ledger.counts(run.wiring.first[stage.id] + place)


def _totals(run: Run, stage: PlannedStage) -> str:
    """The counters of a stage: taken, emitted, and those others that have counted anything."""
    totals: dict[str, int] = {"taken": 0, "emitted": 0}
    for place in range(places(stage)):
        for name, count in _counts(run, stage, place).items():
            totals[name] = totals.get(name, 0) + count
    shown = {name: count for name, count in totals.items() if count or name in ("taken", "emitted")}
    return ", ".join(f"{name} {count}" for name, count in shown.items())


def _workers(stage: PlannedStage) -> str:
    kind = stage.kind.value
    if not stage.workers:
        return f"{kind}s without limit"
    return f"1 {kind}" if stage.workers == 1 else f"{stage.workers} {kind}{'e' * (kind[-1] == 's')}s"


def _grouped(doing: list[Doing]) -> Iterator[str]:
    """One line for all workers of which the same is to be said."""
    groups: dict[str, list[str]] = {}
    for worker, what, _ in doing:
        groups.setdefault(what, []).append(worker)
    for what, workers in groups.items():
        if workers == [""]:
            yield what
            continue
        more = f" and {len(workers) - 4} more" if len(workers) > 4 else ""
        yield f"{', '.join(workers[:4])}{more}: {what}"


def _figures(queue: Queue) -> str:
    meter = meter_of(queue)
    parts = [f"{meter.count} of {meter.capacity} elements"]
    if isinstance(queue, SharedQueue):
        usage = queue.ring.usage()
        parts.append(f"{usage['bytes']} of {usage['capacity']} bytes in {usage['blocks']} blocks")
    if meter.closed:
        parts.append("closed by its producers")
    if meter.aborted:
        parts.append("aborted")
    if meter.awaited:
        parts.append("an event loop waits for an element")
    return ", ".join(parts)


def _room(run: Run, stage: PlannedStage) -> str:
    full = [edge for edge in _outlets(run, stage) if _is_full(run, edge)]
    names = " and ".join(_consumer(run, edge) for edge in full or _outlets(run, stage))
    return f"waits for room in the queue to {names}" + (", which is full" if full else "")


def _is_full(run: Run, edge: Edge) -> bool:
    meter = meter_of(run.wiring.queues[edge.id])
    return meter.full


def _outlets(run: Run, stage: PlannedStage) -> list[Edge]:
    return [run.plan.edges[outlet.edge] for outlet in stage.outlets]


def _upstream(run: Run, stage: PlannedStage) -> str:
    return "nobody" if stage.inlet is None else _producers(run, run.plan.edges[stage.inlet])


def _producers(run: Run, edge: Edge) -> str:
    return " and ".join(run.plan.stages[id].name for id in edge.producers)


def _consumer(run: Run, edge: Edge) -> str:
    stage = run.plan.stage_of(edge)
    return CONSUMER if stage is None else stage.name
