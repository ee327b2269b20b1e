"""The worker coroutines of one stage that calls a function, and what an element goes through in them.

A worker lives as long as its stage: it takes an element, calls `f`, awaits what `f` returned, and puts. A
Task for each element would cost more than most elements do. Workers are made as they are needed: whoever is
about to wait for `f` while nobody waits at the inlet makes a few more first. So there is always one to take
the next element, unless the limit is reached, and an `f` that never awaits is served by one worker alone.

With `workers=0` there is no limit, and two rules keep memory bounded all the same: no worker is made while
another waits for room behind the stage, and of those that find nothing to do only `IDLE_KEPT` stay.

The emission rules of `plan.Emission` are executed here for coroutines, and in `_core/worker.pyx` for threads
and processes.
"""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import AsyncGenerator, AsyncIterable
from typing import TYPE_CHECKING, Any, Final

from pypeln._core.entries import ELEMENT
from pypeln._core.task_worker import Crew, TaskWorker, is_awaitable
from pypeln.run.numbering import close_generator
from pypeln.run.plan import Emission
from pypeln.run.policy import Answer, Outcome, Recovery
from pypeln.run.task_timing import Deadline, TimedOut

if TYPE_CHECKING:
    from pypeln.run.callbacks import Injection
    from pypeln.run.task_host import StageInHost
    from pypeln.transport.event_loop import Entry, Inlet, Outlet

QUANTUM_S: Final = 0.001  # how long workers that never await may keep the loop from everybody else
IDLE_KEPT: Final = 1000  # of a stage without limit; making them anew costs more than the 2 KiB of each


class Trial:
    """What has been put for an element, all outlets together.

    Args:
        out: Puts that earlier tries have made already, and this one only passes over.
    """

    __slots__ = ("puts", "skip")

    def __init__(self, out: int = 0) -> None:
        self.puts = 0
        self.skip = out

    @property
    def out(self) -> int:
        """How many puts have been made in all."""
        return self.puts + self.skip


