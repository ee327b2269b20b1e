"""D1: records as programs have them, dicts of ten fields, through one process stage and back."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import cycle, islice
from typing import Any

from contenders.chunked_pipe import chunked_pipe_map
from contenders.process_map import pypeln_map
from contenders.process_peers import process_peers
from harness.case import Case, Contender, Role, applying
from harness.measures import throughput

Record = dict[str, Any]

# Made once: making a dict costs as much as moving it, and is not what is measured.
RECORDS: list[Record] = [
    {
        "id": i,
        "name": f"customer {i}",
        "email": f"customer{i}@example.org",
        "active": i % 3 == 0,
        "balance": i * 1.25,
        "visits": i % 50,
        "city": "Medellin",
        "score": i / 7,
        "parent": None,
        "note": "a sentence of the length that people write into such a field",
    }
    for i in range(1000)
]


def records(n: int) -> Iterator[Record]:
    return islice(cycle(RECORDS), n)


def count_visit(record: Record) -> Record:
    # A new dict: a chunk that holds a record twice gives its worker one object for both.
    return {**record, "visits": record["visits"] + 1}


apply = applying(count_visit, records)

CASE = Case(
    name="D1",
    title="one process stage, dicts of 10 fields there and back",
    unit="items/s",
    higher_is_better=True,
    workers=(1, 2),
    measure=throughput,
    expected=lambda n: [{**record, "visits": record["visits"] + 1} for record in records(n)],
    key=lambda record: (record["id"], sorted(record.items())),
    contenders=(
        Contender("pypeln", Role.PYPELN, 200_000, apply(pypeln_map)),
        Contender("pypeln 0.4.9", Role.OLD, 5_000, apply(pypeln_map)),
        *process_peers(apply, {1: 20_000, 64: 100_000, 1024: 200_000}, slow_items=5_000),
        # Four chunks of 64 of these fit a pipe.
        Contender("mp.Pipe by hand", Role.CEILING, 200_000, apply(chunked_pipe_map, 64)),
    ),
)
