"""P6, T3, S2: a source with pauses: how long an element takes to the consumer when nothing is in its way."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from time import perf_counter, sleep
from typing import Any

from contenders import process_map, thread_map
from harness.case import Case, Contender, Role, applying
from harness.measures import Stamped, latency

PERIOD_S = 2e-3
# S2: one element in so many takes so long; others must not wait for it while a worker is idle.
ONE_LONG_IN = 25
LONG_S = 20e-3


def paced(items: int) -> Iterator[Stamped]:
    """Numbers, each with the time at which it left the source."""
    due = perf_counter()
    for number in range(items):
        due += PERIOD_S
        if (pause := due - perf_counter()) > 0:
            sleep(pause)
        yield number, perf_counter()


def pass_on(element: Stamped) -> Stamped:
    return element


def is_long(number: int) -> bool:
    return number % ONE_LONG_IN == 0


def long_or_short(element: Stamped) -> Stamped:
    if is_long(element[0]):
        sleep(LONG_S)
    return element


apply = applying(pass_on, paced)
apply_skewed = applying(long_or_short, paced)
ITEMS = 1_000


def process_contenders(apply: Callable[..., Any]) -> tuple[Contender, ...]:
    """Who passes elements through processes.

    Args:
        apply: What they do to an element, and where they get it.
    """
    mpire, pyper = apply(process_map.mpire_map, 1), apply(process_map.pyper_map)
    return (
        Contender("pypeln", Role.PYPELN, ITEMS, apply(process_map.pypeln_map)),
        Contender("pypeln 0.4.9", Role.OLD, ITEMS, apply(process_map.pypeln_map)),
        Contender("Pool chunk 1", Role.PEER, ITEMS, apply(process_map.pool_map, 1)),
        Contender("mpire chunk 1", Role.PEER, ITEMS, mpire, packages=("mpire",)),
        Contender("pyper", Role.PEER, ITEMS, pyper, packages=("pyper",)),
        Contender("mp.SimpleQueue by hand", Role.CEILING, ITEMS, apply(process_map.simple_queue_map)),
    )


def thread_contenders(apply: Callable[..., Any]) -> tuple[Contender, ...]:
    """Who passes them through threads."""
    return (
        Contender("pypeln", Role.PYPELN, ITEMS, apply(thread_map.pypeln_map)),
        Contender("pypeln 0.4.9", Role.OLD, ITEMS, apply(thread_map.pypeln_map)),
        Contender("ThreadPool chunk 1", Role.PEER, ITEMS, apply(thread_map.thread_pool_map, 1)),
        Contender("pyper", Role.PEER, ITEMS, apply(thread_map.pyper_map), packages=("pyper",)),
        Contender("SimpleQueue by hand", Role.CEILING, ITEMS, apply(thread_map.simple_queue_map)),
    )


def latency_case(
    name: str, title: str, workers: int, measure: Any, contenders: tuple[Contender, ...]
) -> Case:
    return Case(
        name=name,
        title=title,
        unit="us",
        higher_is_better=False,
        workers=(workers,),
        measure=measure,
        expected=range,
        contenders=contenders,
    )


CASES = {
    case.name: case
    for case in (
        latency_case(
            "P6",
            "an element every 2 ms through a process stage, from source to consumer, median",
            1,
            latency("median"),
            process_contenders(apply),
        ),
        latency_case(
            "T3",
            "an element every 2 ms through a thread stage, from source to consumer, median",
            1,
            latency("median"),
            thread_contenders(apply),
        ),
        latency_case(
            "S2",
            "an element every 2 ms to 4 processes, 1 in 25 takes 20 ms: 99th percentile of the others",
            4,
            latency("p99", counts=lambda number: not is_long(number)),
            process_contenders(apply_skewed),
        ),
    )
}
