"""What a run needs to know: stages with their functions, and the edges that join them.

A plan is data. The graph layer makes it from stage descriptions, the run layer executes it; neither needs to
know more of the other than this page. Plain classes rather than dataclasses, whose import takes a third of
pypeln's.
"""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING, Any, NamedTuple

from pypeln import budget
from pypeln.run.policy import DEFAULT, ErrorPolicy
from pypeln.run.stats import RunStats

if TYPE_CHECKING:
    from collections.abc import Callable


class WorkerKind(enum.Enum):
    """Who executes a stage."""

    PROCESS = "process"
    THREAD = "thread"
    TASK = "task"
    SYNC = "sync"  # the consuming thread itself


class Emission(enum.IntEnum):
    """What an operator sends on, given an element and what `f` returned for it."""

    RESULT = 0  # map: the result, under the element's index
    INPUT_IF_RESULT = 1  # filter: the element, when the result is true
    EACH_OF_RESULT = 2  # flat_map: each of the result, the index grows by a dimension
    NOTHING = 3  # each: nothing
    INPUT = 4  # concat, ordered: the element; there is no f
    GATHERED = 5  # batch: many elements as one, under the index of the last; there is no f


class Operator(NamedTuple):
    """The definition of an operator, for every kind of worker."""

    name: str
    emission: Emission
    reorders: bool = False  # ordered: releases elements by index
    feeds: bool = False  # from_iterable: has a source instead of an input
    owns_f: bool = False  # unbatch, distinct: f is not the user's

    @property
    def gathers(self) -> bool:
        """Whether it makes one element of several."""
        return self.emission is Emission.GATHERED

    @property
    def holds_many(self) -> bool:
        """Whether it takes many elements before it answers for any."""
        return self.reorders or self.gathers


class BatchOptions(NamedTuple):
    """What a batch is made of.

    Attributes:
        n: How many elements.
        stack: Whether their arrays become one with a new first axis, instead of a list of them.
        drop_last: Whether a last batch that is not full is dropped.
    """

    n: int
    stack: bool = False
    drop_last: bool = False


class Outlet(NamedTuple):
    """One of the queues a stage puts into."""

    edge: int
    lane: int = 0  # added to an element's lane: which path through a concat it took


class PlannedStage:
    """One stage of a run.

    Attributes:
        id: Its position in Plan.stages.
        name: For people: "map(slow_add1)", unique in the plan ("map(slow_add1) #2" for the second).
        kind: Who executes it.
        operator: What an element goes through.
        workers: How many; 0: as many as there are elements (tasks only).
        timeout: Seconds that f may take for one element; 0: any.
        f, on_start, on_done: The user's functions.
        source: What a feeding stage iterates: an iterable or an async iterable.
        inlet: The edge it takes from; None when it feeds.
        outlets: The edges it puts into.
        windowed: A source upstream of `ordered`: may not run ahead of it without bound.
        policy: What becomes of elements that f cannot do.
        batching: What its batches are made of, when it makes any.
        parameters: What the functions can be given, by role; filled by `run.callbacks`.
    """

    def __init__(
        self,
        id: int,
        name: str,
        kind: WorkerKind,
        operator: Operator,
        workers: int,
        timeout: float,
        f: Callable[..., Any] | None = None,
        on_start: Callable[..., Any] | None = None,
        on_done: Callable[..., Any] | None = None,
        source: Any = None,
        inlet: int | None = None,
        outlets: list[Outlet] | None = None,
        windowed: bool = False,
        policy: ErrorPolicy = DEFAULT,
        batching: BatchOptions | None = None,
    ) -> None:
        self.id = id
        self.name = name
        self.kind = kind
        self.operator = operator
        self.workers = workers
        self.timeout = timeout
        self.f = f
        self.on_start = on_start
        self.on_done = on_done
        self.source = source
        self.inlet = inlet
        self.outlets: list[Outlet] = [] if outlets is None else outlets
        self.windowed = windowed
        self.policy = policy
        self.batching = batching
        self.parameters: dict[str, list[tuple[str, bool, bool]]] = {}


class Edge:
    """A queue of a run: who puts into it and who takes from it.

    Attributes:
        id: Its position in Plan.edges.
        maxsize: Elements it may hold; 0: bounded by bytes only.
        producers: Ids of stages, one entry for each outlet.
        consumer: Id of a stage; None: whoever iterates the run.
        ends: Carries END marks, because an `ordered` stage is downstream.
        lanes: How many lanes arrive here.
    """

    def __init__(
        self,
        id: int,
        maxsize: int,
        producers: list[int] | None = None,
        consumer: int | None = None,
        ends: bool = False,
        lanes: int = 1,
    ) -> None:
        self.id = id
        self.maxsize = maxsize
        self.producers: list[int] = [] if producers is None else producers
        self.consumer = consumer
        self.ends = ends
        self.lanes = lanes


class Plan:
    """A whole run. Stages stand in topological order, sources first.

    Attributes:
        stages: Every stage that has workers.
        edges: The queues between them.
        sink: The edge whose elements the consumer gets.
        trailing: Sync stages after the sink, in order.
        sink_ordered: The `ordered` that the consumer's side does; counts what the consumer gets.
        memory: Bytes of shared memory that the run may take; None when nobody has said.
        stats: How the elements of all these end.
    """

    def __init__(
        self,
        stages: list[PlannedStage],
        edges: list[Edge],
        sink: int,
        trailing: list[PlannedStage] | None = None,
        sink_ordered: PlannedStage | None = None,
    ) -> None:
        self.stages = stages
        self.edges = edges
        self.sink = sink
        self.trailing: list[PlannedStage] = [] if trailing is None else trailing
        self.sink_ordered = sink_ordered
        self.memory = budget.of_run()
        counted = [*self.stages, *([] if sink_ordered is None else [sink_ordered]), *self.trailing]
        self.stats = RunStats(counted)
        for stage in counted[len(self.stages) :]:
            self.stats.counters(stage.id)  # the ledger has no place for what the consumer itself does

    @property
    def sink_reorders(self) -> bool:
        """Whether the consumer's side puts elements in order."""
        return self.sink_ordered is not None

    def stage_of(self, edge: Edge) -> PlannedStage | None:
        """The stage that takes from an edge, or None for the sink."""
        return None if edge.consumer is None else self.stages[edge.consumer]
