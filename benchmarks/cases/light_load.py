"""P6, T3, S2: a source with pauses: how long an element takes to the consumer when nothing is in its way."""

from __future__ import annotations

from collections.abc import Iterator
from time import perf_counter, sleep

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

CASES = {
    case.name: case
    for case in (
        Case(
            name="P6",
            title="an element every 2 ms through a process stage, from source to consumer, median",
            unit="us",
            higher_is_better=False,
            workers=(1,),
            measure=latency("median"),
            expected=range,
            contenders=(
                Contender("pypeln", Role.PYPELN, ITEMS, apply(process_map.pypeln_map)),
                Contender("pypeln 0.4.9", Role.OLD, ITEMS, apply(process_map.pypeln_map)),
                Contender("Pool chunk 1", Role.PEER, ITEMS, apply(process_map.pool_map, 1)),
                Contender(
                    "mpire chunk 1", Role.PEER, ITEMS, apply(process_map.mpire_map, 1), packages=("mpire",)
                ),
                Contender("pyper", Role.PEER, ITEMS, apply(process_map.pyper_map), packages=("pyper",)),
                Contender("mp.SimpleQueue by hand", Role.CEILING, ITEMS, apply(process_map.simple_queue_map)),
            ),
        ),
        Case(
            name="T3",
            title="an element every 2 ms through a thread stage, from source to consumer, median",
            unit="us",
            higher_is_better=False,
            workers=(1,),
            measure=latency("median"),
            expected=range,
            contenders=(
                Contender("pypeln", Role.PYPELN, ITEMS, apply(thread_map.pypeln_map)),
                Contender("pypeln 0.4.9", Role.OLD, ITEMS, apply(thread_map.pypeln_map)),
                Contender("ThreadPool chunk 1", Role.PEER, ITEMS, apply(thread_map.thread_pool_map, 1)),
                Contender("pyper", Role.PEER, ITEMS, apply(thread_map.pyper_map), packages=("pyper",)),
                Contender("SimpleQueue by hand", Role.CEILING, ITEMS, apply(thread_map.simple_queue_map)),
            ),
        ),
        Case(
            name="S2",
            title="an element every 2 ms to 4 processes, 1 in 25 takes 20 ms: 99th percentile of the others",
            unit="us",
            higher_is_better=False,
            workers=(4,),
            measure=latency("p99", counts=lambda number: not is_long(number)),
            expected=range,
            contenders=(
                Contender("pypeln", Role.PYPELN, ITEMS, apply_skewed(process_map.pypeln_map)),
                Contender("pypeln 0.4.9", Role.OLD, ITEMS, apply_skewed(process_map.pypeln_map)),
                Contender("Pool chunk 1", Role.PEER, ITEMS, apply_skewed(process_map.pool_map, 1)),
                Contender(
                    "mpire chunk 1",
                    Role.PEER,
                    ITEMS,
                    apply_skewed(process_map.mpire_map, 1),
                    packages=("mpire",),
                ),
                Contender(
                    "pyper", Role.PEER, ITEMS, apply_skewed(process_map.pyper_map), packages=("pyper",)
                ),
                Contender(
                    "mp.SimpleQueue by hand",
                    Role.CEILING,
                    ITEMS,
                    apply_skewed(process_map.simple_queue_map),
                ),
            ),
        ),
    )
}
