"""A run whose consumer is a coroutine: `async for`, `await`. The run's tasks share the consumer's loop."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncGenerator
from typing import Any

from pypeln._core.memory import RunAborted
from pypeln.run.order import Ordering
from pypeln.run.plan import Plan, WorkerKind
from pypeln.run.run import Run
from pypeln.run.task_control import async_elements


async def iterate_async(plan: Plan, return_index: bool) -> AsyncGenerator[Any, None]:
    """The same in a running event loop: its task stages run in that loop, and nothing blocks it."""
    if all(stage.kind is WorkerKind.SYNC for stage in plan.stages) or plan.trailing:
        raise AssertionError("only io stages are iterated in a loop, and they are no sync stages")
    run = Run(plan, async_sink=True)
    keeper = _Keeper(run)  # noqa: F841 - lives as long as this frame
    try:
        run.start()
        ordering = None
        if plan.sink_reorders:
            ordering = Ordering(plan.edges[plan.sink].lanes, run.wiring.windows_behind(None))
        if run.tasks is not None:
            run.tasks.start_in_loop()
        counters = None if plan.sink_ordered is None else plan.stats.counters(plan.sink_ordered.id)
        async for element in async_elements(run.sink, ordering):
            if counters is not None:
                counters.taken += 1
                counters.emitted += 1
                counters.sent += 1
            yield element if return_index else element.value
        run.complete()
    except RunAborted:
        pass  # as in `iterate`
    finally:
        await _close_from_loop(run)
    if not run.succeeded:
        raise run.outcome()


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
