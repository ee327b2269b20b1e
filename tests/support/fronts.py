"""The kinds of workers that the conformance suite runs over."""

from __future__ import annotations

import contextlib
import multiprocessing
from collections.abc import Iterator
from typing import Any, NamedTuple

import pypeln as pl


class Front(NamedTuple):
    """A front end, with the way its processes are started."""

    name: str
    calls: Any
    start_method: str | None = None


METHODS = [
    each for each in ("fork", "forkserver", "spawn") if each in multiprocessing.get_all_start_methods()
]

PROCESSES = [Front(f"pr-{method}", pl.pr, method) for method in METHODS]
THREADS = Front("th", pl.th)
TASKS = Front("io", pl.io)
SYNC = Front("sync", pl.sync)

# All that there is, and the same with the one start method that does not cost a tenth of a second per worker.
EVERY_FRONT = [*PROCESSES, THREADS, TASKS, SYNC]
FRONTS = [PROCESSES[0], THREADS, TASKS, SYNC]

KINDS = [front.calls for front in FRONTS]


@contextlib.contextmanager
def start_method(name: str | None) -> Iterator[None]:
    """Processes are started this way inside."""
    before = multiprocessing.get_start_method(allow_none=True)
    multiprocessing.set_start_method(name, force=True)
    try:
        yield
    finally:
        multiprocessing.set_start_method(before, force=True)


def short_name(calls: Any) -> str:
    """`pr` for `pypeln.pr`."""
    name: str = calls.__name__
    return name.rpartition(".")[2]
