"""A queue from producers to this process or thread: each library's own, used as its documentation shows.

Each takes the elements, the number of producers and how to make the queue, and yields what came out of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import chain
from multiprocessing import Process
from threading import Thread
from typing import Any

from contenders import faster_fifo

Results = Iterator[Iterable[Any]]
# Process or Thread: who puts.
Producer = Callable[..., Any]


def _put_and_close(queue: Any, share: Iterable[Any]) -> None:
    for element in share:
        queue.put(element)
    queue.worker_done()


def _put_and_mark(queue: Any, share: Iterable[Any]) -> None:
    for element in share:
        queue.put(element)
    queue.put(None)


@contextmanager
def _producing(
    producer: Producer, put: Callable[..., None], queue: Any, source: Sequence[Any], producers: int
) -> Iterator[None]:
    started = [producer(target=put, args=(queue, source[p::producers])) for p in range(producers)]
    for one in started:
        one.start()
    yield
    for one in started:
        one.join()


@contextmanager
def pypeln_queue(front_end: str, source: Sequence[Any], producers: int) -> Results:
    """`IterableQueue` of a front end; the same user's code for this pypeln and for 0.4.9."""
    import pypeln

    module = getattr(pypeln, front_end)
    queue = module.IterableQueue(total_sources=producers)
    with _producing(Process if front_end == "process" else Thread, _put_and_close, queue, source, producers):
        yield queue


@contextmanager
def standard_queue(
    producer: Producer, new_queue: Callable[[], Any], source: Sequence[Any], producers: int
) -> Results:
    """A queue that knows no end: each producer puts None when it is done."""
    queue = new_queue()
    with _producing(producer, _put_and_mark, queue, source, producers):
        yield chain.from_iterable(iter(queue.get, None) for _ in range(producers))


@contextmanager
def faster_fifo_queue(source: Sequence[Any], producers: int) -> Results:
    """`put_many` of chunks and `get_many`."""
    queue = faster_fifo.new_queue()
    with _producing(Process, faster_fifo.put_all, queue, source, producers):
        yield faster_fifo.get_all(queue, ends=producers)
