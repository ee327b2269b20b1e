"""The plan of a run: queues, hosts, bounds, order."""

from __future__ import annotations

import time
from typing import Any

import pytest

import pypeln as pl
from pypeln import io, pr, sync, th
from pypeln.graph.planner import planned
from pypeln.run.plan import Edge, Plan, PlannedStage, WorkerKind

PROCESS, THREAD, TASK, SYNC = WorkerKind.PROCESS, WorkerKind.THREAD, WorkerKind.TASK, WorkerKind.SYNC


def add1(x: int) -> int:
    return x + 1


def pair(x: int) -> list[int]:
    return [x, -x]


def stage_named(plan: Plan, name: str) -> PlannedStage:
    (stage,) = [stage for stage in plan.stages if stage.name == name]
    return stage


def inlet_of(plan: Plan, name: str) -> Edge:
    inlet = stage_named(plan, name).inlet
    assert inlet is not None
    return plan.edges[inlet]


def check_consistent(plan: Plan) -> None:
    """Ids are positions, edges and stages name each other, producers come first."""
    assert [stage.id for stage in plan.stages] == list(range(len(plan.stages)))
    assert [edge.id for edge in plan.edges] == list(range(len(plan.edges)))
    joins = sorted((outlet.edge, stage.id) for stage in plan.stages for outlet in stage.outlets)
    assert joins == sorted((edge.id, producer) for edge in plan.edges for producer in edge.producers)
    for edge in plan.edges:
        consumer = plan.stage_of(edge)
        assert (consumer is None) == (edge.id == plan.sink)
        assert consumer is None or (
            consumer.inlet == edge.id and all(each < consumer.id for each in edge.producers)
        )
    for stage in plan.stages:
        assert (stage.inlet is None) == stage.operator.feeds


def test_a_chain_is_planned_sources_first() -> None:
    data = range(3)
    plan = planned(pr.filter(bool, pr.map(add1, data, workers=3, timeout=2), workers=2), 0)
    check_consistent(plan)
    assert [stage.name for stage in plan.stages] == ["from_iterable(range)", "map(add1)", "filter(bool)"]
    assert [stage.kind for stage in plan.stages] == [THREAD, PROCESS, PROCESS]
    assert [stage.workers for stage in plan.stages] == [1, 3, 2]
    assert plan.stages[0].source is data
    assert plan.stages[1].timeout == 2
    assert not plan.trailing
    assert not plan.sink_reorders


@pytest.mark.parametrize(
    ("stage", "kind"),
    [
        (pr.map(add1, [1]), THREAD),
        (pr.map(add1, pr.from_iterable([1], use_thread=False)), PROCESS),
        (th.map(add1, th.from_iterable([1], use_thread=False)), THREAD),
        (io.map(add1, [1]), TASK),
        (sync.map(add1, [1]), SYNC),
        (th.map(add1, sync.from_iterable([1])), THREAD),
    ],
)
def test_a_source_is_hosted_where_its_kind_says(stage: pl.Stage[Any], kind: WorkerKind) -> None:
    assert planned(stage, 0).stages[0].kind is kind


def test_every_use_of_an_iterable_is_a_source_of_its_own() -> None:
    iterator = iter([1, 2])
    plan = planned(th.concat([iterator, iterator, th.map(add1, iterator)]), 0)
    assert sum(stage.operator.feeds for stage in plan.stages) == 3


def test_a_stage_with_two_consumers_is_planned_once_with_two_outlets() -> None:
    shared = th.map(add1, [1])
    plan = planned(th.concat([th.map(abs, shared), th.filter(bool, shared)]), 0)
    check_consistent(plan)
    assert len(plan.stages) == 5
    assert len(stage_named(plan, "map(add1)").outlets) == 2


def test_a_stage_that_is_concatenated_with_itself_sends_everything_twice() -> None:
    shared = th.map(add1, [1])
    plan = planned(th.ordered(th.map(abs, th.concat([shared, shared]))), 0)
    check_consistent(plan)
    outlets = stage_named(plan, "map(add1)").outlets
    assert [outlet.edge for outlet in outlets] == [inlet_of(plan, "concat").id] * 2
    assert [outlet.lane for outlet in outlets] == [0, 1]
    assert inlet_of(plan, "concat").producers == [stage_named(plan, "map(add1)").id] * 2


