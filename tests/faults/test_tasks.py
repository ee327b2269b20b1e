"""Tasks: inside and outside of a running loop, next to threads, and without a bound on their number."""

from __future__ import annotations

import asyncio
import itertools
import threading
from typing import Any

import pytest
from support.process_table import children, thread_names

from pypeln import PipelineError, io, th


async def same(x: Any) -> Any:
    await asyncio.sleep(0)
    return x


def plain(x: Any) -> Any:
    return x


def assert_nothing_left() -> None:
    assert children() == set()
    assert [name for name in thread_names() if "pypeln" in name] == []


@pytest.mark.parametrize("maxsize", [0, 1, 7])
@pytest.mark.parametrize("workers", [0, 1, 3, 50])
def test_a_bounded_queue_loses_nothing(workers: int, maxsize: int) -> None:
    stage = io.map(same, range(2000), workers=workers, maxsize=maxsize)
    stage = io.map(same, stage, workers=workers, maxsize=maxsize)
    assert sorted(stage) == list(range(2000))


@pytest.mark.parametrize("maxsize", [0, 1, 7])
def test_tasks_feed_threads_that_feed_tasks(maxsize: int) -> None:
    stage = io.map(same, range(500), workers=3, maxsize=maxsize)
    stage = th.map(plain, stage, workers=3, maxsize=maxsize)
    stage = io.map(same, stage, workers=3, maxsize=maxsize)
    stage = th.map(plain, stage, workers=3, maxsize=maxsize)
    assert sorted(stage) == list(range(500))
    assert_nothing_left()


@pytest.mark.parametrize("maxsize", [0, 1])
def test_a_list_of_a_stage_inside_of_a_running_loop(maxsize: int) -> None:
    async def main() -> list[int]:
        return list(io.map(same, range(100), workers=3, maxsize=maxsize))

    assert sorted(asyncio.run(main())) == list(range(100))
    assert_nothing_left()


def test_an_error_in_a_list_of_a_stage_inside_of_a_running_loop() -> None:
    async def fail(x: int) -> None:
        raise KeyError(x)

    async def main() -> None:
        list(io.map(fail, range(100), maxsize=1))

    with pytest.raises(KeyError):
        asyncio.run(main())
    assert_nothing_left()


def test_f_that_is_cancelled_by_somebody_else_is_an_error() -> None:
    async def f(x: int) -> None:
        raise asyncio.CancelledError

    with pytest.raises(PipelineError, match=r"map\(f\) was cancelled, but not by the pipeline"):
        list(io.map(f, range(10), maxsize=1))
    assert_nothing_left()


def test_an_unbounded_number_of_tasks_waits_together() -> None:
    """workers=0: each of them needs all the others to be there."""
    n = 300

    async def main() -> list[int]:
        everybody, arrived = asyncio.Event(), itertools.count(1)

        async def f(x: int) -> int:
            if next(arrived) == n:
                everybody.set()
            await everybody.wait()
            return x

        return await io.map(f, range(n), workers=0)

    assert sorted(asyncio.run(main())) == list(range(n))


def test_two_loops_iterate_one_stage_at_once() -> None:
    stage = io.map(same, range(300), workers=3, maxsize=1)
    got: list[list[int]] = []

    def run() -> None:
        async def main() -> None:
            got.append(await stage)

        asyncio.run(main())

    threads = [threading.Thread(target=run) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [sorted(each) for each in got] == [list(range(300))] * 2
