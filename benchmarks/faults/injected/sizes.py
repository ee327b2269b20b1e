"""A very large element, and a source that is faster than its consumer."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count

import marks
from job import Fault, Job

LARGE = 300 * 2**20
SMALL = 16 * 2**10
# 400 MB of elements that nobody asked for.
RUNAWAY = 25_000


def same(element: bytes) -> bytes:
    marks.note_worker()
    return element


def one_is_large() -> Iterator[bytes]:
    for size in (1, 2, LARGE, 3, 4):
        yield bytes(size)


def endless_blocks() -> Iterator[bytes]:
    """Blocks without end; counts what is taken, and gives up when it is far too much."""
    from consumers import count_taken

    for number in count():
        count_taken()
        if number == RUNAWAY:
            marks.first("runaway")
            return
        yield bytes(SMALL)


FAULTS = (
    Fault(
        "large",
        "an element of 300 MB, there and back",
        Job(same, one_is_large),
        expected=(1, 2, LARGE, 3, 4),
        culprits=0,
    ),
    Fault(
        "stall",
        "an endless source and a consumer that stalls",
        Job(same, endless_blocks),
        consumer="stall",
        kinds=("processes", "threads"),
    ),
)
