"""Stages of processes by hand, joined by queues of the faster-fifo library that carry many elements."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from multiprocessing import Process
from threading import Thread
from typing import Any

from contenders.chunked_pipe import Work, mapping

# Elements of a put_many: fewer cost a lock each, many more do not fit the buffer at once.
CHUNK = 256
BUFFER_NBYTES = 4_000_000
# Seconds that a put or a get may wait. The library's default, 10, would be an error on a busy machine.
PATIENCE_S = 600.0


def new_queue() -> Any:
    return importlib.import_module("faster_fifo").Queue(max_size_bytes=BUFFER_NBYTES)


def put_all(queue: Any, source: Iterable[Any], ends: int = 1) -> None:
    """Put the elements, then None for each of those who take them."""
    elements = iter(source)
    while chunk := list(islice(elements, CHUNK)):
        queue.put_many(chunk, timeout=PATIENCE_S)
    queue.put_many([None] * ends, timeout=PATIENCE_S)


def get_all(queue: Any, ends: int = 1) -> Iterator[Any]:
    """The elements, until so many Nones have come."""
    while ends:
        chunk = queue.get_many(timeout=PATIENCE_S)
        if marks := chunk.count(None):
            ends -= marks
            chunk = [element for element in chunk if element is not None]
        yield from chunk


def _work(work: Work, taken: Any, given: Any) -> None:
    ended = False
    while not ended:
        chunk = taken.get_many(timeout=PATIENCE_S, max_messages_to_get=CHUNK)
        if ended := chunk[-1] is None:
            marks = chunk.count(None)
            del chunk[-marks:]
            if marks > 1:  # those of the other workers
                taken.put_many([None] * (marks - 1), timeout=PATIENCE_S)
        if results := work(chunk):
            given.put_many(results, timeout=PATIENCE_S)


@contextmanager
def faster_fifo_stages(works: Sequence[Work], source: Iterable[Any], workers: int) -> Iterator[Iterable[Any]]:
    """Yield what stages of `workers` processes make of `source`, a stage for each of `works`."""
    queues = [new_queue() for _ in range(len(works) + 1)]
    stages = [
        [Process(target=_work, args=(work, taken, given), daemon=True) for _ in range(workers)]
        for work, taken, given in zip(works, queues, queues[1:], strict=False)
    ]

    def feed() -> None:
        put_all(queues[0], source, ends=workers)
        # Whoever ends a queue must be sure that nobody puts into it any more.
        for i, stage in enumerate(stages, start=1):
            for process in stage:
                process.join()
            put_all(queues[i], (), ends=1 if i == len(stages) else workers)

    for stage in stages:
        for process in stage:
            process.start()
    feeder = Thread(target=feed)
    feeder.start()
    yield get_all(queues[-1])
    feeder.join()


def faster_fifo_map(f: Callable[[Any], Any], source: Iterable[Any], workers: int) -> Any:
    """One stage: the results of `f` over `source`, in any order, from `workers` processes."""
    return faster_fifo_stages([mapping(f)], source, workers)
