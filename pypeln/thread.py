"""The long name of `pypeln.th`: the same objects."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pypeln import th
from pypeln.th import (
    Namespace,
    StageStatus,
    WorkerInfo,
    batch,
    concat,
    distinct,
    each,
    filter,
    flat_map,
    from_iterable,
    map,
    ordered,
    run,
    to_iterable,
    unbatch,
)

if TYPE_CHECKING:
    from pypeln.th import IterableQueue

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


def __getattr__(attribute: str) -> Any:
    if attribute == "IterableQueue":
        return th.IterableQueue
    raise AttributeError(f"module {__name__!r} has no attribute {attribute!r}")
