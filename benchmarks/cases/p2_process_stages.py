"""P2: map, filter, map in three process stages: what a chain of stages costs."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from contenders.chunked_pipe import chunked_pipe_stages, filtering, mapping
from contenders.faster_fifo import faster_fifo_stages
from contenders.process_map import executor_map, loky_map, mpire_map, pool_map
from harness.case import Case, Contender, Opener, Role
from harness.measures import throughput

Results = Iterator[Iterable[Any]]


def add_one(x: int) -> int:
    return x + 1


def is_even(x: int) -> bool:
    return x % 2 == 0


def element_if_even(x: int) -> int | None:
    return x if x % 2 == 0 else None


def keep_even(x: int) -> Iterator[int]:
    if x % 2 == 0:
        yield x


def double(x: int) -> int:
    return x * 2


@contextmanager
def pypeln_stages(source: Iterable[int], workers: int) -> Results:
    from pypeln import process as pr

    added = pr.map(add_one, source, workers=workers)
    even = pr.filter(is_even, added, workers=workers)
    yield pr.map(double, even, workers=workers)


@contextmanager
def three_pools(
    source: Iterable[int], workers: int, stage_map: Callable[..., Any], chunksize: int
) -> Results:
    """A pool of processes for each stage, which pulls from the one before it; pools cannot filter."""
    with ExitStack() as pools:
        added = pools.enter_context(stage_map(add_one, source, workers, chunksize))
        filtered = pools.enter_context(stage_map(element_if_even, added, workers, chunksize))
        even = (x for x in filtered if x is not None)
        yield pools.enter_context(stage_map(double, even, workers, chunksize))


@contextmanager
def pyper_stages(source: Iterable[int], workers: int) -> Results:
    pyper = importlib.import_module("pyper")

    def elements() -> Iterator[int]:
        yield from source

    pipeline = pyper.task(elements, branch=True)
    for f in (add_one, keep_even, double):
        pipeline |= pyper.task(f, branch=f is keep_even, workers=workers, multiprocess=True)
    yield pipeline()


# What a worker of each stage does with a chunk, by hand.
WORKS = [mapping(add_one), filtering(is_even), mapping(double)]


def stages(carry: Callable[..., Any], *options: Any) -> Opener:
    return lambda items, workers: carry(range(items), workers, *options)


def by_hand(carry: Callable[..., Any]) -> Opener:
    return lambda items, workers: carry(WORKS, range(items), workers)


CASE = Case(
    name="P2",
    title="map, filter, map in three process stages, elements of the source per second",
    unit="items/s",
    higher_is_better=True,
    workers=(1,),
    measure=throughput,
    expected=lambda n: [2 * x for x in range(1, n + 1) if x % 2 == 0],
    contenders=(
        Contender("pypeln", Role.PYPELN, 1_000_000, stages(pypeln_stages)),
        Contender("pypeln 0.4.9", Role.OLD, 3_000, stages(pypeln_stages)),
        Contender("3 Pools chunk 1", Role.PEER, 10_000, stages(three_pools, pool_map, 1)),
        Contender("3 Pools chunk 64", Role.PEER, 300_000, stages(three_pools, pool_map, 64)),
        Contender("3 Pools chunk 1024", Role.PEER, 500_000, stages(three_pools, pool_map, 1024)),
        *(
            Contender(
                f"3 {name} chunk {chunk}",
                Role.PEER,
                items,
                stages(three_pools, stage_map, chunk),
                packages=packages,
            )
            for name, stage_map, packages, items in (
                ("Executors", executor_map, (), 100_000),
                ("loky", loky_map, ("loky",), 100_000),
                ("mpire", mpire_map, ("mpire",), 20_000),
            )
            for chunk in (64, 1024)
        ),
        Contender("pyper", Role.PEER, 1_000, stages(pyper_stages), packages=("pyper",)),
        Contender("mp.Pipe by hand", Role.CEILING, 1_000_000, by_hand(chunked_pipe_stages)),
        Contender(
            "faster-fifo by hand",
            Role.CEILING,
            50_000,
            by_hand(faster_fifo_stages),
            packages=("faster_fifo",),
        ),
    ),
)
