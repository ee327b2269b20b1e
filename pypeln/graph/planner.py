"""From a graph of stages to the plan of a run: which queues there are, who hosts a stage, what order needs.

Pipelines are built in loops and may be thousands of stages long, so nothing here recurses.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from pypeln.graph.stage import Stage
from pypeln.run.numbering import MOST_DIMENSIONS
from pypeln.run.plan import Edge, Emission, Outlet, Plan, PlannedStage, WorkerKind
from pypeln.run.stats import remember

# What the head of a slot can say: `lane` is 16 bits of which the last value is spare.
MOST_LANES = 65535


def planned(root: Stage[Any], sink_maxsize: int) -> Plan:
    """The plan of a run whose consumer takes the elements of `root`.

    Each distinct stage is planned once; consumed several times, it has an outlet for each. `Edge.producers`
    has one entry for each outlet. Stages in `Plan.trailing` have ids that follow those of `Plan.stages`.

    Args:
        root: The last stage.
        sink_maxsize: Elements that may wait for the consumer; 0 for up to 8192, as is fast.

    Returns:
        The plan.

    Raises:
        ValueError: More than 65535 paths lead to an `ordered`, or an index would have more than 16
            dimensions.
    """
    graph = sources_first(root)
    only_sync = all(stage.kind is WorkerKind.SYNC for stage in graph)
    base, ordereds, trailing, bounds = root, list[Stage[Any]](), list[Stage[Any]](), [sink_maxsize]
    if not only_sync:
        base, ordereds, trailing = _cut_tail(root)
        # The queue in front of the tail stands for all the queues that the tail's stages would have had.
        bounds += [stage.maxsize for stage in _linear(root, base)]
        graph = sources_first(base)

    names = _Names()
    stages = [_planned_stage(stage, id, names, only_sync) for id, stage in enumerate(graph)]
    plan = Plan(
        stages=stages,
        edges=[],
        sink=0,
        trailing=[
            _planned_stage(stage, len(stages) + i, names, only_sync=True) for i, stage in enumerate(trailing)
        ],
        sink_ordered=(
            _planned_stage(ordereds[0], len(stages) + len(trailing), names, only_sync) if ordereds else None
        ),
    )
    for id, stage in enumerate([*graph, *trailing]):
        remember(stage, plan.stats, id)
    for stage in ordereds:
        remember(stage, plan.stats, len(stages) + len(trailing))
    ids = {stage: id for id, stage in enumerate(graph)}
    for stage, planned_stage in zip(graph, stages, strict=True):
        if not stage.operator.feeds:
            planned_stage.inlet = _add_edge(
                plan, [ids[each] for each in stage.inputs], planned_stage.id, [stage.maxsize], graph
            )
    plan.sink = _add_edge(plan, [ids[base]], None, bounds, graph)
    _mark_order(plan)
    _assign_lanes(plan)
    if not only_sync:
        _check_dimensions(plan)
    return plan


def sources_first(root: Stage[Any]) -> list[Stage[Any]]:
    """Every stage upstream of `root` and itself, each once, after all that it takes from."""
    order: list[Stage[Any]] = []
    seen: set[Stage[Any]] = set()
    todo = [(root, False)]
    while todo:
        stage, inputs_are_placed = todo.pop()
        if inputs_are_placed:
            order.append(stage)
        elif stage not in seen:
            seen.add(stage)
            todo.append((stage, True))
            todo.extend((each, False) for each in reversed(stage.inputs))
    return order


def _cut_tail(root: Stage[Any]) -> tuple[Stage[Any], list[Stage[Any]], list[Stage[Any]]]:
    """Splits off what the consumer itself does: the last `ordered`s, and a chain of sync stages.

    An `ordered` inside that chain may be done before it: one thread that calls `f` keeps the order. But it is
    not done before a `batch`, whose batches would then be of other elements.

    Returns:
        The last stage that needs workers, the `ordered`s of which one is as good as all, and the sync stages.
    """
    ordereds: list[Stage[Any]] = []
    trailing: list[Stage[Any]] = []
    stage = root
    while len(stage.inputs) == 1:
        if stage.operator.reorders:
            ordereds.append(stage)
        elif (
            root.kind is WorkerKind.SYNC
            and stage.kind is WorkerKind.SYNC
            and not (ordereds and stage.operator.gathers)
        ):
            trailing.append(stage)
        else:
            break
        (stage,) = stage.inputs
    trailing.reverse()
    return stage, ordereds, trailing


def _linear(root: Stage[Any], base: Stage[Any]) -> Iterable[Stage[Any]]:
    """The stages from `root` down to `base`, without it, each with the next as its only input."""
    while root is not base:
        yield root
        (root,) = root.inputs


class _Names:
    """Gives each stage of a plan a name of its own."""

    def __init__(self) -> None:
        self._used: dict[str, int] = {}

    def unique(self, name: str) -> str:
        number = self._used[name] = self._used.get(name, 0) + 1
        return name if number == 1 else f"{name} #{number}"


def _planned_stage(stage: Stage[Any], id: int, names: _Names, only_sync: bool) -> PlannedStage:
    kind, workers = stage.kind, stage.workers
    if kind is WorkerKind.SYNC:
        # Amid other workers, a sync stage needs a thread of its own to run beside them.
        kind, workers = (WorkerKind.SYNC if only_sync else WorkerKind.THREAD), 1
    elif stage.operator.feeds and kind is WorkerKind.PROCESS and stage.use_thread:
        kind = WorkerKind.THREAD
    return PlannedStage(
        id=id,
        name=names.unique(stage.name),
        kind=kind,
        operator=stage.operator,
        workers=workers,
        timeout=stage.timeout,
        f=stage.f,
        on_start=stage.on_start,
        on_done=stage.on_done,
        source=stage.source,
        policy=stage.policy,
        batching=stage.batching,
    )


def _add_edge(
    plan: Plan, producers: list[int], consumer: int | None, bounds: list[int], graph: list[Stage[Any]]
) -> int:
    """Adds a queue and gives each producer its outlet to it; returns the queue's id."""
    # A source has no input queue: what it was given bounds the queue behind it.
    bounds = bounds + [graph[id].maxsize for id in producers if graph[id].operator.feeds]
    edge = Edge(
        id=len(plan.edges),
        maxsize=min((bound for bound in bounds if bound), default=0),
        producers=producers,
        consumer=consumer,
    )
    plan.edges.append(edge)
    for id in producers:
        plan.stages[id].outlets.append(Outlet(edge.id))
    return edge.id


