"""`io` stages from inside a running loop, alone and fed by other kinds."""

from __future__ import annotations

import asyncio
import itertools
import threading
from collections.abc import AsyncIterator
from typing import Any

import pytest
from support.fronts import KINDS, short_name

import pypeln as pl
from pypeln import io


async def add1(x: int) -> int:
    await asyncio.sleep(0)
    return x + 1


async def up_to(x: int) -> AsyncIterator[int]:
    for i in range(x):
        yield i


async def numbers(n: int) -> AsyncIterator[int]:
    for i in range(n):
        await asyncio.sleep(0)
        yield i


@pytest.mark.parametrize("workers", [0, 1, 5])
@pytest.mark.parametrize("maxsize", [0, 1, 3])
def test_an_io_stage_can_be_awaited(workers: int, maxsize: int) -> None:
    async def main() -> list[int]:
        return await io.map(add1, range(200), workers=workers, maxsize=maxsize)

    assert sorted(asyncio.run(main())) == list(range(1, 201))


def test_every_operator_in_a_loop() -> None:
    async def main() -> list[Any]:
        stage = io.flat_map(up_to, io.filter(lambda x: x % 2, numbers(6)), workers=2)
        return await io.ordered(io.concat([io.map(add1, stage), numbers(2)]))

    assert asyncio.run(main()) == [0, 1, 1, 1, 2, 3, 1, 2, 3, 4, 5]


def test_async_for_and_to_async_iterable() -> None:
    async def main() -> tuple[list[int], list[Any]]:
        stage = io.map(add1, range(5), workers=2)
        plain = [x async for x in stage]
        indexed = [element async for element in io.to_async_iterable(stage, maxsize=1, return_index=True)]
        return plain, indexed

    plain, indexed = asyncio.run(main())
    assert sorted(plain) == [1, 2, 3, 4, 5]
    assert sorted(indexed) == [((i,), i + 1) for i in range(5)]


def test_partials_in_a_loop() -> None:
    async def main() -> list[int]:
        stage = range(5) | io.map(add1) | io.filter(lambda x: x > 2) | io.ordered()
        return [x async for x in stage | io.to_async_iterable()]

    assert asyncio.run(main()) == [3, 4, 5]


def test_the_consumers_loop_runs_the_tasks() -> None:
    async def main() -> None:
        here = threading.get_ident()

        async def where(x: int) -> int:
            return threading.get_ident()

        assert set(await io.map(where, range(3))) == {here}

    asyncio.run(main())


def test_plain_iteration_works_inside_a_running_loop() -> None:
    async def main() -> list[int]:
        return list(io.map(add1, range(5)))

    assert sorted(asyncio.run(main())) == [1, 2, 3, 4, 5]


@pytest.mark.parametrize("kind", KINDS, ids=short_name)
def test_other_kinds_feed_io_in_a_loop(kind: Any) -> None:
    async def main() -> list[int]:
        return await io.ordered(io.map(add1, kind.map(lambda x: x * 2, range(100), workers=2), workers=4))

    assert asyncio.run(main()) == [2 * x + 1 for x in range(100)]


@pytest.mark.parametrize("kind", KINDS, ids=short_name)
def test_io_feeds_other_kinds_that_feed_io_in_a_loop(kind: Any) -> None:
    async def main() -> list[int]:
        stage = kind.map(lambda x: x * 2, io.map(add1, numbers(50), workers=3), workers=2, maxsize=2)
        return [x async for x in io.map(add1, stage, maxsize=1)]

    assert sorted(asyncio.run(main())) == [2 * (x + 1) + 1 for x in range(50)]


@pytest.mark.parametrize("kind", KINDS, ids=short_name)
def test_leaving_an_async_for_ends_the_run(kind: Any) -> None:
    async def main() -> None:
        taken = 0
        iterator = io.map(add1, kind.map(abs, itertools.count(), maxsize=2), maxsize=2).to_async_iterable()
        async for _ in iterator:
            taken += 1
            if taken == 10:
                break
        await iterator.aclose()
        assert asyncio.all_tasks() == {asyncio.current_task()}

    asyncio.run(main())


def test_an_async_generator_as_a_source_is_closed() -> None:
    closed: list[str] = []

    async def source() -> AsyncIterator[int]:
        try:
            for i in itertools.count():
                yield i
        finally:
            closed.append("source")

    async def main() -> None:
        iterator = io.map(add1, source(), maxsize=1).to_async_iterable()
        async for _ in iterator:
            break
        await iterator.aclose()

    asyncio.run(main())
    assert closed == ["source"]


def test_async_sources_and_functions_without_a_loop() -> None:
    assert sorted(io.map(add1, numbers(10), workers=3)) == list(range(1, 11))
    assert sorted(pl.pr.map(lambda x: x, io.map(add1, numbers(10)))) == list(range(1, 11))


def test_workers_0_is_as_many_as_there_are_elements() -> None:
    arrived = 0

    async def main() -> list[int]:
        everybody = asyncio.Event()

        async def meet(x: int) -> int:
            nonlocal arrived
            arrived += 1
            if arrived == 300:
                everybody.set()
            await everybody.wait()
            return x

        return await io.map(meet, range(300), workers=0)

    assert sorted(asyncio.run(main())) == list(range(300))


def test_no_more_than_workers_at_once() -> None:
    inside = most = 0

    async def main() -> None:
        nonlocal inside, most

        async def f(x: int) -> None:
            nonlocal inside, most
            inside += 1
            most = max(most, inside)
            await asyncio.sleep(0.001)
            inside -= 1

        await io.each(f, range(100), workers=7)

    asyncio.run(main())
    assert most == 7


def test_runs_beside_each_other_in_one_loop() -> None:
    async def main() -> list[list[int]]:
        return await asyncio.gather(*(io.ordered(io.map(add1, range(50), workers=3)) for _ in range(5)))

    assert asyncio.run(main()) == [list(range(1, 51))] * 5


def test_an_error_arrives_in_the_loop() -> None:
    async def fail(x: int) -> int:
        if x == 3:
            raise LookupError(x)
        return x

    async def main() -> None:
        with pytest.raises(LookupError) as caught:
            await io.map(fail, range(10), workers=2)
        assert caught.value.args == (3,)

    asyncio.run(main())
