"""Several stages of processes behind each other, each with its function, as libraries offer them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from multiprocessing import Pool
from typing import Any

Stages = Sequence[Callable[[Any], Any]]
Results = Iterator[Iterable[Any]]


@contextmanager
def pypeln_stages(stages: Stages, source: Iterable[Any], workers: int) -> Results:
    """The same user's code for this pypeln and for 0.4.9."""
    from pypeln import process as pr

    results = source
    for f in stages:
        results = pr.map(f, results, workers=workers)
    yield results


@contextmanager
def pool_stages(stages: Stages, source: Iterable[Any], workers: int, chunksize: int) -> Results:
    """A `multiprocessing.Pool` for each stage, which pulls from the one before it.

    A source that gives an object several times has to give copies where `chunksize` is more than 1: pickle
    writes an object once for each chunk.
    """
    with ExitStack() as pools:
        results = source
        for f in stages:
            pool = pools.enter_context(Pool(workers))
            results = pool.imap_unordered(f, results, chunksize=chunksize)
        yield results


@contextmanager
def plain_stages(stages: Stages, source: Iterable[Any], workers: int) -> Results:
    """The builtin `map`, in this thread: the work alone, without any hand-over."""
    results = source
    for f in stages:
        results = map(f, results)
    yield results
