"""Where everybody of a run is: the stacks of threads, of tasks, and of worker processes."""

from __future__ import annotations

import asyncio
import gc
import linecache
import sys
import threading
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import AsyncGeneratorType, FrameType
from typing import TYPE_CHECKING, Any

from pypeln.run.process_stacks import Frame, Worker, ask

if TYPE_CHECKING:
    from pypeln.run.diagnosis import WatchedRun
    from pypeln.run.run import Run

# Of a stack that is deeper, the innermost frames are shown.
DEEPEST = 40

# How long an event loop may take to answer before it counts as blocked.
LOOP_ANSWER_S = 0.3

# Frames outside of these say how pypeln was started, and nothing about the worker.
ENTRANCES = (
    "worker_process.py",
    "worker_thread.py",
    "task_host.py",
    "task_mover.py",
    "task_worker.py",
    "task_source.py",
    "supervisor.py",
)
OURS = str(Path(__file__).parent)


def stacks_of(watched: WatchedRun) -> str:
    """The stacks of all that belongs to a run. Takes a moment: processes and the event loop are asked."""
    run = watched.run
    found: dict[str, list[str]] = {}  # a thousand tasks that wait at the same place are one entry
    silent = []
    for who, stack in [*_thread_stacks(watched), *_task_stacks(run), *_process_stacks(watched)]:
        if stack:
            found.setdefault(stack, []).append(who)
        else:
            silent.append(f"  {who}\n")
    return "".join([*(f"  {_names(who)}:\n{stack}" for stack, who in found.items()), *silent])


def loop_answers(run: Run) -> bool | None:
    """Whether the event loop of the task stages gets to run what it is given; None when there is no loop."""
    loop = None if run.tasks is None else run.tasks.loop
    if loop is None or loop.is_closed():
        return None
    answered = threading.Event()
    try:
        loop.call_soon_threadsafe(answered.set)
    except RuntimeError:  # closed meanwhile
        return None
    return answered.wait(LOOP_ANSWER_S)


def is_running(frame: FrameType) -> bool:
    """Whether a frame is on the stack of some thread."""
    for top in sys._current_frames().values():
        each: FrameType | None = top
        while each is not None:
            if each is frame:
                return True
            each = each.f_back
    return False


def _thread_stacks(watched: WatchedRun) -> Iterator[tuple[str, str]]:
    names = {thread.ident: thread.name for thread in threading.enumerate()}
    consumer = watched.consumer
    for ident, top in sys._current_frames().items():
        if ident == threading.get_ident():
            continue
        frames = []
        consumes = False
        frame: FrameType | None = top
        while frame is not None:
            frames.append(_of(frame))
            consumes = consumes or frame is consumer
            frame = frame.f_back
        name = names.get(ident, str(ident))
        yield f"thread {name!r}{' (the consumer)' if consumes else ''}", _written(_shortened(frames[::-1]))


def _task_stacks(run: Run) -> Iterator[tuple[str, str]]:
    loop = None if run.tasks is None else run.tasks.loop
    if loop is None:
        return
    for task in asyncio.all_tasks(loop):
        yield f"task {task.get_name()!r}", _written(_shortened(task_frames(task)))


def task_frames(task: asyncio.Task[Any]) -> list[Frame]:
    """Where a task is, through all that it awaits; for the one that runs, as far as it awaited."""
    frames: list[Frame] = []
    awaited: Any = task.get_coro()
    while awaited is not None and len(frames) < 1000:
        frame = _first(awaited, "cr_frame", "ag_frame", "gi_frame")
        if frame is not None:
            frames.append(_of(frame))
        following = _first(awaited, "cr_await", "ag_await", "gi_yieldfrom")
        if following is None and frame is None:
            # `async for` and `anext` await something that shows its generator to the collector alone.
            inner = (each for each in gc.get_referents(awaited) if isinstance(each, AsyncGeneratorType))
            following = next(inner, None)
        awaited = following
    return frames


def _process_stacks(watched: WatchedRun) -> Iterator[tuple[str, str]]:
    run = watched.run
    supervisor = run.supervisor
    pids = {} if supervisor is None else supervisor.pids()
    asked, names = [], []
    for stage in run.plan.stages:
        first = run.wiring.first[stage.id]
        for worker in range(stage.workers):
            number = first + worker
            if number in pids and number in watched.dumps:
                has_worked = run.wiring.ledger.counts(number)["taken"] > 0
                asked.append(Worker(pids[number], watched.dumps[number], has_worked))
                names.append(f"process {pids[number]}, {stage.name} worker {worker}")
    for name, answer in zip(names, ask(asked), strict=True):
        if isinstance(answer, str):
            yield f"{name} {answer}", ""
        elif len(answer) == 1:
            yield name, _written(_shortened(answer[0]))
        else:
            for number, stack in enumerate(answer, 1):
                yield f"{name}, thread {number} of {len(answer)}", _written(_shortened(stack))


def _of(frame: FrameType) -> Frame:
    return Frame(frame.f_code.co_filename, frame.f_lineno or 0, frame.f_code.co_name)


def _shortened(frames: list[Frame]) -> list[Frame]:
    """From where a worker begins, if this is one, and no deeper than anybody reads."""
    for number in range(len(frames) - 1, -1, -1):
        path = frames[number].file
        if path.startswith(OURS) and path.endswith(ENTRANCES):
            frames = frames[number:]
            break
    return frames[-DEEPEST:]


def _written(frames: Iterable[Frame]) -> str:
    lines = []
    for file, line, name in frames:
        lines.append(f'    File "{file}", line {line}, in {name}\n')
        source = linecache.getline(file, line).strip()
        if source:
            lines.append(f"      {source}\n")
    return "".join(lines)


def _names(who: list[str]) -> str:
    if len(who) == 1:
        return who[0]
    more = f" and {len(who) - 3} more" if len(who) > 3 else ""
    return f"{len(who)} at the same place: {'; '.join(who[:3])}{more}"


def _first(awaited: Any, *names: str) -> Any:
    for name in names:
        value = getattr(awaited, name, None)
        if value is not None:
            return value
    return None
