"""From the edges of a plan to queues, and from queues to the ports of each worker.

Every worker of a run has a number: its place in the ledger of leases, from 0. Its `owner` number in the rings
is one more. The consumer of the run comes after the last worker.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pypeln import budget
from pypeln._core.arena import Arena, Arenas
from pypeln._core.memory import Ledger, Segment, Window
from pypeln._core.queue import InPort, OutPort
from pypeln.run.memory_stats import MemoryStats, memory_of
from pypeln.run.plan import Edge, Plan, PlannedStage, WorkerKind
from pypeln.transport.bells import Bell, ring_fd
from pypeln.transport.in_process import MOST_SLOTS, InProcessQueue
from pypeln.transport.shared_memory import Layout, Region, SharedQueue

if TYPE_CHECKING:
    from typing_extensions import TypeIs

    from pypeln.transport.loop_queue import LoopQueue

# Owner numbers have 13 bits in a slot's word, 0 is nobody and the last one is the consumer's.
MOST_WORKERS = 8000

# How many source elements may be on their way to an `ordered` stage: enough that the full queues of a few
# stages never make a source wait, little enough that what `ordered` holds stays small.
ORDER_SPAN = 32768

Ring = InProcessQueue | SharedQueue
if TYPE_CHECKING:
    Queue = Ring | LoopQueue


def is_ring(queue: Queue) -> TypeIs[Ring]:
    """Whether threads or processes are at an end of a queue, rather than coroutines of one loop at both."""
    return isinstance(queue, (InProcessQueue, SharedQueue))


def places(stage: PlannedStage) -> int:
    """How many rows of the ledger, and ports of each queue, a stage has."""
    return 1 if stage.kind is WorkerKind.TASK else max(1, stage.workers)


class WindowPlan:
    """One `ordered` stage and one source that must not run ahead of it.

    A plain class, like those of `plan`: dataclasses are slow to import and to make.

    Args:
        source: Id of the source's stage.
        ordered: Id of the ordered stage; None: the consumer's side orders.
        lanes: Of the ordered stage's inlet, those that the source feeds.
        bell: Rung for a source in an event loop.
        region: Where the window lies in the control segment.
    """

    def __init__(
        self,
        source: int,
        ordered: int | None,
        lanes: frozenset[int],
        bell: Bell | None = None,
        region: Region | None = None,
    ) -> None:
        self.source = source
        self.ordered = ordered
        self.lanes = lanes
        self.bell = bell
        self.region = region
        self.window: Window | None = None

    def described(self) -> WindowPlan:
        """Itself without its handle, for a process that opens one of its own."""
        return WindowPlan(self.source, self.ordered, self.lanes, self.bell, self.region)


class Wiring:
    """The queues, leases and windows of a run.

    Args:
        plan: The run.
        async_sink: Whether the consumer is a coroutine of the loop that the task stages run in.

    Raises:
        MemoryError: There is no memory for the queues.
        ValueError: There are more workers than a run can have.
    """

    def __init__(self, plan: Plan, async_sink: bool) -> None:
        self.plan = plan
        self.async_sink = async_sink
        self.first: list[int] = []
        self.workers = 0
        for stage in plan.stages:
            self.first.append(self.workers)
            self.workers += places(stage)
        if self.workers > MOST_WORKERS:
            raise ValueError(f"the pipeline has {self.workers} workers; a run can have {MOST_WORKERS}")
        self.has_processes = any(stage.kind is WorkerKind.PROCESS for stage in plan.stages)
        self.sink_owner = self.workers + 1
        # (stage id, which outlet) -> its first producer number
        self.producer_base: dict[tuple[int, int], int] = {}
        self.queues: list[Queue] = []
        self.arenas = Arenas()
        self._window_bell: Bell | None = None
        self.windows = self._plan_windows()

        loop_sources = {stage.id for stage in plan.stages if stage.kind is WorkerKind.TASK}
        needs_bell = any(window.source in loop_sources for window in self.windows)
        self._window_bell = Bell() if needs_bell else None
        for window in self.windows:
            window.bell = self._window_bell

        shared = sum(self._is_shared(edge) for edge in plan.edges)
        self._share = budget.of_each_queue(plan.memory, shared) if shared else None
        layout = Layout()
        ledger_region = layout.add(Ledger.nbytes(self.workers))
        for window in self.windows:
            window.region = layout.add(Window.nbytes())
        producers = self._number_producers()
        try:
            for edge in plan.edges:
                self.queues.append(self._queue(edge, producers[edge.id], layout))
            self.control: Segment | None = None
            if self.has_processes:
                self.control = Segment(layout.nbytes)
                self.control.reserve(0, layout.nbytes)
            self.ledger = Ledger(self.workers, self.control, ledger_region.offset)
            for window in self.windows:
                assert window.region is not None
                window.window = Window(ORDER_SPAN, self.control, window.region.offset, ring_fd(window.bell))
            for queue in self.queues:
                if isinstance(queue, SharedQueue):
                    assert self.control is not None
                    queue.create(self.control)
            for arena in self.arenas:
                arena.adopt(0, self.sink_owner)
        except BaseException:
            self.close()
            raise

    def inlet(self, stage: PlannedStage, worker: int) -> InPort:
        """The port through which a worker of this process takes."""
        assert stage.inlet is not None
        queue = self.queues[stage.inlet]
        assert is_ring(queue)
        return queue.inlet(self.first[stage.id] + worker + 1)

    def outlet(self, stage: PlannedStage, worker: int, which: int) -> OutPort:
        """A port through which a worker of this process puts."""
        queue = self.queues[stage.outlets[which].edge]
        assert is_ring(queue)
        producer = self.producer_base[stage.id, which] + worker
        return queue.outlet(self.first[stage.id] + worker + 1, producer)

    def shared_queue(self, edge: int) -> SharedQueue:
        """The queue of an edge that has a process at one of its ends."""
        queue = self.queues[edge]
        assert isinstance(queue, SharedQueue)
        return queue

    def window_bell(self) -> Bell:
        """What rings for sources in an event loop when a window moves."""
        assert self._window_bell is not None
        return self._window_bell

    def windows_of(self, stage: PlannedStage) -> list[Window]:
        """What a source must not run ahead of."""
        return [each.window for each in self.windows if each.source == stage.id and each.window is not None]

    def windows_behind(self, ordered: PlannedStage | None) -> list[WindowPlan]:
        """The windows that an `ordered` stage (None: the consumer's side) moves."""
        id = None if ordered is None else ordered.id
        return [each for each in self.windows if each.ordered == id]

    def birthplace(self, stage: PlannedStage) -> Arena | None:
        """Where the large results of a stage of this process may lie so that they need not be copied."""
        for outlet in stage.outlets:
            queue = self.queues[outlet.edge]
            if isinstance(queue, SharedQueue):
                return queue.arena
        return None

    def memory(self) -> list[MemoryStats]:
        """The memory of each queue that touches a process."""
        return [
            memory_of(self._queue_name(edge), queue.arena)
            for edge, queue in zip(self.plan.edges, self.queues, strict=False)
            if isinstance(queue, SharedQueue)
        ]

    def _queue_name(self, edge: Edge) -> str:
        consumer = self.plan.stage_of(edge)
        producers = dict.fromkeys(self.plan.stages[id].name for id in edge.producers)
        return f"{', '.join(producers)} -> {'consumer' if consumer is None else consumer.name}"

    def abort(self) -> None:
        """Make everybody who waits anywhere in the run stop waiting, for good."""
        for window in self.windows:
            if window.window is not None:
                window.window.abort()
        for queue in self.queues:
            if is_ring(queue):
                queue.abort()

    def wake_all(self) -> None:
        """Wake everybody who waits anywhere, after a death: a wake may have gone to the dead."""
        for queue in self.queues:
            if isinstance(queue, SharedQueue):
                queue.wake_all()

    def close(self) -> None:
        """Free what does not free itself."""
        for queue in self.queues:
            if is_ring(queue):
                queue.close()
        self.queues.clear()
        if self._window_bell is not None:
            self._window_bell.close()

    def _number_producers(self) -> list[int]:
        counts = [0] * len(self.plan.edges)
        for stage in self.plan.stages:
            for which, outlet in enumerate(stage.outlets):
                self.producer_base[stage.id, which] = counts[outlet.edge]
                counts[outlet.edge] += places(stage)
        return counts

    def _queue(self, edge: Edge, producers: int, layout: Layout) -> Queue:
        maxsize = min(edge.maxsize, MOST_SLOTS)
        kinds = {self.plan.stages[id].kind for id in edge.producers}
        consumer = self.plan.stage_of(edge)
        into_loop = self.async_sink if consumer is None else consumer.kind is WorkerKind.TASK
        out_of_loop = WorkerKind.TASK in kinds
        if kinds == {WorkerKind.TASK} and into_loop:
            from pypeln.transport.loop_queue import LoopQueue  # brings asyncio, which others can do without

            return LoopQueue(maxsize, producers)
        consumer_bell = Bell() if into_loop else None
        producer_bell = Bell() if out_of_loop else None
        sole = consumer is None or places(consumer) == 1
        if self._is_shared(edge):
            return SharedQueue(
                layout,
                maxsize,
                producers,
                self.arenas,
                self._share,
                consumer_bell,
                producer_bell,
                sole,
            )
        return InProcessQueue(maxsize, producers, consumer_bell, producer_bell, sole)

    def _is_shared(self, edge: Edge) -> bool:
        ends = edge.producers if edge.consumer is None else [*edge.producers, edge.consumer]
        return any(self.plan.stages[id].kind is WorkerKind.PROCESS for id in ends)

    def _plan_windows(self) -> list[WindowPlan]:
        """For each windowed source, the ordered stages it leads to, and the lanes it arrives in there."""
        found: dict[tuple[int, int | None], set[int]] = {}
        for source in self.plan.stages:
            if not source.windowed:
                continue
            todo = [(source, 0)]
            seen: set[tuple[int, int]] = set()
            while todo:
                stage, lane = todo.pop()
                for outlet in stage.outlets:
                    edge = self.plan.edges[outlet.edge]
                    arriving = lane + outlet.lane
                    if (edge.id, arriving) in seen:
                        continue
                    seen.add((edge.id, arriving))
                    consumer = self.plan.stage_of(edge)
                    if consumer is None:
                        if self.plan.sink_reorders:
                            found.setdefault((source.id, None), set()).add(arriving)
                        continue
                    if consumer.operator.reorders:
                        found.setdefault((source.id, consumer.id), set()).add(arriving)
                    todo.append((consumer, arriving))
        return [WindowPlan(source, ordered, frozenset(lanes)) for (source, ordered), lanes in found.items()]
