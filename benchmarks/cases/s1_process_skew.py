"""S1: 1 element in 200 takes 5,000 times longer: whether elements wait behind it while a worker is idle."""

from __future__ import annotations

from time import thread_time

from contenders.process_map import pypeln_map
from contenders.process_peers import process_peers
from harness.case import Case, Contender, Role, applying
from harness.measures import efficiency

SHORT_S = 2e-6
LONG_S = 10e-3
ONE_LONG_IN = 200


def spend_cpu(x: int) -> int:
    # CPU time, not elapsed time: a worker that waits for a core must not appear to have worked.
    end = thread_time() + (LONG_S if x % ONE_LONG_IN == 0 else SHORT_S)
    while thread_time() < end:
        pass
    return x


def ideal_s(n: int, w: int) -> float:
    long = len(range(0, n, ONE_LONG_IN))
    return (long * LONG_S + (n - long) * SHORT_S) / w


apply = applying(spend_cpu, range)

CASE = Case(
    name="S1",
    title="1 in 200 takes 5,000 times longer, process workers, share of the ideal time",
    unit="% of ideal",
    higher_is_better=True,
    workers=(2,),
    measure=efficiency(ideal_s),
    expected=range,
    contenders=(
        Contender("pypeln", Role.PYPELN, 20_000, apply(pypeln_map)),
        Contender("pypeln 0.4.9", Role.OLD, 5_000, apply(pypeln_map)),
        *process_peers(apply, {1: 20_000, 64: 20_000, 1024: 20_000}, slow_items=5_000),
    ),
)
