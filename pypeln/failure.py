"""The element that stands for one that `f` could not do: what `on_error="collect"` emits."""

from __future__ import annotations

from typing import Any

from pypeln.exception_pickling import pack, unpack


class Failure:
    """An element that failed, in the place of its result.

    It is an element like any other: the stages behind get it as their argument, unless they are given only
    what `isinstance(x, Failure)` is false for.

    Attributes:
        item: The element that `f` was called with; None when it could not even be read.
        error: What `f` raised, without its traceback; TimeoutError after a time-out, `WorkerDied` after the
            death of the worker. A RemoteError where it comes from another process and cannot be pickled.
        traceback: The error as Python prints it, with the frames of the worker it was raised in.
        stage: Name of the stage, as in `map(f)`.
        index: `element_index` of the element.
        attempts: How often `f` was called with it.

    Example:
        >>> from pypeln import Failure, sync
        >>> results = list(sync.map(int, ["1", "two"], on_error="collect"))
        >>> [x for x in results if not isinstance(x, Failure)], results[1].item, results[1].error
        ([1], 'two', ValueError("invalid literal for int() with base 10: 'two'"))
    """

    __slots__ = ("attempts", "error", "index", "item", "stage", "traceback")

    def __init__(
        self,
        item: Any,
        error: BaseException,
        traceback: str,
        stage: str,
        index: tuple[int, ...],
        attempts: int,
    ) -> None:
        self.item = item
        self.error = error
        self.traceback = traceback
        self.stage = stage
        self.index = index
        self.attempts = attempts

    def __repr__(self) -> str:
        return f"Failure(item={self.item!r}, error={self.error!r}, stage={self.stage!r}, index={self.index})"

    def __reduce__(self) -> tuple[Any, ...]:
        packed = pack(self.error, self.traceback)
        return _unpacked, (self.item, packed, self.traceback, self.stage, self.index, self.attempts)


def _unpacked(
    item: Any, packed: tuple[Any, ...], traceback: str, stage: str, index: tuple[int, ...], attempts: int
) -> Failure:
    return Failure(item, unpack(packed, traceback), traceback, stage, index, attempts)
