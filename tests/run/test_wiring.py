"""Which queue each edge of a run gets, and what its workers are told."""

from __future__ import annotations

import gc
import os
from collections.abc import Iterator
from typing import Any

import pytest

from pypeln import io, pr, sync, th
from pypeln.graph.planner import planned
from pypeln.run.plan import Plan
from pypeln.run.wiring import MOST_WORKERS, Wiring, places
from pypeln.transport.event_loop import LoopQueue
from pypeln.transport.in_process import InProcessQueue
from pypeln.transport.shared_memory import SharedQueue


@pytest.fixture
def wire() -> Iterator[Any]:
    """Wires the plan of a pipeline; closed at the end."""
    made: list[Wiring] = []

    def wire(stage: Any, async_sink: bool = False) -> Wiring:
        wiring = Wiring(planned(stage, 0), async_sink)
        made.append(wiring)
        return wiring

    yield wire
    for wiring in made:
        wiring.close()
    made.clear()


def queue_types(wiring: Wiring) -> list[type]:
    return [type(queue) for queue in wiring.queues]


def test_threads_are_joined_by_references(wire: Any) -> None:
    assert queue_types(wire(th.map(abs, th.map(abs, [1])))) == [InProcessQueue] * 3


def test_whatever_touches_a_process_is_shared(wire: Any) -> None:
    # The source of processes is a thread.
    assert queue_types(wire(pr.map(abs, [1]))) == [SharedQueue] * 2
    assert queue_types(wire(th.map(abs, pr.map(abs, th.map(abs, [1]))))) == [
        InProcessQueue,
        SharedQueue,
        SharedQueue,
        InProcessQueue,
    ]


def test_tasks_are_joined_in_their_loop(wire: Any) -> None:
    stage = io.map(abs, io.map(abs, [1]))
    assert queue_types(wire(stage)) == [LoopQueue, LoopQueue, InProcessQueue]
    assert queue_types(wire(stage, async_sink=True)) == [LoopQueue] * 3


def test_a_loop_at_one_end_of_a_ring_has_a_bell_there(wire: Any) -> None:
    into, out = wire(th.map(abs, io.map(abs, th.map(abs, [1])))).queues[1:3]
    assert (into.consumer_bell is not None, into.producer_bell is not None) == (True, False)
    assert (out.consumer_bell is not None, out.producer_bell is not None) == (False, True)


def test_an_edge_of_several_kinds_is_one_that_all_can_use(wire: Any) -> None:
    stage = th.concat([pr.map(abs, [1]), io.map(abs, [1]), th.map(abs, [1])])
    queue = wire(stage).queues[-2]
    assert isinstance(queue, SharedQueue)
    assert queue.producer_bell is not None
    queue = wire(io.concat([th.map(abs, [1]), io.map(abs, [1])])).queues[-2]
    assert isinstance(queue, InProcessQueue)
    assert queue.consumer_bell is not None


def test_every_worker_has_a_place_of_its_own(wire: Any) -> None:
    wiring = wire(th.map(abs, io.map(abs, pr.map(abs, [1], workers=3), workers=5), workers=2))
    assert [places(stage) for stage in wiring.plan.stages] == [1, 3, 1, 2]
    assert wiring.first == [0, 1, 4, 5]
    assert (wiring.workers, wiring.sink_owner) == (7, 8)


def test_producers_of_a_queue_are_numbered_through(wire: Any) -> None:
    left, right = th.map(abs, [1], workers=2), th.map(abs, [2], workers=3)
    wiring = wire(th.concat([left, right, left]))
    last = len(wiring.queues) - 2
    bases = {
        key: base
        for key, base in wiring.producer_base.items()
        if wiring.plan.stages[key[0]].outlets[key[1]].edge == last
    }
    assert sorted(bases.values()) == [0, 2, 4] or sorted(bases.values()) == [0, 2, 5]
    for producer in range(7):
        wiring.queues[last].ring.close_for(producer)
    assert wiring.queues[last].ring.closed


@pytest.mark.parametrize("maxsize", [1, 3, 100])
def test_maxsize_is_the_number_of_slots(wire: Any, maxsize: int) -> None:
    for kind in (th, pr):
        wiring = wire(kind.map(abs, [1], maxsize=maxsize))
        assert wiring.queues[0].ring.capacity == maxsize


def test_an_ordered_stage_has_a_window_for_each_source(wire: Any) -> None:
    def windows(stage: Any) -> list[tuple[int, int | None, int]]:
        wiring = wire(stage)
        return [(each.source, each.ordered, len(each.lanes)) for each in wiring.windows]

    assert windows(th.map(abs, [1])) == []
    assert windows(th.ordered(th.map(abs, [1]))) == [(0, None, 1)]
    two = windows(th.map(abs, th.ordered(th.concat([th.map(abs, [1]), [2]]))))
    assert len(two) == 2
    assert {ordered for _, ordered, _ in two} != {None}
    shared = th.map(abs, [1])
    assert [lanes for _, _, lanes in windows(th.ordered(th.concat([shared, shared])))] == [2]


def test_more_workers_than_a_run_can_have_are_refused() -> None:
    with pytest.raises(ValueError, match=str(MOST_WORKERS)):
        Wiring(planned(th.map(abs, [1], workers=MOST_WORKERS + 1), 0), False)


def test_nothing_is_left_when_there_is_no_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """The last queue of three cannot be made: the others and their bells go."""
    made: list[Any] = []
    original = SharedQueue.create

    def create(self: SharedQueue, control: Any) -> None:
        if len(made) == 2:
            raise MemoryError("full")
        made.append(None)
        original(self, control)

    monkeypatch.setattr(SharedQueue, "create", create)
    before = set(os.listdir("/proc/self/fd"))
    with pytest.raises(MemoryError, match="full"):
        Wiring(planned(io.map(abs, pr.map(abs, pr.map(abs, [1]))), 0), False)
    gc.collect()
    assert set(os.listdir("/proc/self/fd")) <= before


def test_closing_frees_every_descriptor() -> None:
    before = set(os.listdir("/proc/self/fd"))
    wiring = Wiring(planned(io.ordered(io.map(abs, pr.map(abs, io.map(abs, [1])))), 0), False)
    assert set(os.listdir("/proc/self/fd")) > before
    wiring.close()
    del wiring
    gc.collect()
    assert set(os.listdir("/proc/self/fd")) <= before


def test_a_sync_stage_amid_others_is_a_thread(wire: Any) -> None:
    plan: Plan = wire(th.map(abs, sync.map(abs, [1]))).plan
    assert {stage.kind.value for stage in plan.stages} == {"thread"}
