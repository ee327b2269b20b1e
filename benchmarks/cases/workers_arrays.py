"""W-P3-1M-X2: the case of this name with more workers; apart from those that are to start without numpy."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from cases.p3_process_arrays import CASES, SIZES, double
from cases.workers import scaled
from contenders.process_stages import pool_stages, pypeln_stages
from contenders.reused_slots_rows import reused_slots_rows
from harness.case import Contender, Opener, Role

SOURCE = SIZES["1M"][1]


def apply(carry: Callable[..., Any], *options: Any) -> Opener:
    return lambda items, workers: carry([double], SOURCE.elements(items), workers, *options)


CASE = scaled(
    CASES["P3-1M-X2"],
    Contender("pypeln", Role.PYPELN, 4_000, apply(pypeln_stages)),
    Contender("Pool chunk 1", Role.PEER, 400, apply(pool_stages, 1)),
    Contender("reused slots by hand", Role.CEILING, 4_000, apply(reused_slots_rows)),
)
