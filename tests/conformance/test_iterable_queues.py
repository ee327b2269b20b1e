"""`IterableQueue`: pushing elements into a pipeline from wherever they come."""

from __future__ import annotations

import asyncio
import itertools
import multiprocessing
import threading
from typing import Any

import pytest
from support.fronts import KINDS, METHODS, short_name

from pypeln import io, pr, sync, th

QUEUES = [pr, th, io, sync]


def put_all(queue: Any, values: Any) -> None:
    put = getattr(queue, "put_threadsafe", queue.put)
    for value in values:
        put(value)
    queue.close()


@pytest.mark.parametrize("maxsize", [0, 1, 10])
@pytest.mark.parametrize("kind", KINDS, ids=short_name)
@pytest.mark.parametrize("source", QUEUES, ids=short_name)
def test_every_queue_feeds_every_kind_of_pipeline(source: Any, kind: Any, maxsize: int) -> None:
    queue = source.IterableQueue(maxsize=maxsize)
    thread = threading.Thread(target=put_all, args=(queue, range(100)))
    thread.start()
    assert sorted(kind.map(lambda x: x + 1, queue, workers=2)) == list(range(1, 101))
    thread.join()
    assert queue.is_done()


@pytest.mark.parametrize("kind", QUEUES, ids=short_name)
def test_it_ends_when_all_sources_have_closed(kind: Any) -> None:
    queue = kind.IterableQueue(total_sources=3)
    threads = [
        threading.Thread(target=put_all, args=(queue, range(start, start + 50))) for start in (0, 50, 100)
    ]
    for thread in threads:
        thread.start()
    assert sorted(th.map(abs, queue)) == list(range(150))
    for thread in threads:
        thread.join()


@pytest.mark.parametrize("method", METHODS)
def test_processes_put_into_a_pipeline(method: str) -> None:
    context = multiprocessing.get_context(method)
    queue = pr.IterableQueue(maxsize=5, total_sources=2)
    children = [context.Process(target=put_all, args=(queue, range(s, s + 30))) for s in (0, 30)]
    for child in children:
        child.start()
    assert sorted(pr.map(abs, queue)) == list(range(60))
    for child in children:
        child.join()
        assert child.exitcode == 0
        child.close()


@pytest.mark.parametrize("kind", KINDS, ids=short_name)
@pytest.mark.parametrize("source", QUEUES, ids=short_name)
def test_leaving_a_pipeline_whose_queue_stays_open(source: Any, kind: Any) -> None:
    """The run ends though nobody puts any more, and the queue can feed another one."""
    queue = source.IterableQueue()
    put = getattr(queue, "put_threadsafe", queue.put)
    for x in range(3):
        put(x)
    iterator = iter(kind.map(lambda x: x, queue, maxsize=1))
    assert next(iterator) == 0
    iterator.close()
    put_all(queue, [10, 11])
    assert set(kind.map(lambda x: x, queue)) >= {10, 11}


def test_coroutines_put_into_a_pipeline_of_their_loop() -> None:
    async def main() -> list[int]:
        queue = io.IterableQueue(maxsize=2)

        async def put() -> None:
            for x in range(100):
                await queue.put(x)
            queue.close()

        putting = asyncio.create_task(put())
        got = await io.map(lambda x: x + 1, queue, workers=3)
        await putting
        return got

    assert sorted(asyncio.run(main())) == list(range(1, 101))


def test_elements_are_worked_on_while_the_queue_is_open() -> None:
    for source, kind in itertools.product(QUEUES, KINDS):
        queue = source.IterableQueue()
        put = getattr(queue, "put_threadsafe", queue.put)
        iterator = iter(kind.map(lambda x: -x, queue))
        for x in range(5):
            put(x)
            assert next(iterator) == -x
        queue.close()
        assert list(iterator) == []
