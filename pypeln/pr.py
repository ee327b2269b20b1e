"""Stages whose workers are processes: for work that keeps a processor busy in Python code."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pypeln.arrays import copy, empty, full, ones, zeros
from pypeln.namespace import Namespace
from pypeln.operators.frontend import FrontEnd
from pypeln.run.callbacks import StageStatus, WorkerInfo
from pypeln.run.plan import WorkerKind

if TYPE_CHECKING:
    from pypeln.transport.process_queue import ProcessQueue as IterableQueue

__all__ = [
    "IterableQueue",
    "Namespace",
    "StageStatus",
    "WorkerInfo",
    "batch",
    "concat",
    "copy",
    "distinct",
    "each",
    "empty",
    "filter",
    "flat_map",
    "from_iterable",
    "full",
    "map",
    "ones",
    "ordered",
    "run",
    "to_iterable",
    "unbatch",
    "zeros",
]

_calls = FrontEnd(WorkerKind.PROCESS, "pr")

batch = _calls.batch
concat = _calls.concat
distinct = _calls.distinct
each = _calls.each
filter = _calls.filter
flat_map = _calls.flat_map
from_iterable = _calls.from_iterable
map = _calls.map
ordered = _calls.ordered
run = _calls.run
to_iterable = _calls.to_iterable
unbatch = _calls.unbatch


def __getattr__(name: str) -> Any:
    # The queue brings the compiled transport with it, which a pipeline only needs when it runs.
    if name == "IterableQueue":
        from pypeln.transport.process_queue import ProcessQueue as IterableQueue

        return IterableQueue
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
