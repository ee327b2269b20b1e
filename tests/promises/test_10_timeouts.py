"""`timeout`: the element that takes too long is dropped, no other one, and nothing else counts as one."""

from __future__ import annotations

import asyncio
import itertools
import os
import time
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from support.process_table import children

from pypeln import io, pr, sync, th

LATE = 3


OTHERS = [0, 1, 2, 4, 5, 6]


LIMIT_S = 0.05


def sleep_long(x: int) -> int:
    if x == LATE:
        time.sleep(100)
    return x


def compute_long(x: int) -> int:
    while x == LATE:
        pass
    return x


def ignore_everything(x: int) -> int:
    while x == LATE:
        try:
            time.sleep(100)
        except BaseException:
            pass
    return x


async def sleep_long_async(x: int) -> int:
    if x == LATE:
        await asyncio.sleep(100)
    return x


@pytest.mark.parametrize("f", [sleep_long, compute_long, ignore_everything])
def test_promise_10_a_process_is_killed_and_replaced(f: Any, start_method: str) -> None:
    if start_method != "fork" and f is not sleep_long:
        pytest.skip("how workers start makes no difference to how they are killed")
    started = pr.map(f, range(7), timeout=LIMIT_S if start_method == "fork" else 0.5)
    assert sorted(started) == OTHERS
    assert children() == set()


def test_promise_10_the_replacement_is_another_process_that_starts_anew(fork: None, tmp_path: Any) -> None:
    def on_start(worker_info: Any) -> dict[str, int]:
        (tmp_path / str(os.getpid())).touch()
        return {"pid": os.getpid()}

    def f(x: int, pid: int) -> tuple[int, int]:
        assert pid == os.getpid()
        return sleep_long(x), pid

    got = list(pr.map(f, range(7), timeout=LIMIT_S, on_start=on_start))
    assert sorted(x for x, _ in got) == OTHERS
    assert len({pid for _, pid in got}) == 2
    assert {path.name for path in tmp_path.iterdir()} == {str(pid) for _, pid in got}


def test_promise_10_a_process_may_be_late_again_and_again(fork: None) -> None:
    def f(x: int) -> int:
        if x % 2:
            time.sleep(100)
        return x

    assert sorted(pr.map(f, range(20), workers=2, maxsize=1, timeout=LIMIT_S)) == list(range(0, 20, 2))
    assert children() == set()


def test_promise_10_a_thread_is_interrupted_where_it_runs_python() -> None:
    assert sorted(th.map(compute_long, range(7), timeout=LIMIT_S)) == OTHERS


def test_promise_10_a_thread_that_blocks_is_interrupted_when_it_comes_back() -> None:
    def f(x: int) -> int:
        if x == LATE:
            time.sleep(3 * LIMIT_S)
        return x

    assert sorted(th.map(f, range(7), timeout=LIMIT_S)) == OTHERS


def test_promise_10_a_task_is_cancelled() -> None:
    assert sorted(io.map(sleep_long_async, range(7), timeout=LIMIT_S)) == OTHERS


def test_promise_10_a_task_can_clean_up_when_it_is_cancelled() -> None:
    cleaned = []

    async def f(x: int) -> int:
        try:
            return await sleep_long_async(x)
        except asyncio.CancelledError:
            await asyncio.sleep(0)
            cleaned.append(x)
            raise

    assert sorted(io.map(f, range(7), timeout=LIMIT_S)) == OTHERS
    assert cleaned == [LATE]


def test_promise_10_a_sync_stage_is_interrupted() -> None:
    assert list(sync.map(compute_long, range(7), timeout=LIMIT_S)) == OTHERS


FRONTS = [(pr, compute_long), (th, compute_long), (io, sleep_long_async), (sync, compute_long)]


EVERYWHERE = pytest.mark.parametrize(("front_end", "f"), FRONTS, ids=["pr", "th", "io", "sync"])


@EVERYWHERE
def test_promise_10_filter_and_each_drop_it_too(front_end: Any, f: Any, fork: None) -> None:
    def keep(x: int) -> Any:
        return f(x + 1) if x + 1 == LATE else f(x + 10)

    assert sorted(front_end.filter(keep, range(6), timeout=LIMIT_S)) == [0, 1, 3, 4, 5]
    assert list(front_end.each(f, range(7), timeout=LIMIT_S)) == []
    assert children() == set()


