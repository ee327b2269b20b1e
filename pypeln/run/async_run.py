"""A run whose consumer is a coroutine: `async for`, `await`. The run's tasks share the consumer's loop."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncGenerator
from typing import Any

from pypeln._core.entries import CLOSED_ENTRY, ELEMENT, Ready
from pypeln._core.memory import RunAborted
from pypeln.element import Element
from pypeln.run.order import Ordering
from pypeln.run.plan import Plan, WorkerKind
from pypeln.run.run import Run
from pypeln.transport.event_loop import AsyncInPort
from pypeln.transport.loop_queue import LoopQueue


async def iterate_async(plan: Plan, return_index: bool) -> AsyncGenerator[Any, None]:
    """The same as `run.iterate` in a running event loop: its task stages run there, and nothing blocks it."""
    async with _AsyncRun(plan) as opened:
        inlet = opened.inlet
        if plan.sink_reorders:
            async for element in opened.in_order():
                yield element if return_index else element.value
            return
        ready = Ready(inlet, Element if return_index else None)
        while True:
            for each in ready:
                yield each
            entry = await inlet.take()
            if entry is CLOSED_ENTRY:
                return
            yield Element(entry[1], entry[0]) if return_index else entry[0]
    raise opened.run.outcome()


async def collect_async(plan: Plan) -> list[Any]:
    """All values of a run in the running event loop."""
    values: list[Any] = []
    async with _AsyncRun(plan) as opened:
        inlet = opened.inlet
        if plan.sink_reorders:
            async for element in opened.in_order():
                values.append(element.value)
            return values
        ready = Ready(inlet)
        while True:
            values.extend(ready)
            entry = await inlet.take()
            if entry is CLOSED_ENTRY:
                return values
            values.append(entry[0])
    raise opened.run.outcome()


class _AsyncRun:
    """Start and end of a run. One that was aborted just ends: what to raise is `run.outcome()`.

    It is not raised here: it would have RunAborted as its context, whose frames have the ports.
    """

    def __init__(self, plan: Plan) -> None:
        if all(stage.kind is WorkerKind.SYNC for stage in plan.stages) or plan.trailing:
            raise AssertionError("only io stages are iterated in a loop, and they are no sync stages")
        self.plan = plan
        self.run = Run(plan, async_sink=True)
        self._keeper = _Keeper(self.run)  # lives as long as the frame that has this

    async def __aenter__(self) -> _AsyncRun:
        try:
            self.run.start()
            if self.run.tasks is not None:
                self.run.tasks.start_in_loop()
            sink = self.run.sink
            self.inlet: LoopQueue | AsyncInPort = sink if isinstance(sink, LoopQueue) else AsyncInPort(sink)
        except BaseException:
            await _close_from_loop(self.run)
            raise
        return self

    async def __aexit__(self, kind: type[BaseException] | None, *_: object) -> bool:
        if isinstance(self.inlet, AsyncInPort):
            self.inlet.abort()
        if kind is None:
            self.run.complete()
        await _close_from_loop(self.run)
        if kind is None and not self.run.succeeded:
            raise self.run.outcome()
        return kind is RunAborted

    async def in_order(self) -> AsyncGenerator[Element, None]:
        """What an `ordered` at the end of the pipeline makes of it."""
        plan = self.plan
        assert plan.sink_ordered is not None
        ordering = Ordering(plan.edges[plan.sink].lanes, self.run.wiring.windows_behind(None))
        counters = plan.stats.counters(plan.sink_ordered.id)
        closed = False
        while not closed:
            value, index, lane, count = entry = await self.inlet.take()
            closed = entry is CLOSED_ENTRY
            if closed:
                released = ordering.close()
            elif count == ELEMENT:
                released = ordering.push(index, lane, value)
            else:
                released = ordering.end(index, lane, count)
            for place, _, each in released:
                counters.taken += 1
                counters.emitted += 1
                counters.sent += 1
                yield Element(place, each)


async def _close_from_loop(run: Run) -> None:
    """`Run.close` without blocking the loop, which the run's tasks need to end."""
    if not run._complete:
        run.abort()
    cancelled: asyncio.CancelledError | None = None
    if run.tasks is not None:
        try:
            await run.tasks.join_in_loop()
        except asyncio.CancelledError as error:
            cancelled = error  # the run must be gone first
    loop = asyncio.get_running_loop()
    closed = loop.create_future()

    def close() -> None:
        run.close()
        try:
            loop.call_soon_threadsafe(closed.set_result, None)
        except RuntimeError:
            pass  # the loop was closed meanwhile, and nobody waits

    thread = threading.Thread(target=close, name="pypeln end of run", daemon=True)
    thread.start()
    try:
        while not closed.done():
            try:
                await asyncio.shield(closed)
            except asyncio.CancelledError as error:
                cancelled = error
    finally:
        thread.join()  # it has only its last line to go, or the loop is gone and nothing but it ends the run
    if cancelled is not None:
        raise cancelled


class _Keeper:
    """Ends a run whose async generator was dropped together with its loop.

    Such a generator is not resumed, its `finally` does not run: asyncio forgets one that is dropped in the
    last moments of `asyncio.run`. Its frame is freed, though, and this with it.
    """

    def __init__(self, run: Run) -> None:
        self._run = run

    def __del__(self) -> None:
        self._run.close()
