"""IMPORT: what `import` costs the program that imports, in a process that has imported nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from harness.case import Case, Contender, Opener, Role
from harness.measures import import_time


def importing(statement: str) -> Opener:
    @contextmanager
    def give_statement(items: int, workers: int) -> Iterator[str]:
        yield statement

    return give_statement


CASE = Case(
    name="IMPORT",
    title="import, beyond the start of an empty Python process",
    unit="ms",
    higher_is_better=False,
    workers=(1,),
    measure=import_time,
    expected=range,
    contenders=(
        Contender("pypeln", Role.PYPELN, 10, importing("import pypeln")),
        Contender("pypeln.process", Role.PYPELN, 10, importing("from pypeln import process")),
        Contender("pypeln 0.4.9", Role.OLD, 10, importing("import pypeln")),
        Contender("multiprocessing.pool", Role.PEER, 10, importing("import multiprocessing.pool")),
        Contender("asyncio", Role.REFERENCE, 10, importing("import asyncio")),
    ),
    quick_items=1,
)