@EVERYWHERE
def test_promise_10_a_timeout_error_of_f_is_an_error(front_end: Any, f: Any, fork: None) -> None:
    def fail(x: int) -> None:
        raise TimeoutError("of f itself")

    with pytest.raises(TimeoutError, match="of f itself"):
        list(front_end.map(fail, range(7), timeout=60))
    with pytest.raises(TimeoutError, match="of f itself"):
        list(front_end.flat_map(fail, range(7), timeout=60))


def test_promise_10_a_timeout_error_of_an_async_f_is_an_error() -> None:
    async def fail(x: int) -> None:
        await asyncio.wait_for(asyncio.sleep(100), LIMIT_S / 10)

    with pytest.raises(asyncio.TimeoutError):
        list(io.map(fail, range(7), timeout=60))


def hanging_children(x: int) -> Iterator[tuple[int, int]]:
    yield x, 0
    yield x, 1
    compute_long(x)
    yield x, 2


async def hanging_async_children(x: int) -> AsyncIterator[tuple[int, int]]:
    yield x, 0
    yield x, 1
    await sleep_long_async(x)
    yield x, 2


WITH_CHILDREN = [
    (pr, hanging_children),
    (th, hanging_children),
    (io, hanging_async_children),
    (sync, hanging_children),
]


@pytest.mark.parametrize(("front_end", "f"), WITH_CHILDREN, ids=["pr", "th", "io", "sync"])
@pytest.mark.parametrize("maxsize", [0, 1])
def test_promise_10_children_that_flat_map_has_put_stay(
    front_end: Any, f: Any, maxsize: int, fork: None
) -> None:
    got = list(front_end.flat_map(f, range(7), maxsize=maxsize, timeout=2 * LIMIT_S))
    late = [(x, child) for x, child in got if x == LATE]
    assert late == [(LATE, 0), (LATE, 1)]
    assert sorted(set(got) - set(late)) == [(x, child) for x in OTHERS for child in range(3)]
    assert len(got) == len(set(got))


@pytest.mark.parametrize("front_end", [pr, th, io], ids=["pr", "th", "io"])
def test_promise_10_time_spent_waiting_for_room_does_not_count(front_end: Any, fork: None) -> None:
    """The consumer takes its time; f does not."""

    def several(x: int) -> list[int]:
        return [x] * 3

    stage = front_end.map(
        lambda x: x, front_end.flat_map(several, range(4), maxsize=1, timeout=LIMIT_S), maxsize=1
    )
    got = []
    for x in stage.to_iterable(maxsize=1):
        got.append(x)
        if len(got) in (1, 4):
            time.sleep(3 * LIMIT_S)
    assert sorted(got) == sorted([0, 1, 2, 3] * 3)


@pytest.mark.parametrize("front_end", [pr, th, io], ids=["pr", "th", "io"])
def test_promise_10_time_spent_waiting_for_elements_does_not_count(front_end: Any, fork: None) -> None:
    def slow() -> Iterator[int]:
        for x in range(4):
            yield x
            if x == 1:
                time.sleep(3 * LIMIT_S)

    assert sorted(front_end.map(lambda x: x, slow(), timeout=LIMIT_S)) == [0, 1, 2, 3]


@pytest.mark.parametrize(
    ("front_end", "f"), [(pr, sleep_long), (th, compute_long), (io, sleep_long_async)], ids=["pr", "th", "io"]
)
def test_promise_10_all_workers_may_be_late_at_once(front_end: Any, f: Any, fork: None) -> None:
    assert list(front_end.map(lambda _: f(LATE), range(6), workers=3, maxsize=1, timeout=LIMIT_S)) == []
    assert children() == set()


def test_promise_10_a_consumer_that_leaves_does_not_wait_for_the_timeout(fork: None) -> None:
    for _ in pr.map(sleep_long, itertools.count(), workers=2, maxsize=1, timeout=1000):
        break
    assert children() == set()


def test_promise_10_a_timeout_in_the_middle_of_mixed_workers(start_method: str) -> None:
    stage = io.map(sleep_long_async, range(7), workers=3, maxsize=1, timeout=LIMIT_S)
    stage = pr.map(
        lambda x: sleep_long(x - 1) + 1, stage, maxsize=1, timeout=LIMIT_S if start_method == "fork" else 0.5
    )
    assert sorted(th.map(lambda x: compute_long(x - 2) + 2, stage, maxsize=1, timeout=LIMIT_S)) == [
        0,
        1,
        2,
        6,
    ]
