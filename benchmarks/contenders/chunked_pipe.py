"""What can be had from `multiprocessing.Pipe` by hand: chunks of 1024 elements, a few of them in flight.

It is the ceiling of pickled streams: no error handling, no bound on memory, a chunk size chosen by hand.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from itertools import chain, islice
from multiprocessing import Pipe, Process
from multiprocessing.connection import Connection, wait
from typing import Any

CHUNK = 1024
# Enough that a worker never waits for the parent; four chunks of small ints fit a pipe's buffer of 64 KiB,
# so that parent and worker cannot both block in a send.
IN_FLIGHT = 4


def _work(f: Callable[[Any], Any], connection: Connection, inherited: list[Connection]) -> None:
    # A fork inherits the parent's ends of the pipes before it; open copies would hide the end of input.
    for end in inherited:
        end.close()
    while True:
        try:
            chunk = connection.recv()
        except EOFError:
            return
        connection.send([f(element) for element in chunk])


def _exchange(connections: list[Connection], chunks: Iterator[list[Any]]) -> Iterator[list[Any]]:
    in_flight = 0
    for connection in connections:
        for chunk in islice(chunks, IN_FLIGHT):
            connection.send(chunk)
            in_flight += 1
    while in_flight:
        for ready in wait(connections):
            assert isinstance(ready, Connection)
            results = ready.recv()
            in_flight -= 1
            for chunk in islice(chunks, 1):
                ready.send(chunk)
                in_flight += 1
            yield results


@contextmanager
def chunked_pipe_map(f: Callable[[Any], Any], source: Iterable[Any], workers: int) -> Iterator[Iterable[Any]]:
    """Yield the results of `f` over `source`, in any order, from `workers` forked processes."""
    elements = iter(source)
    # An empty chunk is the end of the source.
    chunks = iter(lambda: list(islice(elements, CHUNK)), [])
    connections: list[Connection] = []
    processes = []
    for _ in range(workers):
        ours, theirs = Pipe()
        connections.append(ours)
        process = Process(target=_work, args=(f, theirs, list(connections)), daemon=True)
        process.start()
        theirs.close()
        processes.append(process)
    yield chain.from_iterable(_exchange(connections, chunks))
    for connection in connections:
        connection.close()
    for process in processes:
        process.join()
