"""The one coroutine of a stage that calls no function: it moves elements along, in order or in batches.

More would not do it faster: moving elements never awaits anything but room.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pypeln._core.feeder import SOURCE_END
from pypeln.errors import RunAborted
from pypeln.run.batching import Batching
from pypeln.run.task_worker import QUANTUM_S
from pypeln.transport.event_loop import CLOSED_ENTRY, ELEMENT, EMPTY_ENTRY, Inlet

if TYPE_CHECKING:
    from pypeln.run.order import Ordering
    from pypeln.run.reorder import Index
    from pypeln.run.task_host import StageInHost


class Mover:
    """The worker of a stage that only moves elements.

    Args:
        stage: The stage, its ports and counters.
    """

    def __init__(self, stage: StageInHost) -> None:
        self._stage = stage
        assert stage.inlet is not None
        self._inlet: Inlet = stage.inlet
        self._ordering: Ordering | None = None
        self._batching: Batching | None = None
        if stage.plan.operator.reorders:
            self._ordering = stage.host.run.ordering(stage.plan)
        if stage.plan.batching is not None:
            self._batching = Batching(stage.plan.batching, stage.lanes)
        self._failing = 0  # elements that are to be counted as failed if something is raised now

    async def run(self) -> None:
        """Work until the inlet is closed and empty.

        Raises:
            RunAborted: The run has ended, perhaps with an error from here.
        """
        stage, inlet, ordering, batching = self._stage, self._inlet, self._ordering, self._batching
        counters, turn, me = stage.counters, stage.host.turn, object()
        index: Index | None = None
        try:
            while True:
                entry = inlet.take_nowait()
                if entry is EMPTY_ENTRY:
                    index = None
                    entry = await inlet.take()
                if entry is CLOSED_ENTRY:
                    break
                value, index, lane, count = entry
                del entry  # a batch that only its sender has need not be copied
                if count == ELEMENT:
                    counters.taken += 1
                    self._failing = 1
                    if ordering is not None:
                        for released in ordering.push(index, lane, value):
                            await self._send_released(*released)
                    elif batching is None:
                        await self._send(value, index, lane)
                    elif batching.add(value, index, lane):
                        await self._send_batch(batching, index, lane)
                    elif stage.ended_outlets:
                        await self._send_end(index, lane, 0)
                else:
                    await self._end(index, lane, count)
                self._failing = 0
                del value
                if turn.is_over(me, QUANTUM_S):
                    await turn.give_way(me, QUANTUM_S)
            await self._close()
        except (GeneratorExit, RunAborted):
            raise
        except BaseException as error:
            if not stage.host.aborting:
                counters.failed += self._failing
            stage.host.fail(error, stage.plan, index)
            raise RunAborted from None

    async def _end(self, index: Index, lane: int, count: int) -> None:
        if self._batching is None or self._batching.passes_end(index, lane, count):
            # Another `ordered` further down wants it too, and it need not wait for its turn.
            await self._send_end(index, lane, count)
        if self._ordering is not None:
            for released in self._ordering.end(index, lane, count):
                await self._send_released(*released)

    async def _close(self) -> None:
        if self._ordering is not None:
            for released in self._ordering.close():
                await self._send_released(*released)
        if self._batching is not None:
            place, end = self._batching.close()
            if place is not None:
                await self._send_batch(self._batching, *place)
            self._stage.counters.filtered += self._batching.held
            if end is not None:
                await self._send_end(*end, SOURCE_END)

    async def _send_batch(self, batching: Batching, index: Index, lane: int) -> None:
        self._failing = batching.held
        await self._send(batching.take(), index, lane, self._failing)
        self._failing = 0

    async def _send_released(self, index: Index, lane: int, value: Any) -> None:
        await self._send(value, index, lane)

    async def _send(self, value: Any, index: Index, lane: int, elements: int = 1) -> None:
        for outlet, offset in self._stage.outlets:
            entry = (value, index, lane + offset, ELEMENT)
            if not outlet.put_nowait(entry):
                await outlet.put(entry)
        self._stage.counters.sent += 1
        self._stage.counters.emitted += elements

    async def _send_end(self, index: Index, lane: int, count: int) -> None:
        for outlet, offset in self._stage.ended_outlets:
            entry = (None, index, lane + offset, count)
            if not outlet.put_nowait(entry):
                await outlet.put(entry)
