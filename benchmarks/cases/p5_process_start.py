"""P5: start a process stage, send 10 elements, stop: what a short pipeline pays."""

from __future__ import annotations

from contenders.chunked_pipe import chunked_pipe_map
from contenders.process_map import pool_map, pypeln_map
from harness.case import Case, Contender, Role, applying
from harness.measures import start_stop


def add_one(x: int) -> int:
    return x + 1


apply = applying(add_one, range)

CASE = Case(
    name="P5",
    title="start a process stage, 10 elements, stop (the first time in a process beside it)",
    unit="ms",
    higher_is_better=False,
    workers=(1, 4),
    measure=start_stop(runs=11),
    expected=lambda n: range(1, n + 1),
    contenders=(
        Contender("pypeln", Role.PYPELN, 10, apply(pypeln_map)),
        Contender("pypeln 0.4.9", Role.OLD, 10, apply(pypeln_map)),
        Contender("Pool chunk 1", Role.PEER, 10, apply(pool_map, 1)),
        Contender("Pool chunk 64", Role.PEER, 10, apply(pool_map, 64)),
        Contender("Pool chunk 1024", Role.PEER, 10, apply(pool_map, 1024)),
        Contender("mp.Pipe by hand", Role.CEILING, 10, apply(chunked_pipe_map)),
    ),
    quick_items=10,
)
