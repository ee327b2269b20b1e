"""P4: one element in flight through one process stage: how long a single hand-over takes."""

from __future__ import annotations

import importlib
import multiprocessing
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing import Pipe, Pool, Process
from multiprocessing.connection import Connection
from queue import SimpleQueue
from typing import Any

from contenders import faster_fifo
from harness.case import Case, Contender, Role
from harness.measures import round_trip

Exchange = Callable[[int], int]


def add_one(x: int) -> int:
    return x + 1


@contextmanager
def pypeln_exchange(items: int, workers: int) -> Iterator[Exchange]:
    from pypeln import process as pr

    requests: SimpleQueue[int | None] = SimpleQueue()
    results = iter(pr.map(add_one, iter(requests.get, None), workers=workers))

    def exchange(x: int) -> int:
        requests.put(x)
        result: int = next(results)
        return result

    yield exchange
    requests.put(None)
    assert list(results) == []


@contextmanager
def pool_apply(items: int, workers: int) -> Iterator[Exchange]:
    with Pool(workers) as pool:
        yield lambda x: pool.apply(add_one, (x,))


@contextmanager
def executor_submit(items: int, workers: int, module: str) -> Iterator[Exchange]:
    executors = importlib.import_module(module)
    with executors.ProcessPoolExecutor(workers) as executor:
        yield lambda x: executor.submit(add_one, x).result()


@contextmanager
def mpire_apply(items: int, workers: int) -> Iterator[Exchange]:
    mpire = importlib.import_module("mpire")
    with mpire.WorkerPool(workers) as pool:
        yield lambda x: pool.apply(add_one, (x,))


def _answer(requests: Any, results: Any) -> None:
    for x in iter(requests.get, None):
        results.put(add_one(x))


@contextmanager
def queues_by_hand(items: int, workers: int, new_queue: Callable[[], Any]) -> Iterator[Exchange]:
    requests, results = new_queue(), new_queue()
    process = Process(target=_answer, args=(requests, results), daemon=True)
    process.start()

    def exchange(x: int) -> int:
        requests.put(x)
        result: int = results.get()
        return result

    yield exchange
    requests.put(None)
    process.join()


def _serve(connection: Connection) -> None:
    for x in iter(connection.recv, None):
        connection.send(add_one(x))


@contextmanager
def pipe_by_hand(items: int, workers: int) -> Iterator[Exchange]:
    ours, theirs = Pipe()
    process = Process(target=_serve, args=(theirs,), daemon=True)
    process.start()

    def exchange(x: int) -> int:
        ours.send(x)
        result = ours.recv()
        assert isinstance(result, int)
        return result

    yield exchange
    ours.send(None)
    process.join()


CASE = Case(
    name="P4",
    title="one element in flight through one process stage, median (p99 beside it)",
    unit="us",
    higher_is_better=False,
    workers=(1,),
    measure=round_trip(warm_up=100),
    expected=lambda items: range(1, items + 1),
    contenders=(
        Contender("pypeln", Role.PYPELN, 3_000, pypeln_exchange),
        Contender("pypeln 0.4.9", Role.OLD, 2_000, pypeln_exchange),
        Contender("Pool.apply", Role.PEER, 3_000, pool_apply),
        Contender(
            "Executor.submit",
            Role.PEER,
            3_000,
            lambda n, w: executor_submit(n, w, "concurrent.futures"),
        ),
        Contender(
            "loky submit", Role.PEER, 2_000, lambda n, w: executor_submit(n, w, "loky"), packages=("loky",)
        ),
        Contender("mpire apply", Role.PEER, 500, mpire_apply, packages=("mpire",)),
        Contender("mp.Pipe by hand", Role.CEILING, 3_000, pipe_by_hand),
        Contender(
            "mp.SimpleQueue by hand",
            Role.CEILING,
            3_000,
            lambda n, w: queues_by_hand(n, w, multiprocessing.SimpleQueue),
        ),
        Contender(
            "faster-fifo by hand",
            Role.CEILING,
            3_000,
            lambda n, w: queues_by_hand(n, w, faster_fifo.new_queue),
            packages=("faster_fifo",),
        ),
    ),
)
