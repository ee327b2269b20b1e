"""One stage of processes over a stream, as libraries offer it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from multiprocessing import Pool
from typing import Any


@contextmanager
def pypeln_map(f: Callable[[Any], Any], source: Iterable[Any], workers: int) -> Iterator[Iterable[Any]]:
    """The same user's code for this pypeln and for 0.4.9."""
    from pypeln import process as pr

    yield pr.map(f, source, workers=workers)


@contextmanager
def pool_map(
    f: Callable[[Any], Any], source: Iterable[Any], workers: int, chunksize: int
) -> Iterator[Iterable[Any]]:
    """`multiprocessing.Pool.imap_unordered`, which leaves the chunk size to its user."""
    with Pool(workers) as pool:
        yield pool.imap_unordered(f, source, chunksize=chunksize)
