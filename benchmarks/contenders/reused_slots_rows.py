"""Arrays through shared memory by hand, with several workers: rows of `reused_slots` in turn."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from contenders.process_stages import Results, Stages
from contenders.reused_slots import reused_slots


def _in_turn(rows: list[Iterator[Any]]) -> Iterator[Any]:
    while rows:
        for row in list(rows):
            try:
                result = next(row)
            except StopIteration:
                rows.remove(row)
            else:
                yield result


@contextmanager
def reused_slots_rows(stages: Stages, source: Iterable[Any], workers: int) -> Results:
    """Yield views of the results of `stages` of `workers` processes each, valid until the next is asked for.

    All elements must be equally much work: each row of processes gets its share of them beforehand.
    """
    elements = list(source)
    shares = [elements[row::workers] for row in range(min(workers, len(elements)))]
    with ExitStack() as stack:
        rows = [stack.enter_context(reused_slots(stages, share, 1)) for share in shares]
        yield _in_turn([iter(row) for row in rows])
