"""on_start, on_done, and what callables get by the names of their parameters."""

from __future__ import annotations

from typing import Any

import pytest
from support.notes import Journal

import pypeln as pl


def test_f_gets_what_on_start_returned(every_front: Any) -> None:
    stage = every_front.map(lambda x, base: base + x, range(4), workers=2, on_start=lambda: {"base": 100})
    assert sorted(stage) == [100, 101, 102, 103]


def test_worker_info_is_injected_everywhere(every_front: Any, journal: Journal) -> None:
    workers = 1 if every_front is pl.sync else 2

    def on_start(worker_info: Any) -> dict[str, Any]:
        journal.note(("start", worker_info.index))
        return {"mine": worker_info.index}

    def on_done(worker_info: Any, mine: int) -> None:
        journal.note(("done", worker_info.index, mine))

    stage = every_front.map(
        lambda x, worker_info, mine: worker_info.index == mine,
        range(10),
        workers=workers,
        on_start=on_start,
        on_done=on_done,
    )
    assert list(stage) == [True] * 10
    # All coroutines of an io stage are one worker to its callbacks: they share a loop.
    expected = range(1) if every_front is pl.io else range(workers)
    notes = journal.read()
    assert sorted(note for note in notes if note[0] == "start") == [("start", i) for i in expected]
    assert sorted(note for note in notes if note[0] == "done") == [("done", i, i) for i in expected]


def test_on_done_sees_the_last_worker_finish(every_front: Any, journal: Journal) -> None:
    def on_done(stage_status: Any) -> None:
        # In this order: the others may finish in between.
        journal.note((stage_status.active_workers, stage_status.done))

    list(every_front.map(abs, range(10), workers=3, on_done=on_done))
    notes = journal.read()
    assert (0, True) in notes
    assert all(0 <= active < 3 and (done or active) for active, done in notes)


def test_callbacks_run_without_elements(front: Any, journal: Journal) -> None:
    stage = front.map(abs, [], on_start=lambda: journal.note("start"), on_done=lambda: journal.note("done"))
    assert list(stage) == []
    assert journal.read() == ["start", "done"]


def test_on_done_runs_before_the_stage_after_it_ends(front: Any, journal: Journal) -> None:
    first = front.map(abs, range(3), on_done=lambda: journal.note("first"))
    list(front.map(abs, first, on_done=lambda: journal.note("second")))
    assert journal.read() == ["first", "second"]


def test_each_operator_with_a_function_injects(front: Any, journal: Journal) -> None:
    def on_start() -> dict[str, Any]:
        return {"limit": 2}

    assert sorted(front.filter(lambda x, limit: x < limit, range(5), on_start=on_start)) == [0, 1]
    assert sorted(front.flat_map(lambda x, limit: [x] * limit, range(2), on_start=on_start)) == [0, 0, 1, 1]
    front.each(lambda x, limit: journal.note(x + limit), [5], on_start=on_start, run=True)
    assert journal.read() == [7]


@pytest.mark.parametrize("returned", [[1], 5, "text"])
def test_an_on_start_that_returns_no_dict_is_an_error(front: Any, returned: Any) -> None:
    with pytest.raises(TypeError, match="on_start of stage map"):
        list(front.map(abs, [1], on_start=lambda: returned))


def test_an_argument_that_nothing_supplies_is_an_error(front: Any) -> None:
    with pytest.raises(TypeError, match="needs an argument 'nobody'"):
        list(front.map(lambda x, nobody: x, [1]))


def test_an_io_stage_awaits_its_callbacks(journal: Journal) -> None:
    async def on_start() -> dict[str, Any]:
        return {"base": 10}

    async def on_done(base: int) -> None:
        journal.note(base)

    async def f(x: int, base: int) -> int:
        return x + base

    assert sorted(pl.io.map(f, range(3), on_start=on_start, on_done=on_done)) == [10, 11, 12]
    assert journal.read() == [10]