def test_maxsize_bounds_the_queue_in_front_of_its_stage() -> None:
    plan = planned(pr.map(abs, pr.map(add1, [1], maxsize=4), maxsize=6), 8)
    assert inlet_of(plan, "map(add1)").maxsize == 4
    assert inlet_of(plan, "map(abs)").maxsize == 6
    assert plan.edges[plan.sink].maxsize == 8


@pytest.mark.parametrize(
    ("of_source", "of_stage", "bound"), [(0, 0, 0), (3, 0, 3), (0, 5, 5), (3, 5, 3), (5, 3, 3)]
)
def test_maxsize_of_a_source_bounds_the_queue_behind_it(of_source: int, of_stage: int, bound: int) -> None:
    plan = planned([1] | th.from_iterable(maxsize=of_source) | th.map(add1, maxsize=of_stage), 0)
    assert inlet_of(plan, "map(add1)").maxsize == bound


def test_a_stage_given_to_from_iterable_is_passed_on() -> None:
    plan = planned(io.from_iterable(pr.map(add1, [1]), maxsize=2), 0)
    check_consistent(plan)
    assert [stage.name for stage in plan.stages] == ["from_iterable(list)", "map(add1)", "from_iterable"]
    assert inlet_of(plan, "from_iterable").maxsize == 2


def test_equal_names_are_numbered() -> None:
    plan = planned(th.map(add1, th.map(add1, th.map(add1, [1]))), 0)
    assert [stage.name for stage in plan.stages[1:]] == ["map(add1)", "map(add1) #2", "map(add1) #3"]


class TestSync:
    def test_a_pipeline_of_sync_stages_stays_in_the_consumer(self) -> None:
        plan = planned(sync.ordered(sync.map(add1, sync.concat([[1], [2]]), workers=4)), 0)
        check_consistent(plan)
        assert {stage.kind for stage in plan.stages} == {SYNC}
        assert {stage.workers for stage in plan.stages} == {1}
        assert not plan.sink_reorders
        assert not plan.trailing

    def test_sync_stages_at_the_end_trail_the_run(self) -> None:
        plan = planned(sync.filter(bool, sync.map(abs, th.map(add1, [1]), maxsize=3)), 0)
        check_consistent(plan)
        assert [stage.name for stage in plan.stages] == ["from_iterable(list)", "map(add1)"]
        assert [stage.name for stage in plan.trailing] == ["map(abs)", "filter(bool)"]
        assert [stage.kind for stage in plan.trailing] == [SYNC, SYNC]
        assert [stage.id for stage in plan.trailing] == [2, 3]
        assert plan.edges[plan.sink].maxsize == 3

    def test_sync_stages_amid_others_get_a_thread(self) -> None:
        plan = planned(pr.map(abs, sync.map(add1, th.map(abs, [1]), workers=5)), 0)
        assert stage_named(plan, "map(add1)").kind is THREAD
        assert stage_named(plan, "map(add1)").workers == 1

    def test_a_sync_stage_that_joins_others_gets_a_thread(self) -> None:
        plan = planned(sync.map(abs, sync.concat([th.map(add1, [1]), [2]])), 0)
        assert [stage.name for stage in plan.trailing] == ["map(abs)"]
        assert stage_named(plan, "concat").kind is THREAD

    def test_sync_stages_before_an_awaitable_end_get_a_thread(self) -> None:
        # In the consumer they would block its event loop.
        plan = planned(io.ordered(sync.map(add1, th.map(abs, [1]))), 0)
        assert stage_named(plan, "map(add1)").kind is THREAD
        assert plan.sink_reorders


