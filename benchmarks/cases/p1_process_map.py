"""P1: a function that costs nothing, over ints, in one process stage. What is measured is the hand-over."""

from __future__ import annotations

from contenders.chunked_pipe import chunked_pipe_map
from contenders.process_map import pool_map, pypeln_map
from contenders.without_queue import plain_map
from harness.case import Case, Contender, Role, applying
from harness.measures import throughput


def add_one(x: int) -> int:
    return x + 1


apply = applying(add_one, range)

CASE = Case(
    name="P1",
    title="one process stage, x + 1 over ints, whole pipeline",
    unit="items/s",
    higher_is_better=True,
    workers=(1, 2),
    measure=throughput,
    expected=lambda n: range(1, n + 1),
    contenders=(
        Contender("pypeln", Role.PYPELN, 2_000_000, apply(pypeln_map)),
        Contender("pypeln 0.4.9", Role.OLD, 5_000, apply(pypeln_map)),
        Contender("Pool chunk 1", Role.PEER, 40_000, apply(pool_map, 1)),
        Contender("Pool chunk 64", Role.PEER, 1_000_000, apply(pool_map, 64)),
        Contender("Pool chunk 1024", Role.PEER, 2_000_000, apply(pool_map, 1024)),
        Contender("mp.Pipe by hand", Role.CEILING, 2_000_000, apply(chunked_pipe_map)),
        Contender("plain map()", Role.REFERENCE, 2_000_000, apply(plain_map), workers=(1,)),
    ),
)
