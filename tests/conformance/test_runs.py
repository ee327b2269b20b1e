"""Every iteration of a stage is a run of its own: again, at the same time, and inside each other."""

from __future__ import annotations

import itertools
import signal
import threading
from typing import Any

import pytest
from support.fronts import EVERY_FRONT, KINDS, Front, short_name, start_method
from support.notes import Journal

import pypeln as pl


def test_iterating_again_runs_again(front: Any, journal: Journal) -> None:
    stage = front.map(lambda x: journal.note(x) or x + 1, range(5), on_start=lambda: journal.note("start"))
    assert sorted(stage) == sorted(stage) == [1, 2, 3, 4, 5]
    assert sorted(journal.read(), key=str) == [0, 0, 1, 1, 2, 2, 3, 3, 4, 4, "start", "start"]


def test_nothing_runs_before_the_first_element_is_asked_for(front: Any, journal: Journal) -> None:
    stage = front.map(journal.note, [1], on_start=lambda: journal.note("start"))
    iterator = iter(stage)
    threads = threading.active_count()
    assert journal.read() == []
    assert list(iterator) == [None]
    assert journal.read() == ["start", 1]
    assert threading.active_count() == threads


def test_a_run_can_be_started_after_one_was_left(front: Any) -> None:
    stage = front.map(lambda x: x, range(10_000), maxsize=3)
    for _ in range(5):
        for x in stage:
            assert x == 0
            break


def test_two_iterators_of_a_stage_at_once(every_front: Any) -> None:
    stage = every_front.ordered(every_front.map(lambda x: x + 1, range(10), workers=2))
    assert list(zip(stage, stage, strict=True)) == [(x, x) for x in range(1, 11)]


def test_an_iterator_that_was_exhausted_stays_so(front: Any) -> None:
    iterator = iter(front.map(abs, [1]))
    assert list(iterator) == [1]
    assert list(iterator) == []


def test_an_iterator_that_was_closed_stays_so(front: Any) -> None:
    iterator = iter(front.map(abs, range(100), maxsize=1))
    next(iterator)
    iterator.close()
    iterator.close()
    assert list(iterator) == []


def test_an_iterator_that_was_never_started_needs_no_end(front: Any) -> None:
    iter(front.map(abs, range(100)))
    iter(front.map(abs, range(100))).close()


def test_dropping_an_iterator_ends_its_run(front: Any) -> None:
    """The fixture that looks for leaks is the assertion."""
    iterator = iter(front.map(abs, itertools.count(), workers=2, maxsize=1))
    next(iterator)
    del iterator


def test_runs_in_several_threads(front: Any) -> None:
    results: list[list[int]] = []

    def run() -> None:
        results.append(sorted(front.map(lambda x: x + 1, range(50), workers=2)))

    threads = [threading.Thread(target=run) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [list(range(1, 51))] * 4


@pytest.mark.parametrize("inner", KINDS, ids=short_name)
@pytest.mark.parametrize("outer", KINDS, ids=short_name)
def test_a_pipeline_in_a_worker_of_a_pipeline(outer: Any, inner: Any) -> None:
    def total(x: int) -> int:
        return sum(inner.map(lambda y: y + x, range(3), workers=2))

    assert sorted(outer.map(total, range(4), workers=2)) == [3, 6, 9, 12]


@pytest.mark.parametrize("front", EVERY_FRONT[:3], ids=lambda front: front.name)
def test_processes_in_processes_with_every_start_method(front: Front) -> None:
    def total(x: int) -> int:
        return sum(pl.pr.map(lambda y: y + x, range(3)))

    with start_method(front.start_method):
        assert list(pl.pr.map(total, [1])) == [6]


@pytest.mark.parametrize("inner", KINDS, ids=short_name)
@pytest.mark.parametrize("outer", KINDS, ids=short_name)
def test_a_pipeline_that_is_left_in_a_worker_of_a_pipeline(outer: Any, inner: Any) -> None:
    def first(x: int) -> int:
        for y in inner.map(lambda y: y + x, itertools.count(), maxsize=2):
            return y
        raise AssertionError

    assert sorted(outer.map(first, range(3))) == [0, 1, 2]


def test_a_stage_as_a_source_of_a_generator_of_another_run(front: Any) -> None:
    inner = front.map(lambda x: x + 1, range(5))
    stage = front.map(lambda x: x * 2, (x + y for x in inner for y in (0, 100)))
    assert sorted(stage) == sorted(2 * (x + y) for x in range(1, 6) for y in (0, 100))


def test_a_program_that_ignores_its_children_does_no_harm(front: Any) -> None:
    """Nobody can ask then what a process ended with: the system forgets it at once."""
    before = signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    try:
        assert sorted(front.map(lambda x: x + 1, range(10), workers=2)) == list(range(1, 11))
        for _ in front.map(abs, itertools.count(), workers=2):
            break
    finally:
        signal.signal(signal.SIGCHLD, before)


def test_runs_that_start_while_others_end() -> None:
    """Whoever starts a process reaps those that have ended, also those of others."""

    def run() -> None:
        for _ in range(15):
            assert list(pl.pr.map(abs, [-1], workers=2)) == [1]
        done.append(True)

    done: list[bool] = []
    with start_method("fork"):
        threads = [threading.Thread(target=run) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len(done) == 3