class TestOrder:
    @pytest.mark.parametrize("front_end", [pr, th, io], ids=lambda module: module.__name__)
    def test_a_last_ordered_is_done_by_the_consumers_side(self, front_end: Any) -> None:
        plan = planned(front_end.ordered(front_end.map(add1, [1]), maxsize=3), 5)
        check_consistent(plan)
        assert plan.sink_reorders
        assert [stage.name for stage in plan.stages] == ["from_iterable(list)", "map(add1)"]
        assert plan.edges[plan.sink].maxsize == 3
        assert all(edge.ends for edge in plan.edges)

    def test_an_ordered_among_the_last_sync_stages_goes_before_them(self) -> None:
        plan = planned(sync.map(abs, sync.ordered(sync.filter(bool, th.map(add1, [1])))), 0)
        assert plan.sink_reorders
        assert [stage.name for stage in plan.trailing] == ["filter(bool)", "map(abs)"]

    def test_any_other_ordered_is_one_worker(self) -> None:
        plan = planned(th.map(abs, pr.ordered(pr.map(add1, [1], workers=3))), 0)
        check_consistent(plan)
        ordered = stage_named(plan, "ordered")
        assert (ordered.kind, ordered.workers, ordered.operator.reorders) == (PROCESS, 1, True)
        assert not plan.sink_reorders

    def test_only_what_is_upstream_of_an_ordered_says_where_elements_end(self) -> None:
        before = th.map(add1, [1])
        plan = planned(th.concat([th.ordered(before), th.filter(bool, before), th.map(abs, [2])]), 0)
        check_consistent(plan)
        assert inlet_of(plan, "map(add1)").ends
        assert inlet_of(plan, "ordered").ends
        assert not inlet_of(plan, "filter(bool)").ends
        assert not inlet_of(plan, "map(abs)").ends
        assert not plan.edges[plan.sink].ends
        assert stage_named(plan, "from_iterable(list)").windowed
        assert not stage_named(plan, "from_iterable(list) #2").windowed

    def test_each_path_through_concats_has_its_lane(self) -> None:
        inner = th.concat([[1], [2], [3]])
        plan = planned(th.ordered(th.concat([[0], th.map(add1, inner), [4]])), 0)
        check_consistent(plan)
        assert inlet_of(plan, "concat").lanes == 3
        assert inlet_of(plan, "map(add1)").lanes == 3
        assert inlet_of(plan, "concat #2").lanes == 5
        assert plan.edges[plan.sink].lanes == 5
        outer = inlet_of(plan, "concat #2").id
        offsets = sorted(
            outlet.lane for stage in plan.stages for outlet in stage.outlets if outlet.edge == outer
        )
        assert offsets == [0, 1, 4]

    def test_lanes_without_an_ordered_are_not_numbered(self) -> None:
        plan = planned(th.concat([[1], [2], [3]]), 0)
        assert {outlet.lane for stage in plan.stages for outlet in stage.outlets} == {0}
        assert {edge.lanes for edge in plan.edges} == {1}

    def test_too_many_paths_are_refused(self) -> None:
        stage = th.map(add1, [1])
        for _ in range(15):
            stage = th.concat([stage, stage])
        assert planned(th.ordered(stage), 0).edges[-1].lanes == 2**15
        stage = th.concat([stage, stage])
        planned(stage, 0)
        with pytest.raises(ValueError, match=r"stage concat #16: more than 65535 paths"):
            planned(th.ordered(stage), 0)


def test_too_many_dimensions_are_refused() -> None:
    stage: Any = [1]
    for _ in range(15):
        stage = th.flat_map(pair, stage)
    planned(stage, 0)
    with pytest.raises(ValueError, match=r"^stage flat_map\(pair\) #16: .* 17 dimensions"):
        planned(th.flat_map(pair, stage), 0)


def test_a_pipeline_may_be_thousands_of_stages_long() -> None:
    for front_end in (th, sync):
        stage: Any = [1]
        for _ in range(5000):
            stage = front_end.map(add1, stage)
        started = time.perf_counter()
        plan = planned(stage, 0)
        print(f"planned 5,000 stages in {time.perf_counter() - started:.3f} s")
        check_consistent(plan)
        assert plan.stages[-1].name == "map(add1) #5000"
