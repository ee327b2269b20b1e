"""The queue between coroutines of one loop."""

from __future__ import annotations

import asyncio
import gc
from typing import Any

import pytest

from pypeln.errors import RunAborted
from pypeln.transport.event_loop import CLOSED_ENTRY, ELEMENT, EMPTY_ENTRY, Entry, LoopQueue
from pypeln.transport.loop_queue import FIRST_NAP, SOFT_BOUND


def entry(value: Any) -> Entry:
    return (value, (0,), 0, ELEMENT)


async def settle() -> None:
    """Let everything run that can."""
    for _ in range(5):
        await asyncio.sleep(0)


async def drain(queue: LoopQueue) -> list[Any]:
    got = []
    while (taken := await queue.take()) is not CLOSED_ENTRY:
        got.append(taken[0])
    return got


def test_entries_come_out_as_they_went_in() -> None:
    async def main() -> None:
        queue = LoopQueue()
        mark = (None, (3,), 2, 7)
        assert queue.put_nowait(entry("a"))
        await queue.put(mark)
        queue.close()
        assert await queue.take() == ("a", (0,), 0, ELEMENT)
        assert queue.take_nowait() == mark
        assert queue.take_nowait() is CLOSED_ENTRY
        assert await queue.take() is CLOSED_ENTRY

    asyncio.run(main())


@pytest.mark.parametrize("maxsize", [1, 2, 63, 64, 1000])
def test_maxsize_is_exact(maxsize: int) -> None:
    async def main() -> None:
        queue = LoopQueue(maxsize)
        for number in range(maxsize):
            assert queue.room() == maxsize - number
            assert queue.put_nowait(entry(number))
        assert not queue.put_nowait(entry("too many"))
        waiting = asyncio.create_task(queue.put(entry("later")))
        await settle()
        assert len(queue) == maxsize
        assert not waiting.done()
        for number in range(maxsize):
            assert (await queue.take())[0] == number
            assert len(queue) <= maxsize
        assert (await queue.take())[0] == "later"
        await waiting

    asyncio.run(main())


def test_a_queue_without_maxsize_is_bounded_all_the_same() -> None:
    async def main() -> None:
        queue = LoopQueue()
        assert queue.put_values(list(range(SOFT_BOUND + 10)), 0, 0, 0) == SOFT_BOUND
        assert not queue.put_nowait(entry("x"))

    asyncio.run(main())


def test_takers_are_served_first_come_first_served() -> None:
    async def main() -> None:
        queue = LoopQueue()
        takers = [asyncio.create_task(queue.take()) for _ in range(5)]
        await settle()
        for number in range(5):
            queue.put_nowait(entry(number))
        assert [taken[0] for taken in await asyncio.gather(*takers)] == [0, 1, 2, 3, 4]

    asyncio.run(main())


def test_nobody_overtakes_a_putter_that_waits() -> None:
    async def main() -> None:
        queue = LoopQueue(maxsize=1)
        queue.put_nowait(entry(0))
        putters = []
        for number in (1, 2, 3):
            putters.append(asyncio.create_task(queue.put(entry(number))))
            await settle()
        got = [(await queue.take())[0]]
        assert not queue.put_nowait(entry("pushy"))
        queue_rest = [(await queue.take())[0] for _ in range(3)]
        await asyncio.gather(*putters)
        assert got + queue_rest == [0, 1, 2, 3]

    asyncio.run(main())


def test_a_large_full_queue_lets_putters_in_again_when_it_is_half_empty() -> None:
    async def main() -> None:
        queue = LoopQueue(maxsize=100)
        assert queue.put_values(list(range(100)), 0, 0, 0) == 100
        putter = asyncio.create_task(queue.put(entry("later")))
        await settle()
        for _ in range(49):
            queue.take_nowait()
        await settle()
        assert not putter.done()
        queue.take_nowait()
        await settle()
        assert putter.done()
        assert len(queue) == 51

    asyncio.run(main())


def test_it_is_closed_when_every_producer_has_closed() -> None:
    async def main() -> None:
        queue = LoopQueue(producers=2)
        takers = [asyncio.create_task(queue.take()) for _ in range(3)]
        await settle()
        queue.close()
        await settle()
        assert not any(taker.done() for taker in takers)
        queue.put_nowait(entry("last"))
        queue.close()
        assert [taken[0] for taken in await asyncio.gather(*takers)] == ["last", None, None]
        assert queue.take_nowait() is CLOSED_ENTRY

    asyncio.run(main())


def test_abort_reaches_everybody_who_waits_and_everybody_who_comes() -> None:
    async def main() -> None:
        empty, full = LoopQueue(), LoopQueue(maxsize=1)
        full.put_nowait(entry(1))
        waiting = [
            asyncio.create_task(empty.take()),
            asyncio.create_task(full.put(entry(2))),
            asyncio.create_task(full.wait_room()),
        ]
        await settle()
        for queue in (empty, full):
            queue.abort()
            queue.abort()
        answers = await asyncio.gather(*waiting, return_exceptions=True)
        assert [type(answer) for answer in answers] == [RunAborted] * 3
        for queue in (empty, full):
            with pytest.raises(RunAborted):
                queue.take_nowait()
            with pytest.raises(RunAborted):
                queue.put_nowait(entry(3))
            with pytest.raises(RunAborted):
                queue.put_values([3], 0, 0, 0)
            with pytest.raises(RunAborted):
                await queue.wait_room()

    asyncio.run(main())


