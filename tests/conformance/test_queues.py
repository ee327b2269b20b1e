"""What all queues promise, whichever memory they lie in and whoever is at their ends."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
from support.queues import CLOSED, EMPTY, QUEUES, RunAborted

Make = Callable[..., Any]


@pytest.fixture(params=QUEUES)
def run(request: pytest.FixtureRequest) -> Callable[..., Any]:
    """Run a coroutine function with a new queue of each kind: `run(body, maxsize, producers)`."""

    def run(body: Callable[[Any], Coroutine[Any, Any, Any]], maxsize: int = 0, producers: int = 1) -> Any:
        async def main() -> Any:
            queue = QUEUES[request.param](maxsize, producers)
            try:
                return await body(queue)
            finally:
                queue.close()

        return asyncio.run(main())

    return run


def test_elements_come_out_as_and_in_the_order_in_which_they_went_in(run: Make) -> None:
    elements = [
        (1, (0,), 0),
        (None, (1,), 3),
        ("text", (5, 0, 7), 65534),
        (b"x" * 100_000, (2**62, 1), 0),
        ([1, {"a": (2.5, True)}], tuple(range(16)), 1),
        (b"y" * 50, tuple(range(2**40, 2**40 + 16)), 2),
    ]

    async def body(queue: Any) -> None:
        producer, consumer = queue.producer(0), queue.consumer()
        for element in elements:
            await producer.put(*element)
        producer.close()
        assert [await consumer.take() for _ in elements] == elements
        assert await consumer.take() == CLOSED
        assert consumer.try_take() == CLOSED

    run(body)


def test_end_marks_stand_in_line_with_elements(run: Make) -> None:
    async def body(queue: Any) -> None:
        producer, consumer = queue.producer(0), queue.consumer()
        await producer.put("a", (0, 0), 4)
        await producer.put_end((0,), 4, 1)
        await producer.put_end((1, 2, 3), 0, 0)
        await producer.put("b", (2,), 4)
        assert await consumer.take() == ("a", (0, 0), 4)
        assert await consumer.take() == ("end", 1, (0,), 4)
        assert await consumer.take() == ("end", 0, (1, 2, 3), 0)
        assert await consumer.take() == ("b", (2,), 4)
        assert consumer.try_take() == EMPTY

    run(body)


@pytest.mark.parametrize("maxsize", [1, 2, 3, 7, 64, 100])
def test_a_full_queue_holds_exactly_maxsize(run: Make, maxsize: int) -> None:
    async def body(queue: Any) -> None:
        producer, consumer = queue.producer(0), queue.consumer()
        for lap in range(5):
            for number in range(maxsize):
                assert producer.try_put(number, (lap,))
            assert not producer.try_put("too many", (lap,))
            for number in range(maxsize):
                assert (await consumer.take())[0] == number
            assert consumer.try_take() == EMPTY

    run(body, maxsize)


def test_without_maxsize_there_is_room_for_thousands_and_no_more(run: Make) -> None:
    async def body(queue: Any) -> None:
        producer = queue.producer(0)
        put = 0
        while producer.try_put(put, (put,)):
            put += 1
        assert 1000 < put <= 10_000

    run(body)


def test_a_put_waits_for_room_and_a_take_for_an_element(run: Make) -> None:
    async def body(queue: Any) -> None:
        producer, consumer = queue.producer(0), queue.consumer()
        taking = asyncio.create_task(consumer.take())
        await asyncio.sleep(0.01)
        assert not taking.done()
        await producer.put("a", (0,))
        assert await taking == ("a", (0,), 0)
        await producer.put("b", (1,))
        putting = asyncio.create_task(producer.put("c", (2,)))
        await asyncio.sleep(0.01)
        assert not putting.done()
        assert await consumer.take() == ("b", (1,), 0)
        await putting
        assert await consumer.take() == ("c", (2,), 0)

    run(body, 1)


def test_it_is_closed_when_all_producers_have_closed(run: Make) -> None:
    async def body(queue: Any) -> None:
        producers, consumer = [queue.producer(i) for i in range(3)], queue.consumer()
        await producers[0].put("first", (0,))
        producers[0].close()
        producers[1].close()
        assert await consumer.take() == ("first", (0,), 0)
        assert consumer.try_take() == EMPTY
        taking = asyncio.create_task(consumer.take())
        await producers[2].put("last", (1,))
        producers[2].close()
        assert await taking == ("last", (1,), 0)
        assert await consumer.take() == CLOSED

    run(body, 0, 3)


def test_closing_wakes_everybody_who_takes(run: Make) -> None:
    async def body(queue: Any) -> None:
        producer = queue.producer(0)
        takers = [asyncio.create_task(queue.consumer().take()) for _ in range(5)]
        await asyncio.sleep(0.01)
        producer.close()
        assert await asyncio.gather(*takers) == [CLOSED] * 5

    run(body)


def test_abort_reaches_everybody_who_waits_and_everybody_who_comes(run: Make) -> None:
    async def body(queue: Any) -> None:
        producer, consumer = queue.producer(0), queue.consumer()
        await producer.put("never taken", (0,))
        putting = asyncio.create_task(producer.put("never put", (1,)))
        await asyncio.sleep(0.01)
        queue.abort()
        answers = await asyncio.gather(putting, consumer.take(), return_exceptions=True)
        assert [type(answer) for answer in answers] == [RunAborted, RunAborted]
        with pytest.raises(RunAborted):
            await queue.producer(0).put("late", (2,))

    run(body, 1)


def test_abort_wakes_those_who_take(run: Make) -> None:
    async def body(queue: Any) -> None:
        takers = [asyncio.create_task(queue.consumer().take()) for _ in range(4)]
        await asyncio.sleep(0.01)
        queue.abort()
        answers = await asyncio.gather(*takers, return_exceptions=True)
        assert [type(answer) for answer in answers] == [RunAborted] * 4

    run(body)


@pytest.mark.parametrize("maxsize", [1, 2, 50, 0])
@pytest.mark.parametrize(("producers", "consumers"), [(1, 1), (4, 1), (1, 4), (3, 3)])
def test_many_at_both_ends_lose_and_double_nothing(
    run: Make, producers: int, consumers: int, maxsize: int
) -> None:
    n = 400

    async def body(queue: Any) -> None:
        async def put(number: int, producer: Any) -> None:
            for x in range(n):
                await producer.put((number, x), (x,), number)
            producer.close()

        async def take(consumer: Any) -> list[Any]:
            got = []
            while (taken := await consumer.take()) != CLOSED:
                got.append(taken)
            return got

        putting = [put(i, queue.producer(i)) for i in range(producers)]
        taking = [take(queue.consumer()) for _ in range(consumers)]
        parts = (await asyncio.gather(*putting, *taking))[producers:]
        everything = [each for part in parts for each in part]
        assert sorted(everything) == [((i, x), (x,), i) for i in range(producers) for x in range(n)]
        for part in parts:  # what one producer put, each consumer sees in that order
            for i in range(producers):
                mine = [value[1] for value, _, lane in part if lane == i]
                assert mine == sorted(mine)

    run(body, maxsize, producers)


def test_an_index_of_17_dimensions_is_refused(run: Make) -> None:
    async def body(queue: Any) -> None:
        producer, consumer = queue.producer(0), queue.consumer()
        if type(queue).__name__ == "QueueInLoop":
            await producer.put("fine", (0,) * 17)  # nothing is encoded there: the planner refuses it
        else:
            with pytest.raises(ValueError, match="16 dimensions"):
                await producer.put("x", (0,) * 17)
            await producer.put("fine", (0,))
        assert (await consumer.take())[0] == "fine"

    run(body)
