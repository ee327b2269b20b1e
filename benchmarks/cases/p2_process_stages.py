"""P2: map, filter, map in three process stages: what a chain of stages costs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from multiprocessing import Pool
from typing import Any

from harness.case import Case, Contender, Role
from harness.measures import throughput


def add_one(x: int) -> int:
    return x + 1


def is_even(x: int) -> bool:
    return x % 2 == 0


def element_if_even(x: int) -> int | None:
    return x if x % 2 == 0 else None


def double(x: int) -> int:
    return x * 2


@contextmanager
def pypeln_stages(source: Iterable[int], workers: int) -> Iterator[Iterable[Any]]:
    from pypeln import process as pr

    added = pr.map(add_one, source, workers=workers)
    even = pr.filter(is_even, added, workers=workers)
    yield pr.map(double, even, workers=workers)


@contextmanager
def three_pools(source: Iterable[int], workers: int, chunksize: int) -> Iterator[Iterable[Any]]:
    with Pool(workers) as adding, Pool(workers) as filtering, Pool(workers) as doubling:
        added = adding.imap_unordered(add_one, source, chunksize=chunksize)
        filtered = filtering.imap_unordered(element_if_even, added, chunksize=chunksize)
        even = (x for x in filtered if x is not None)
        yield doubling.imap_unordered(double, even, chunksize=chunksize)


CASE = Case(
    name="P2",
    title="map, filter, map in three process stages, elements of the source per second",
    unit="items/s",
    higher_is_better=True,
    workers=(1,),
    measure=throughput,
    expected=lambda n: [2 * x for x in range(1, n + 1) if x % 2 == 0],
    contenders=(
        Contender("pypeln", Role.PYPELN, 1_000_000, lambda n, w: pypeln_stages(range(n), w)),
        Contender("pypeln 0.4.9", Role.OLD, 3_000, lambda n, w: pypeln_stages(range(n), w)),
        Contender("3 Pools chunk 1", Role.PEER, 10_000, lambda n, w: three_pools(range(n), w, 1)),
        Contender("3 Pools chunk 64", Role.PEER, 300_000, lambda n, w: three_pools(range(n), w, 64)),
        Contender("3 Pools chunk 1024", Role.PEER, 500_000, lambda n, w: three_pools(range(n), w, 1024)),
    ),
)
