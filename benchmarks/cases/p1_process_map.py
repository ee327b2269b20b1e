"""P1: a function that costs nothing, over ints, in one process stage. What is measured is the hand-over."""

from __future__ import annotations

from contenders.chunked_pipe import chunked_pipe_map
from contenders.faster_fifo import faster_fifo_map
from contenders.process_map import pypeln_map
from contenders.process_peers import process_peers
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
        *process_peers(apply, {1: 40_000, 64: 500_000, 1024: 2_000_000}, slow_items=5_000),
        Contender("mp.Pipe by hand", Role.CEILING, 2_000_000, apply(chunked_pipe_map)),
        Contender(
            "faster-fifo by hand",
            Role.CEILING,
            100_000,
            apply(faster_fifo_map),
            packages=("faster_fifo",),
        ),
        Contender("plain map()", Role.REFERENCE, 2_000_000, apply(plain_map), workers=(1,)),
    ),
)
