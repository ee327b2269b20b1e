"""Pipelines inside of workers of pipelines, and many of them at once."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable
from typing import Any

import pytest
from support.notes import wait_until
from support.process_table import children

from pypeln import io, pr, sync, th


def same(x: Any) -> Any:
    return x


async def same_async(x: Any) -> Any:
    return x


def sum_in_processes(x: int) -> int:
    return sum(pr.map(same, range(x), workers=2, maxsize=1))


def sum_in_threads(x: int) -> int:
    return sum(th.map(same, range(x), workers=2, maxsize=1))


def sum_in_tasks(x: int) -> int:
    return sum(io.map(same_async, range(x), workers=2, maxsize=1))


def sum_here(x: int) -> int:
    return sum(sync.map(same, range(x)))


@pytest.mark.parametrize("inner", [sum_in_processes, sum_in_threads, sum_in_tasks, sum_here])
@pytest.mark.parametrize("outer", [pr, th, io, sync], ids=lambda each: each.__name__)
def test_promise_14_pipelines_inside_of_workers(outer: Any, inner: Callable[[int], int], fork: None) -> None:
    assert sorted(outer.map(inner, range(8), maxsize=1)) == [sum(range(x)) for x in range(8)]
    assert children() == set()


def test_promise_14_pipelines_inside_of_processes_however_they_start(start_method: str) -> None:
    assert sorted(pr.map(sum_in_processes, [3, 4])) == [3, 6]
    assert children() == set()


def test_promise_14_pipelines_three_deep(fork: None) -> None:
    def outer(x: int) -> int:
        return sum(pr.map(sum_in_processes, range(x)))

    assert list(pr.map(outer, [5])) == [sum(sum(range(x)) for x in range(5))]


def test_promise_14_an_error_comes_out_of_all_of_them(fork: None) -> None:
    def fail(x: int) -> None:
        raise KeyError("the innermost")

    def outer(x: int) -> list[Any]:
        return list(pr.map(fail, range(10), maxsize=1))

    with pytest.raises(KeyError, match="the innermost"):
        list(pr.map(outer, range(3)))
    assert children() == set()


def test_promise_14_the_end_of_the_outer_run_ends_the_inner_ones(fork: None, tmp_path: Any) -> None:
    """A worker that is killed cannot end its own workers: they have to notice."""

    def endless(x: int) -> int:
        if x:
            for _ in pr.map(same, itertools.count(), workers=2, maxsize=1):
                (tmp_path / "inner").touch()
        return x

    for _ in pr.map(endless, range(2)):
        while not (tmp_path / "inner").exists():
            pass
        break
    wait_until(lambda: children() == set(), "the inner workers have ended")


def test_promise_14_a_worker_may_leave_with_a_live_iterator(fork: None) -> None:
    """Its process must not wait for workers of its own that nobody tells to end."""
    kept = []

    def keep(x: int) -> int:
        elements = iter(pr.map(same, itertools.count(), maxsize=1))
        kept.append(elements)
        return next(elements)

    assert list(pr.map(keep, range(3))) == [0, 0, 0]
    assert children() == set()


def test_promise_14_many_runs_at_once_in_threads(fork: None) -> None:
    got: list[int] = []

    def run() -> None:
        got.append(sum(pr.map(same, range(100), workers=2, maxsize=2)))

    threads = [threading.Thread(target=run) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert got == [4950] * 6
    assert children() == set()
