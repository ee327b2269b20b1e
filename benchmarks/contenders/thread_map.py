"""One stage of threads over a stream: as libraries offer it, and by hand."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import chain
from multiprocessing.pool import ThreadPool
from queue import SimpleQueue
from threading import Thread
from typing import Any

F = Callable[[Any], Any]
Results = Iterator[Iterable[Any]]


@contextmanager
def pypeln_map(f: F, source: Iterable[Any], workers: int) -> Results:
    """The same user's code for this pypeln and for 0.4.9."""
    from pypeln import thread as th

    yield th.map(f, source, workers=workers)


@contextmanager
def thread_pool_map(f: F, source: Iterable[Any], workers: int, chunksize: int) -> Results:
    """`multiprocessing.pool.ThreadPool.imap_unordered`, which leaves the chunk size to its user."""
    with ThreadPool(workers) as pool:
        yield pool.imap_unordered(f, source, chunksize=chunksize)


@contextmanager
def executor_map(f: F, source: Iterable[Any], workers: int) -> Results:
    """`concurrent.futures.ThreadPoolExecutor.map`, which submits the whole source before the first result."""
    with ThreadPoolExecutor(workers) as executor:
        yield executor.map(f, source)


@contextmanager
def streamable_map(f: F, source: Iterable[Any], workers: int) -> Results:
    """The streamable library, unordered as the others; one worker is the caller's own thread."""
    streamable = importlib.import_module("streamable")
    yield streamable.stream(source).map(f, concurrency=workers, as_completed=True)


@contextmanager
def pyper_map(f: F, source: Iterable[Any], workers: int) -> Results:
    """The pyper library, whose threads talk through `queue.Queue`."""
    pyper = importlib.import_module("pyper")

    def elements() -> Iterator[Any]:
        yield from source

    pipeline = pyper.task(elements, branch=True) | pyper.task(f, workers=workers)
    yield pipeline()


@contextmanager
def simple_queue_map(f: F, source: Iterable[Any], workers: int) -> Results:
    """Two unbounded queues, no error handling: the least that a thread stage written by hand does."""
    end = object()
    taken: SimpleQueue[Any] = SimpleQueue()
    given: SimpleQueue[Any] = SimpleQueue()

    def feed() -> None:
        for element in source:
            taken.put(element)
        for _ in range(workers):
            taken.put(end)

    def work() -> None:
        for element in iter(taken.get, end):
            given.put(f(element))
        given.put(end)

    threads = [Thread(target=feed), *(Thread(target=work) for _ in range(workers))]
    for thread in threads:
        thread.start()
    # Each worker ends with a mark of its own: the results are what comes before, between and after the marks.
    yield chain.from_iterable(iter(given.get, end) for _ in range(workers))
    for thread in threads:
        thread.join()