def test_what_was_handed_to_a_cancelled_taker_goes_to_the_next_one() -> None:
    async def main() -> None:
        queue = LoopQueue()
        first = asyncio.create_task(queue.take())
        second = asyncio.create_task(queue.take())
        await settle()
        queue.put_nowait(entry("mine"))
        first.cancel()
        assert (await second)[0] == "mine"
        third = asyncio.create_task(queue.take())
        await settle()
        queue.put_nowait(entry("a"))
        queue.put_nowait(entry("b"))
        third.cancel()
        await settle()
        assert [queue.take_nowait()[0], queue.take_nowait()[0]] == ["a", "b"]

    asyncio.run(main())


def test_a_cancelled_putter_leaves_the_line_and_puts_nothing() -> None:
    async def main() -> None:
        queue = LoopQueue(maxsize=1)
        queue.put_nowait(entry(0))
        first = asyncio.create_task(queue.put(entry("never")))
        second = asyncio.create_task(queue.put(entry("next")))
        await settle()
        first.cancel()
        await settle()
        assert [(await queue.take())[0], (await queue.take())[0]] == [0, "next"]
        await second
        assert queue.take_nowait() is EMPTY_ENTRY

    asyncio.run(main())


def test_the_last_cancelled_putter_does_not_keep_the_queue_shut() -> None:
    async def main() -> None:
        queue = LoopQueue(maxsize=100)
        assert queue.put_values(list(range(100)), 0, 0, 0) == 100
        putter = asyncio.create_task(queue.put(entry("never")))
        await settle()
        queue.take_nowait()
        putter.cancel()
        await settle()
        assert queue.put_nowait(entry("yes"))

    asyncio.run(main())


def test_an_attempt_that_succeeds_makes_no_future() -> None:
    async def main() -> None:
        queue = LoopQueue()
        made = []
        loop = asyncio.get_running_loop()
        create, loop.create_future = loop.create_future, lambda: made.append(1) or create()  # type: ignore
        for number in range(10):
            await queue.put(entry(number))
        for _ in range(10):
            await queue.take()
        assert not made

    asyncio.run(main())


def test_a_taker_that_waits_again_and_again_naps_and_misses_nothing() -> None:
    """Through the start of naps, their end by time, by a half full queue and by close."""

    async def main() -> None:
        queue = LoopQueue(maxsize=128)
        consumer = asyncio.create_task(drain(queue))
        number = 0
        for burst in [1] * (FIRST_NAP + 5) + [20] * 10 + [64] * 4 + [500]:
            for _ in range(burst):
                await queue.put(entry(number))
                number += 1
            await asyncio.sleep(0.001 if burst > 1 else 0)
        queue.put_nowait(entry(number))
        queue.close()
        assert await consumer == list(range(number + 1))

    asyncio.run(main())


def test_a_nap_ends_by_itself_and_at_once_when_the_run_does() -> None:
    async def nap(queue: LoopQueue) -> asyncio.Task[Entry]:
        for number in range(FIRST_NAP):
            taker = asyncio.create_task(queue.take())
            await settle()
            queue.put_nowait(entry(number))
            assert (await taker)[0] == number
        taker = asyncio.create_task(queue.take())
        await settle()
        assert queue._nap is not None
        return taker

    async def main() -> None:
        queue = LoopQueue()
        taker = await nap(queue)
        queue.put_nowait(entry("during"))
        assert not taker.done()
        assert (await taker)[0] == "during"

        queue = LoopQueue()
        taker = await nap(queue)
        queue.close()
        await settle()
        assert taker.result() is CLOSED_ENTRY

        queue = LoopQueue()
        taker = await nap(queue)
        queue.abort()
        with pytest.raises(RunAborted):
            await taker

        queue = LoopQueue()
        taker = await nap(queue)
        taker.cancel()
        await settle()
        queue.put_nowait(entry("kept"))
        assert (await queue.take())[0] == "kept"

    asyncio.run(main())


@pytest.mark.parametrize("maxsize", [0, 1, 3, 64])
@pytest.mark.parametrize("takers", [1, 7])
def test_many_putters_and_takers_lose_and_double_nothing(maxsize: int, takers: int) -> None:
    async def put(queue: LoopQueue, numbers: range) -> None:
        for number in numbers:
            await queue.put(entry(number))
            if number % 7 == 0:
                await asyncio.sleep(0)
        queue.close()

    async def main() -> None:
        queue = LoopQueue(maxsize, producers=3)
        drains = [asyncio.create_task(drain(queue)) for _ in range(takers)]
        await asyncio.gather(*(put(queue, range(start, 3000, 3)) for start in range(3)))
        got = [number for part in await asyncio.gather(*drains) for number in part]
        assert sorted(got) == list(range(3000))

    asyncio.run(main())


def test_a_loop_that_is_dropped_leaves_nothing_that_complains(recwarn: pytest.WarningsRecorder) -> None:
    loop = asyncio.new_event_loop()
    queue = LoopQueue(maxsize=1)
    queue.put_nowait(entry(0))
    waiting = [queue.put(entry(1)), queue.wait_room()]
    tasks = [loop.create_task(each) for each in waiting]
    loop.run_until_complete(asyncio.sleep(0))
    for task in tasks:
        task._log_destroy_pending = False  # type: ignore[attr-defined]
    loop.close()
    queue.abort()
    del tasks, waiting
    gc.collect()
    assert not [warning for warning in recwarn if "never retrieved" in str(warning.message)]
