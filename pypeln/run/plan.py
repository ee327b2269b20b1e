"""What a run needs to know: stages with their functions, and the edges that join them.

A plan is data. The graph layer makes it from stage descriptions, the run layer executes it; neither needs to know
more of the other than this page.
"""

from __future__ import annotations

import dataclasses
import enum
from collections.abc import Callable, Mapping
from typing import Any


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


@dataclasses.dataclass(frozen=True)
class Operator:
    """The definition of an operator, for every kind of worker."""

    name: str
    emission: Emission
    reorders: bool = False  # ordered: releases elements by index
    feeds: bool = False  # from_iterable: has a source instead of an input


@dataclasses.dataclass(frozen=True)
class Outlet:
    """One of the queues a stage puts into."""

    edge: int
    lane: int = 0  # added to an element's lane: which path through a concat it took


@dataclasses.dataclass(eq=False)
class PlannedStage:
    """One stage of a run."""

    id: int  # its position in Plan.stages
    name: str  # for people: "map(slow_add1)", unique in the plan ("map(slow_add1) #2" for the second)
    kind: WorkerKind
    operator: Operator
    workers: int  # 0: as many as there are elements (tasks only)
    timeout: float  # seconds that f may take for one element; 0: any
    f: Callable[..., Any] | None = None
    on_start: Callable[..., Any] | None = None
    on_done: Callable[..., Any] | None = None
    source: Any = None  # what a feeding stage iterates: an iterable or an async iterable
    inlet: int | None = None  # the edge it takes from; None when it feeds
    outlets: list[Outlet] = dataclasses.field(default_factory=list)
    windowed: bool = False  # a source upstream of `ordered`: may not run ahead of it without bound


@dataclasses.dataclass(eq=False)
class Edge:
    """A queue of a run: who puts into it and who takes from it."""

    id: int  # its position in Plan.edges
    maxsize: int  # elements it may hold; 0: bounded by bytes only
    producers: list[int] = dataclasses.field(default_factory=list)  # ids of stages
    consumer: int | None = None  # id of a stage; None: whoever iterates the run
    ends: bool = False  # carries END marks, because an `ordered` stage is downstream
    lanes: int = 1  # how many lanes arrive here


@dataclasses.dataclass(eq=False)
class Plan:
    """A whole run. Stages stand in topological order, sources first."""

    stages: list[PlannedStage]
    edges: list[Edge]
    sink: int  # the edge whose elements the consumer gets
    sink_reorders: bool = False  # the last stage was `ordered`: the consumer's side puts elements in order
    trailing: list[PlannedStage] = dataclasses.field(default_factory=list)  # sync stages after the sink, in order

    def stage_of(self, edge: Edge) -> PlannedStage | None:
        """The stage that takes from an edge, or None for the sink."""
        return None if edge.consumer is None else self.stages[edge.consumer]


Injected = Mapping[str, Any]
