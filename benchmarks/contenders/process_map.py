"""One stage of processes over a stream, as libraries offer it."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from itertools import chain
from multiprocessing import Pool, Process, SimpleQueue
from threading import Thread
from typing import Any

F = Callable[[Any], Any]
Results = Iterator[Iterable[Any]]


@contextmanager
def pypeln_map(f: F, source: Iterable[Any], workers: int) -> Results:
    """The same user's code for this pypeln and for 0.4.9."""
    from pypeln import process as pr

    yield pr.map(f, source, workers=workers)


@contextmanager
def pool_map(f: F, source: Iterable[Any], workers: int, chunksize: int) -> Results:
    """`multiprocessing.Pool.imap_unordered`, which leaves the chunk size to its user."""
    with Pool(workers) as pool:
        yield pool.imap_unordered(f, source, chunksize=chunksize)


@contextmanager
def executor_map(f: F, source: Iterable[Any], workers: int, chunksize: int) -> Results:
    """`concurrent.futures.ProcessPoolExecutor.map`, which submits the whole source at first."""
    with ProcessPoolExecutor(workers) as executor:
        yield executor.map(f, source, chunksize=chunksize)


@contextmanager
def loky_map(f: F, source: Iterable[Any], workers: int, chunksize: int) -> Results:
    """`loky.ProcessPoolExecutor.map`: the same calls, and workers that are programs of their own."""
    loky = importlib.import_module("loky")
    with loky.ProcessPoolExecutor(workers) as executor:
        yield executor.map(f, source, chunksize=chunksize)


@contextmanager
def mpire_map(f: F, source: Iterable[Any], workers: int, chunksize: int) -> Results:
    """`mpire.WorkerPool.imap_unordered`, which unpacks its elements, so they travel as tuples of one."""
    mpire = importlib.import_module("mpire")
    with mpire.WorkerPool(workers) as pool:
        yield pool.imap_unordered(f, zip(source), chunk_size=chunksize)


@contextmanager
def pyper_map(f: F, source: Iterable[Any], workers: int) -> Results:
    """The pyper library, whose processes talk through queues of a manager."""
    pyper = importlib.import_module("pyper")

    def elements() -> Iterator[Any]:
        yield from source

    pipeline = pyper.task(elements, branch=True) | pyper.task(f, workers=workers, multiprocess=True)
    yield pipeline()


@contextmanager
def streamable_map(f: F, source: Iterable[Any], workers: int) -> Results:
    """The streamable library on an executor of processes, unordered as the others."""
    streamable = importlib.import_module("streamable")
    with ProcessPoolExecutor(workers) as executor:
        yield streamable.stream(source).map(f, concurrency=executor, as_completed=True)


def _work(f: F, taken: Any, given: Any) -> None:
    for element in iter(taken.get, None):
        given.put(f(element))
    given.put(None)


@contextmanager
def simple_queue_map(f: F, source: Iterable[Any], workers: int) -> Results:
    """Two of `multiprocessing.SimpleQueue`, element by element: the least that one writes by hand."""
    taken: SimpleQueue[Any] = SimpleQueue()
    given: SimpleQueue[Any] = SimpleQueue()

    def feed() -> None:
        for element in source:
            taken.put(element)
        for _ in range(workers):
            taken.put(None)

    processes = [Process(target=_work, args=(f, taken, given), daemon=True) for _ in range(workers)]
    for process in processes:
        process.start()
    feeder = Thread(target=feed)
    feeder.start()
    yield chain.from_iterable(iter(given.get, None) for _ in range(workers))
    for waited_for in (feeder, *processes):
        waited_for.join()
