"""The task host: all `io` stages of a run, in one event loop.

The loop is the one that the caller iterates in (`async for`, `await`), or that of a thread made for the run
(`for`).

Failure modes. An error ends the run: it is reported, and every task of the host is cancelled, at once, and
again every `CANCEL_AGAIN_S`, because `f` may swallow a cancellation; after `GRACE_S` those that are still
there are named in a warning and left behind. `main` returns, or raises, only when its tasks have ended or
were left behind, also when it is cancelled itself. A loop that is dropped without a word closes the
coroutines, and they clean up what needs no loop.
"""

from __future__ import annotations

import asyncio
import contextvars
import threading
import warnings
from collections.abc import Coroutine, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, Protocol

from pypeln.errors import PipelineError, RunAborted
from pypeln.run import callbacks
from pypeln.run.notes import note_place
from pypeln.run.plan import Emission, PlannedStage
from pypeln.run.task_mover import Mover
from pypeln.run.task_source import Source
from pypeln.run.task_timing import Turn
from pypeln.run.task_worker import Workers
from pypeln.transport.event_loop import Inlet, Outlet

if TYPE_CHECKING:
    from pypeln.run.order import Ordering
    from pypeln.run.stats import StageCounters

GRACE_S: Final = 1.0  # reliability: everything is joined within a second once f has yielded
CANCEL_AGAIN_S: Final = 0.05


class Window(Protocol):
    """How far a source may run ahead of the oldest element that an `ordered` stage waits for."""

    def admit(self, position: int) -> bool:
        """Whether the element at this position of the source may be sent now."""
        ...

    async def wait(self, position: int) -> None:
        """Wait until it may. Cancelled when the run ends early."""


class RunControl(Protocol):
    """What a host asks of its run, and tells it. Called from the thread of the host's loop."""

    @property
    def aborted(self) -> bool:
        """Whether the run is ending early."""
        ...

    def fail(self, error: BaseException, stage: PlannedStage, index: tuple[int, ...] | None) -> None:
        """The run ends with this error, which happened at this element of this stage."""

    def count(self, stage_id: int, worker: int = 0) -> StageCounters:
        """Where a worker counts."""
        ...

    def window(self, stage: PlannedStage) -> Window | None:
        """How far a source may run ahead; None when nobody minds."""

    def ordering(self, stage: PlannedStage) -> Ordering:
        """What puts the elements of an `ordered` stage in order."""
        ...

    def source_iterator(self, stage: PlannedStage) -> Iterator[Any]:
        """What to iterate where a source wants to know when the run stops listening. Called in a thread."""
        ...

    def finished(self, stage: PlannedStage) -> None:
        """The workers of a stage have finished, and its on_done is about to be called."""


class StagePorts:
    """The queues of a stage, each opened for this stage alone.

    Args:
        inlet: What it takes from; None for a source.
        outlets: What it puts into: as many as, and in the order of, `PlannedStage.outlets`.
        ends: For each outlet, whether its edge carries END marks.
        lanes: How many lanes arrive at the inlet.
    """

    def __init__(
        self, inlet: Inlet | None, outlets: Sequence[Outlet], ends: Sequence[bool], lanes: int = 1
    ) -> None:
        self.inlet = inlet
        self.outlets = outlets
        self.ends = ends
        self.lanes = lanes


class StageInHost:
    """One stage of the plan while its host runs."""

    def __init__(self, host: TaskHost, plan: PlannedStage, ports: StagePorts) -> None:
        self.host = host
        self.plan = plan
        self.inlet = ports.inlet
        self.lanes = ports.lanes
        self.counters = host.run.count(plan.id)
        lanes = [outlet.lane for outlet in plan.outlets]
        self.outlets = list(zip(ports.outlets, lanes, strict=True))
        self.ended_outlets = [pair for pair, ends in zip(self.outlets, ports.ends, strict=True) if ends]

    async def main(self) -> None:
        """From on_start to the close of the outlets."""
        try:
            info = callbacks.WorkerInfo(0)
            injection = await callbacks.prepare_async(self.plan, info)
            if self.plan.operator.feeds:
                await Source(self).run()
            elif self.plan.operator.emission in (Emission.INPUT, Emission.GATHERED):
                await Mover(self).run()
            else:
                await Workers(self, injection).run()
            self.host.run.finished(self.plan)
            await callbacks.finish_async(self.plan, info, injection, lambda: 0)
            for outlet, _ in self.outlets:
                outlet.close()
        except GeneratorExit:
            raise
        except RunAborted:
            pass  # ends here: a Task keeps the traceback of what it raised, whose frames have the Task
        except BaseException as error:
            self.host.fail(error, self.plan, None)

    def abort(self) -> None:
        if self.inlet is not None:
            self.inlet.abort()
        for outlet, _ in self.outlets:
            outlet.abort()


