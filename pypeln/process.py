"""The long name of `pypeln.pr`: the same objects."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pypeln import pr
from pypeln.pr import (
    Namespace,
    StageStatus,
    WorkerInfo,
    batch,
    concat,
    copy,
    distinct,
    each,
    empty,
    filter,
    flat_map,
    from_iterable,
    full,
    map,
    ones,
    ordered,
    run,
    to_iterable,
    unbatch,
    zeros,
)

if TYPE_CHECKING:
    from pypeln.pr import IterableQueue

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


def __getattr__(attribute: str) -> Any:
    if attribute == "IterableQueue":
        return pr.IterableQueue
    raise AttributeError(f"module {__name__!r} has no attribute {attribute!r}")
