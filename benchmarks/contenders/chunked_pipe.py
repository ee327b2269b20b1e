"""What can be had from `multiprocessing.Pipe` by hand: chunks of elements, a few of them in flight.

It is the ceiling of pickled streams: no error handling, no bound on memory, a chunk size chosen by hand.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import chain, islice
from multiprocessing import Pipe, Process
from multiprocessing.connection import Connection, wait
from typing import Any

# What a worker does with a chunk.
Work = Callable[[list[Any]], list[Any]]

CHUNK = 1024
# Enough that a worker never waits for the parent. All chunks in flight have to fit a pipe's buffer of 64 KiB,
# as four chunks of 1024 small ints do: otherwise parent and worker could both block in a send.
IN_FLIGHT = 4


class mapping:
    """Apply `f` to each element of a chunk."""

    def __init__(self, f: Callable[[Any], Any]) -> None:
        self.f = f

    def __call__(self, chunk: list[Any]) -> list[Any]:
        f = self.f
        return [f(element) for element in chunk]


class filtering:
    """Keep the elements of a chunk for which `f` is true."""

    def __init__(self, f: Callable[[Any], Any]) -> None:
        self.f = f

    def __call__(self, chunk: list[Any]) -> list[Any]:
        return list(filter(self.f, chunk))


def _work(work: Work, taken: Connection, given: Connection) -> None:
    for chunk in iter(taken.recv, None):
        given.send(work(chunk))
    given.send(None)


def _exchange(
    firsts: dict[Connection, Connection], chunks: Iterator[list[Any]], in_flight: int
) -> Iterator[list[Any]]:
    left = 0
    for first in firsts.values():
        for chunk in islice(chunks, in_flight):
            first.send(chunk)
            left += 1
    lasts = list(firsts)
    while left:
        for ready in wait(lasts):
            assert isinstance(ready, Connection)
            results = ready.recv()
            left -= 1
            for chunk in islice(chunks, 1):
                firsts[ready].send(chunk)
                left += 1
            yield results


@contextmanager
def chunked_pipe_stages(
    works: Sequence[Work], source: Iterable[Any], workers: int, chunk: int = CHUNK, in_flight: int = IN_FLIGHT
) -> Iterator[Iterable[Any]]:
    """Yield what `workers` rows of processes make of `source`, in any order.

    A row has a process for each of `works`, joined to the next by a pipe.
    """
    elements = iter(source)
    # An empty chunk is the end of the source.
    chunks = iter(lambda: list(islice(elements, chunk)), [])
    firsts: dict[Connection, Connection] = {}
    processes = []
    for _ in range(workers):
        pipes = [Pipe(duplex=False) for _ in range(len(works) + 1)]
        for work, (taken, _), (_, given) in zip(works, pipes, pipes[1:], strict=False):
            processes.append(Process(target=_work, args=(work, taken, given), daemon=True))
        firsts[pipes[-1][0]] = pipes[0][1]
    for process in processes:
        process.start()
    yield chain.from_iterable(_exchange(firsts, chunks, in_flight))
    for first in firsts.values():
        first.send(None)
    for process in processes:
        process.join()


def chunked_pipe_map(f: Callable[[Any], Any], source: Iterable[Any], workers: int, chunk: int = CHUNK) -> Any:
    """One stage: the results of `f` over `source`, in any order, from `workers` processes."""
    return chunked_pipe_stages([mapping(f)], source, workers, chunk)