class TaskHost:
    """Runs the `io` stages of a plan in one event loop.

    Make it where the iteration starts: its tasks see the context variables of that place.

    Args:
        stages: The stages, all of kind TASK.
        ports: Their queues, by stage id.
        run: The run they belong to.

    Example:
        ```python
        host = TaskHost(stages, ports, run)
        await host.main()                  # in the running loop, or
        host.start_thread("pypeln io").join()  # in a thread and loop of its own
        ```
    """

    def __init__(
        self, stages: Sequence[PlannedStage], ports: Mapping[int, StagePorts], run: RunControl
    ) -> None:
        self.stages = stages
        self.ports = ports
        self.run = run
        self.turn = Turn()
        self.aborting = False
        self._context = contextvars.copy_context()
        self._tasks: set[asyncio.Task[None]] = set()
        self._in_host: list[StageInHost] = []
        self._loop: asyncio.AbstractEventLoop | None = None
        self._ended: asyncio.Future[None] | None = None
        self._grace_end = 0.0

    async def main(self) -> None:
        """Run until all stages have ended, the run fails, or this is cancelled.

        Raises:
            asyncio.CancelledError: The caller was cancelled; by then everything has ended here.
        """
        self._loop = asyncio.get_running_loop()
        self._ended = ended = self._loop.create_future()
        self._in_host = [StageInHost(self, stage, self.ports[stage.id]) for stage in self.stages]
        if self.aborting or self.run.aborted:
            self.aborting = True
            for stage in self._in_host:
                stage.abort()
            return
        if not self._in_host:
            return
        for stage in self._in_host:
            self.make_task(stage.main(), stage.plan.name, self._context)
        cancelled: asyncio.CancelledError | None = None
        while not ended.done():
            try:
                await asyncio.wait((ended,))
            except asyncio.CancelledError as error:
                cancelled = error
                self._abort()
        if cancelled is not None:
            raise cancelled

    @property
    def loop(self) -> asyncio.AbstractEventLoop | None:
        """The loop that it runs in, once it runs."""
        return self._loop

    def abort(self) -> None:
        """End early: drop what is there and cancel everything. From any thread, at any time; idempotent."""
        loop = self._loop
        if loop is None:
            self.aborting = True
            return
        try:
            loop.call_soon_threadsafe(self._abort)
        except RuntimeError:  # the loop is closed, and so everything has ended
            pass

    def fail(self, error: BaseException, stage: PlannedStage, index: tuple[int, ...] | None) -> None:
        """End with an error. Only the first one counts: those that follow come of the cancellation."""
        if self.aborting:
            return
        if isinstance(error, (asyncio.CancelledError, SystemExit)):
            error = _explained(error, stage)
        note_place(error, stage.name, index)
        self.aborting = True
        self.run.fail(error, stage, index)
        self._abort()

    def make_task(
        self, coroutine: Coroutine[Any, Any, None], name: str, context: contextvars.Context
    ) -> asyncio.Task[None]:
        """Make a task of this host, which the end of the host waits for."""
        # Not loop.create_task: under an eager task factory a worker would run inside the one that makes it,
        # and a thousand of them within each other.
        task: asyncio.Task[None] = context.copy().run(asyncio.Task, coroutine, loop=self._loop, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._task_ended)
        return task

    def start_thread(self, name: str) -> threading.Thread:
        """Run in a loop of its own, in a new daemon thread of this name. Join it to wait for the end."""
        thread = threading.Thread(target=self._run_own_loop, name=name, daemon=True)
        thread.start()
        return thread

    def let_go(self) -> None:
        """Give up stages and ports, after the end."""
        self._in_host.clear()
        self.ports = {}

    def _abort(self) -> None:
        assert self._loop is not None and self._ended is not None
        if self._grace_end or self._ended.done():
            return
        self.aborting = True
        self._grace_end = self._loop.time() + GRACE_S
        for stage in self._in_host:
            stage.abort()
        self._cancel_tasks()

    def _cancel_tasks(self) -> None:
        assert self._loop is not None and self._ended is not None
        if self._ended.done():
            return
        if self._loop.time() >= self._grace_end:
            stuck = sorted({task.get_name() for task in self._tasks})
            warnings.warn(
                f"tasks of stage {', '.join(stuck)} did not end within {GRACE_S} s of being cancelled "
                "and were left behind; let f pass asyncio.CancelledError on",
                RuntimeWarning,
                stacklevel=2,
            )
            self._ended.set_result(None)
            return
        for task in self._tasks:
            task.cancel()
        self._loop.call_later(CANCEL_AGAIN_S, self._cancel_tasks)

    def _task_ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled():
            error = task.exception()
            if error is not None:
                self.run.fail(error, self.stages[0], None)
                self._abort()
        if not self._tasks and self._ended is not None and not self._ended.done():
            self._ended.set_result(None)

    def _run_own_loop(self) -> None:
        loop = asyncio.new_event_loop()
        try:
            asyncio.set_event_loop(loop)
            loop.run_until_complete(self.main())
        except BaseException as error:
            self.run.fail(error, self.stages[0], None)
        finally:
            try:
                loop.run_until_complete(_end_leftovers(loop))
            finally:
                asyncio.set_event_loop(None)
                loop.close()


async def _end_leftovers(loop: asyncio.AbstractEventLoop) -> None:
    """What `asyncio.run` does for tasks that `f` started and forgot, but for no longer than `GRACE_S`."""
    left = asyncio.all_tasks(loop) - {asyncio.current_task(loop)}
    for task in left:
        task.cancel()
    if left:
        await asyncio.wait(left, timeout=GRACE_S)
    await loop.shutdown_asyncgens()
    await loop.shutdown_default_executor()


def _explained(error: BaseException, stage: PlannedStage) -> PipelineError:
    """What to raise in the consumer for an exception that would end more than the pipeline there."""
    if isinstance(error, SystemExit):
        what = f"called sys.exit({error.code!r}) in an event loop, which cannot end the program from there"
    else:
        what = "was cancelled, but not by the pipeline: by itself, or because somebody cancelled its task"
    explained = PipelineError(
        f"a function of stage {stage.name} {what}; raise another exception to end the pipeline, or return"
    )
    explained.__cause__ = error
    return explained