def _mark_order(plan: Plan) -> None:
    """Finds the edges and sources upstream of an `ordered`."""
    for stage in reversed(plan.stages):
        leads_to_ordered = False
        for outlet in stage.outlets:
            edge = plan.edges[outlet.edge]
            consumer = plan.stage_of(edge)
            if consumer is None:
                edge.ends = plan.sink_reorders
            else:
                edge.ends = consumer.operator.reorders or any(
                    plan.edges[further.edge].ends for further in consumer.outlets
                )
            leads_to_ordered |= edge.ends
        stage.windowed = stage.operator.feeds and leads_to_ordered


def _assign_lanes(plan: Plan) -> None:
    """Gives each path through a concat its own lanes, where an `ordered` downstream will merge them."""
    placed = [0] * len(plan.stages)  # outlets that have their lane; they stand in the order of the edges
    for edge in plan.edges:
        lanes = 0
        for id in edge.producers:
            producer = plan.stages[id]
            arriving = 1 if producer.inlet is None else plan.edges[producer.inlet].lanes
            if edge.ends:
                producer.outlets[placed[id]] = Outlet(edge.id, lane=lanes)
                lanes += arriving
            else:
                lanes = max(lanes, arriving)
            placed[id] += 1
        if edge.ends and lanes > MOST_LANES:
            consumer = plan.stage_of(edge) or plan.stages[edge.producers[-1]]
            raise ValueError(
                f"stage {consumer.name}: more than {MOST_LANES} paths through concat lead from here to an "
                "ordered stage; order them in parts, or concat fewer stages"
            )
        edge.lanes = lanes


def _check_dimensions(plan: Plan) -> None:
    """Refuses a pipeline whose indices would not fit an element's head."""
    dimensions = [1] * len(plan.stages)
    for stage in plan.stages:
        if stage.inlet is not None:
            dimensions[stage.id] = max(dimensions[id] for id in plan.edges[stage.inlet].producers)
        dimensions[stage.id] += stage.operator.emission is Emission.EACH_OF_RESULT
        if dimensions[stage.id] > MOST_DIMENSIONS:
            raise ValueError(
                f"stage {stage.name}: its element_index would have {dimensions[stage.id]} dimensions, "
                f"one for the source, each flat_map and each unbatch, and at most {MOST_DIMENSIONS} are "
                "possible; join some of the flat_maps into one function"
            )