class Workers(Crew):
    """The workers of one stage.

    Args:
        stage: The stage, its ports and counters.
        injection: What `on_start` gave, for `f`.
    """

    def __init__(self, stage: StageInHost, injection: Injection) -> None:
        super().__init__(
            emission=stage.plan.operator.emission,
            f=stage.plan.f,
            kwargs=injection.kwargs,
            wants_index=injection.wants_index,
            inlet=stage.inlet,
            outlets=stage.outlets,
            sends_ends=bool(stage.ended_outlets),
            counters=stage.counters,
            limit=stage.plan.workers,
            quantum_ns=int(1e9 * QUANTUM_S),
            idle_kept=IDLE_KEPT,
        )
        self._stage = stage
        assert stage.inlet is not None
        self._inlet: Inlet = stage.inlet
        self._timed = bool(stage.plan.timeout)
        self._all_left: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._context = contextvars.copy_context()  # with what on_start set
        self._recovery = Recovery(stage.plan, asyncio.sleep)

    async def run(self) -> None:
        """Make the first worker; return when the inlet is closed and every worker has left."""
        self._hire(1)
        await self._all_left

    def _hire(self, number: int) -> None:
        self.alive += number
        self.idle += number
        stage = self._stage
        for _ in range(number):
            worker = TaskWorker(self, self._timed)
            # It is one to asyncio, which asks for the methods.
            task = stage.host.make_task(worker, stage.plan.name, self._context)  # pyright: ignore[reportArgumentType]
            task.add_done_callback(self._left)

    def _left(self, task: asyncio.Task[None]) -> None:
        # A callback and not the worker's last act: a Task that is cancelled before its first step takes none.
        task.get_coro().let_go()  # type: ignore[union-attr]
        self.alive -= 1
        if self.alive == 0 and not self._all_left.done():
            self._all_left.set_result(None)

    # What a TaskWorker asks for.

    def _hire_more(self) -> None:
        """A worker is about to wait for `f`, and nobody is there to take the next element.

        As many as there are already, if that many elements wait: a thousand within ten rounds of the loop.
        """
        number = max(min(self._inlet.backlog(), self.alive), 1)
        self._hire(min(number, self.limit - self.alive) if self.limit else number)

    def _deadline(self) -> Deadline:
        return Deadline(self._stage.plan.timeout)

    def _fail(self, error: BaseException, index: tuple[int, ...] | None) -> None:
        stage = self._stage
        if index is not None and not isinstance(error, Exception) and not stage.host.aborting:
            stage.counters.failed += 1  # other errors have been counted where they were given up
        stage.host.fail(error, stage.plan, index)

    async def _expand_first(
        self,
        value: Any,
        result: Any,
        index: tuple[int, ...],
        lane: int,
        deadline: Deadline | None,
        me: object,
    ) -> None:
        """The first try of an element of flat_map, once `f` has returned."""
        trial = Trial()
        try:
            await self._expand(result, index, lane, trial, deadline, me)
        except Exception as error:
            problem = error
        else:
            await self._end_element(index, lane, trial.puts)
            self._stage.counters.emitted += 1
            return
        await self._recover(value, index, lane, problem, trial.puts, deadline, me)

    async def _recover(
        self,
        value: Any,
        index: tuple[int, ...],
        lane: int,
        problem: Exception,
        out: int,
        deadline: Deadline | None,
        me: object,
    ) -> None:
        """The further tries of an element that failed, and what the policy says about it then.

        Args:
            problem: What the first try raised.
            out: How many puts it has made.
        """
        tries, counters, error = 1, self._stage.counters, problem
        while tries <= self._recovery.retries:
            counters.retried += 1
            await self._recovery.wait(tries)
            tries += 1
            trial = Trial(out)
            try:
                outcome = await self._attempt(value, index, lane, trial, deadline, me)
            except Exception as raised:
                error = raised
                out = trial.out
            else:
                await self._end_element(index, lane, trial.out)
                counters.count(outcome)
                return
        outcome = Outcome.TIMED_OUT if isinstance(error, TimedOut) else Outcome.FAILED
        try:
            out = await self._give_up(value, index, lane, error, tries, out, me)
            await self._end_element(index, lane, out)
        finally:
            if not self._stage.host.aborting:
                counters.count(outcome)

    async def _attempt(
        self,
        value: Any,
        index: tuple[int, ...],
        lane: int,
        trial: Trial,
        deadline: Deadline | None,
        me: object,
    ) -> Outcome:
        """One more try, from the call of `f` to what comes of it."""
        f, kwargs = self.f, self.kwargs
        result = f(value, element_index=index, **kwargs) if self.wants_index else f(value, **kwargs)
        if self.emission == Emission.EACH_OF_RESULT:
            await self._expand(result, index, lane, trial, deadline, me)
            return Outcome.EMITTED
        if is_awaitable(result):
            result = await (result if deadline is None else self._in_time(result, deadline))
        return await self._emit(value, result, index, lane, trial)

    async def _emit(
        self, value: Any, result: Any, index: tuple[int, ...], lane: int, trial: Trial
    ) -> Outcome:
        """Put what the operator, other than flat_map, makes of an element and a result."""
        if self.emission == Emission.INPUT_IF_RESULT:
            if not result:
                return Outcome.FILTERED
            result = value
        if self.emission != Emission.NOTHING:
            await self._put(result, index, lane, trial)
        return Outcome.EMITTED

    async def _give_up(
        self,
        value: Any,
        index: tuple[int, ...],
        lane: int,
        error: BaseException,
        tries: int,
        out: int,
        me: object,
    ) -> int:
        """Do what the policy says about an element that failed for the last time; how many puts are out."""
        recovery, outlets = self._recovery, len(self._stage.outlets)
        outcome = Outcome.TIMED_OUT if isinstance(error, TimedOut) else Outcome.FAILED
        answer = recovery.answer(outcome)
        if answer is Answer.SKIP:
            return out
        if outcome is Outcome.TIMED_OUT:
            error = recovery.error(outcome)
        if answer is Answer.RAISE:
            raise error
        # An output that only some outlets have is completed with what stands for it.
        trial = Trial(out % outlets)
        trial.puts = out - trial.skip
        expands = self.emission == Emission.EACH_OF_RESULT
        if answer is Answer.COLLECT:
            failure = recovery.failure(error, value, index, tries)
            place = (*index, trial.puts // outlets) if expands else index
            await self._put(failure, place, lane, trial)
        else:
            result = recovery.replacement(error, value, index)
            if expands:
                await self._expand(result, index, lane, trial, None, me)
            else:
                if is_awaitable(result):
                    result = await result
                await self._emit(value, result, index, lane, trial)
        return trial.out

    async def _in_time(self, awaitable: Any, deadline: Deadline) -> Any:
        """Await, or raise TimedOut: for the deadline's own cancellation, and nothing else."""
        deadline.start()
        try:
            return await awaitable
        except asyncio.CancelledError:
            if deadline.expired and not self._stage.host.aborting:
                raise TimedOut from None
            raise
        finally:
            deadline.stop()

    async def _expand(
        self,
        result: Any,
        index: tuple[int, ...],
        lane: int,
        trial: Trial,
        deadline: Deadline | None,
        me: object,
    ) -> None:
        """Put each of what `f` returned: an iterable, an async iterable, or an awaitable of one of them."""
        number = trial.puts // len(self._stage.outlets)
        if deadline is not None:
            deadline.start()
        try:
            if is_awaitable(result):
                result = await result  # pyright: ignore[reportGeneralTypeIssues]
            if isinstance(result, AsyncIterable):
                children = result.__aiter__()
                try:
                    async for child in children:
                        await self._send_child(child, (*index, number), lane, trial, deadline, me)
                        number += 1
                finally:
                    if isinstance(children, AsyncGenerator):
                        await children.aclose()
            else:
                iterator = iter(result)
                try:
                    for child in iterator:
                        await self._send_child(child, (*index, number), lane, trial, deadline, me)
                        number += 1
                finally:
                    close_generator(iterator)
        except asyncio.CancelledError:
            if deadline is None or not deadline.expired or self._stage.host.aborting:
                raise
            raise TimedOut from None
        finally:
            if deadline is not None:
                deadline.stop()

    async def _send_child(
        self,
        value: Any,
        index: tuple[int, ...],
        lane: int,
        trial: Trial,
        deadline: Deadline | None,
        me: object,
    ) -> None:
        await self._put(value, index, lane, trial, deadline)
        turn = self._stage.host.turn
        quantum_s = QUANTUM_S / self.alive
        if turn.is_over(me, quantum_s):
            await turn.give_way(me, quantum_s)

    async def _put(
        self, value: Any, index: tuple[int, ...], lane: int, trial: Trial, deadline: Deadline | None = None
    ) -> None:
        """Put an element into every outlet that does not have it since an earlier try."""
        is_new = False
        for outlet, offset in self._stage.outlets:
            if trial.skip:
                trial.skip -= 1
            else:
                entry = (value, index, lane + offset, ELEMENT)
                if not outlet.put_nowait(entry):
                    if deadline is not None:
                        deadline.pause()
                    await self._wait_to_put(outlet, entry)
                    if deadline is not None:
                        deadline.resume()
                is_new = True
            trial.puts += 1
        self._stage.counters.sent += is_new

    async def _end_element(self, index: tuple[int, ...], lane: int, puts: int) -> None:
        """END marks, where no element says it all. Its puts were dealt to the outlets in turn."""
        stage = self._stage
        if not stage.ended_outlets or (puts and self.emission != Emission.EACH_OF_RESULT):
            return
        outlets = len(stage.outlets)
        for which, (outlet, offset) in enumerate(stage.outlets):
            if (outlet, offset) in stage.ended_outlets:
                entry = (None, index, lane + offset, (puts + outlets - 1 - which) // outlets)
                if not outlet.put_nowait(entry):
                    await self._wait_to_put(outlet, entry)

    async def _send_end(self, index: tuple[int, ...], lane: int, count: int) -> None:
        for outlet, offset in self._stage.ended_outlets:
            entry = (None, index, lane + offset, count)
            if not outlet.put_nowait(entry):
                await self._wait_to_put(outlet, entry)

    async def _wait_to_put(self, outlet: Outlet, entry: Entry) -> None:
        self.blocked += 1
        try:
            await outlet.put(entry)
        finally:
            self.blocked -= 1
