"""Joins the task host to a run: gives it queues, counters and windows, and carries its end both ways."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from pypeln._core.memory import Window
from pypeln.run.notes import unsendable
from pypeln.run.order import Ordering
from pypeln.run.plan import PlannedStage
from pypeln.run.stats import StageCounters
from pypeln.run.task_host import StagePorts, TaskHost
from pypeln.transport.bells import Bell
from pypeln.transport.event_loop import (
    AsyncInPort,
    AsyncOutPort,
    Inlet,
    LoopQueue,
    Outlet,
    listen,
)

if TYPE_CHECKING:
    from pypeln.run.run import Run

# How long the loop's thread has after an abort: the host's own grace, and its second one for leftovers.
JOIN_S = 3.0


class LoopWindow:
    """A source's windows, for a coroutine to wait for. One bell for all of them.

    Args:
        windows: Those that the source must not run ahead of.
    """

    def __init__(self, windows: list[Window], bell: Bell) -> None:
        self._windows = windows
        self._bell = bell

    def admit(self, position: int) -> bool:
        """Whether the source may send the element at this position now."""
        return all(window.admit(position) for window in self._windows)

    async def wait(self, position: int) -> None:
        """Wait until it may."""
        loop = asyncio.get_running_loop()
        changed = asyncio.Event()
        listener = listen(loop, self._bell.listen_fd, changed.set)
        try:
            while True:
                for window in self._windows:
                    window.arm()
                if self.admit(position):
                    return
                await changed.wait()
                changed.clear()
        finally:
            listener.leave(changed.set)


class TaskRun:
    """The task stages of a run.

    Args:
        run: The run.
        stages: Its stages of kind TASK.
    """

    def __init__(self, run: Run, stages: list[PlannedStage]) -> None:
        self._run = run
        self._thread: threading.Thread | None = None
        self._main: asyncio.Task[None] | None = None
        self._host = TaskHost(stages, {stage.id: self._ports(stage) for stage in stages}, self)

    # What the host asks.

    @property
    def aborted(self) -> bool:
        return self._run.aborted

    def fail(self, error: BaseException, stage: PlannedStage, index: tuple[int, ...] | None) -> None:
        self._run.fail(error)

    def count(self, stage_id: int, worker: int = 0) -> StageCounters:
        return self._run.plan.stats.counters(stage_id)

    def window(self, stage: PlannedStage) -> LoopWindow | None:
        windows = self._run.wiring.windows_of(stage)
        if not windows:
            return None
        return LoopWindow(windows, self._run.wiring.window_bell())

    def ordering(self, stage: PlannedStage) -> Ordering:
        assert stage.inlet is not None
        return Ordering(self._run.plan.edges[stage.inlet].lanes, self._run.wiring.windows_behind(stage))

    def source_iterator(self, stage: PlannedStage) -> Iterator[Any]:
        return self._run.source_iterator(stage)

    def finished(self, stage: PlannedStage) -> None:
        self._run.wiring.ledger.finish(self._run.wiring.first[stage.id])

    # What the run asks.

    def start_thread(self) -> None:
        """Run in a thread and loop of their own."""
        self._thread = self._host.start_thread("pypeln event loop")

    def start_in_loop(self) -> None:
        """Run in the running loop."""
        self._main = asyncio.get_running_loop().create_task(self._host.main(), name="pypeln task host")

    def abort(self) -> None:
        """Cancel every task. From any thread."""
        self._host.abort()

    def join(self) -> bool:
        """Wait for the thread, if there is one. False when it does not end: a function blocks the loop."""
        if self._thread is None:
            return True
        self._thread.join(JOIN_S if self._run.aborted else None)
        return not self._thread.is_alive()

    async def join_in_loop(self) -> None:
        """Wait for the tasks in the running loop, also when the waiting is cancelled."""
        cancelled: asyncio.CancelledError | None = None
        while self._main is not None and not self._main.done():
            try:
                await asyncio.wait((self._main,))
            except asyncio.CancelledError as error:
                cancelled = error
                self._host.abort()
        if self._main is not None and not self._main.cancelled():
            self._main.exception()  # the run has it already
        if cancelled is not None:
            raise cancelled

    @property
    def loop(self) -> asyncio.AbstractEventLoop | None:
        """The loop of the tasks, once they run."""
        return self._host.loop

    def let_go(self) -> None:
        """All tasks have ended: give up the ports, and with them the queues."""
        self._host.let_go()
        del self._host

    def _ports(self, stage: PlannedStage) -> StagePorts:
        wiring, plan = self._run.wiring, self._run.plan
        inlet: Inlet | None = None
        lanes = 1
        if stage.inlet is not None:
            lanes = plan.edges[stage.inlet].lanes
            queue = wiring.queues[stage.inlet]
            inlet = queue if isinstance(queue, LoopQueue) else AsyncInPort(wiring.inlet(stage, 0))
        outlets: list[Outlet] = []
        for which, outlet in enumerate(stage.outlets):
            queue = wiring.queues[outlet.edge]
            if isinstance(queue, LoopQueue):
                outlets.append(queue)
            else:
                maxsize = plan.edges[outlet.edge].maxsize
                port = AsyncOutPort(wiring.outlet(stage, 0, which), maxsize, unsendable(stage.name))
                outlets.append(port)
        return StagePorts(inlet, outlets, [plan.edges[outlet.edge].ends for outlet in stage.outlets], lanes)
