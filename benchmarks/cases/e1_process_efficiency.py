"""E1: 100 us of CPU per element over process workers: how much of the machine reaches the function."""

from __future__ import annotations

from time import thread_time

from contenders.process_map import pypeln_map
from contenders.process_peers import process_peers
from contenders.without_queue import equal_shares
from harness.case import Case, Contender, Role, applying
from harness.measures import efficiency

WORK_S = 100e-6


def spend_cpu(x: int) -> int:
    # CPU time, not elapsed time: a worker that waits for a core must not appear to have worked.
    end = thread_time() + WORK_S
    while thread_time() < end:
        pass
    return x


apply = applying(spend_cpu, range)

CASE = Case(
    name="E1",
    title="100 us of CPU per element in process workers, share of the ideal time",
    unit="% of ideal",
    higher_is_better=True,
    workers=(2,),
    measure=efficiency(lambda n, w: n * WORK_S / w),
    expected=range,
    contenders=(
        Contender("pypeln", Role.PYPELN, 10_000, apply(pypeln_map)),
        Contender("pypeln 0.4.9", Role.OLD, 3_000, apply(pypeln_map)),
        *process_peers(apply, {1: 10_000, 64: 10_000}, slow_items=3_000),
        Contender("equal shares by hand", Role.CEILING, 10_000, apply(equal_shares)),
    ),
)
