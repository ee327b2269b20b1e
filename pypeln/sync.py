"""Stages without workers: everything happens in the consumer, in order. For tests and for debugging."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pypeln.namespace import LocalNamespace as Namespace
from pypeln.operators.frontend import FrontEnd
from pypeln.run.callbacks import StageStatus, WorkerInfo
from pypeln.run.plan import WorkerKind

if TYPE_CHECKING:
    from pypeln.transport.thread_queue import ThreadQueue as IterableQueue

__all__ = [
    "IterableQueue",
    "Namespace",
    "StageStatus",
    "WorkerInfo",
    "batch",
    "concat",
    "distinct",
    "each",
    "filter",
    "flat_map",
    "from_iterable",
    "map",
    "ordered",
    "run",
    "to_iterable",
    "unbatch",
]

_calls = FrontEnd(WorkerKind.SYNC, "sync")

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
        from pypeln.transport.thread_queue import ThreadQueue as IterableQueue

        return IterableQueue
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
