"""`from_iterable`: the source of a pipeline."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, overload

from pypeln.graph import options
from pypeln.graph.options import UNDEFINED
from pypeln.graph.stage import Stage
from pypeln.operators.calls import Calls
from pypeln.operators.docstrings import with_shared_parts
from pypeln.run.plan import Emission, Operator

if TYPE_CHECKING:
    from collections.abc import AsyncIterable, Iterable

    from pypeln.graph.stage import IoStage
    from pypeln.operators.signatures import IoSameElements, SameElements, T

FROM_ITERABLE = Operator("from_iterable", Emission.INPUT, feeds=True)
# A stage that is given to from_iterable is no source: its elements are passed on, with their indices.
PASSED_ON = Operator("from_iterable", Emission.INPUT)


def as_stage(calls: Calls, call: str, argument: str, value: Any) -> Stage[Any]:
    """A stage as it is; anything else that can be iterated as a source of its own.

    Raises:
        TypeError: It cannot be iterated.
    """
    if isinstance(value, Stage):
        return value
    source = options.checked_source(call, argument, value, accepts_async=calls.is_io)
    return calls.make(FROM_ITERABLE, source=source)


class FromIterable(Calls):
    """The call for every kind of worker."""

    @overload
    def from_iterable(self, iterable: Iterable[T], use_thread: bool = True, maxsize: int = 0) -> Stage[T]: ...
    @overload
    def from_iterable(self, *, use_thread: bool = True, maxsize: int = 0) -> SameElements: ...

    @with_shared_parts
    def from_iterable(self, iterable: Any = UNDEFINED, use_thread: Any = True, maxsize: Any = 0) -> Any:
        """A source: a stage whose elements are those of an iterable.

        Every call takes plain iterables by itself; this one is for the options.

        Args:
            iterable: What to iterate (`io`: or an async iterable). A stage is passed on. An `Element` in it
                keeps its index, everything else is numbered. A generator is closed when the run ends. Left
                out, the call returns a partial for `|`.
            use_thread: Whether a thread of this process iterates it. False, in `pr`, is for an iterable that
                computes much: it is sent to a process of its own.
            maxsize: How many of its elements may wait for the next stage; 0 for up to 8192, as is fast.

        Returns:
            A stage, or a partial.

        Raises:
            {raises}

        Example:
            >>> from pypeln import th
            >>> sorted(["a", "b"] | th.from_iterable(maxsize=1) | th.map(str.upper))
            ['A', 'B']
        """
        call = f"{self.name}.from_iterable"
        use_thread = options.checked_flag(call, "use_thread", use_thread)
        maxsize = options.checked_maxsize(call, maxsize)

        def completed(value: Any) -> Stage[Any]:
            if isinstance(value, Stage):
                return self.make(PASSED_ON, inputs=(value,), maxsize=maxsize)
            source = options.checked_source(call, "iterable", value, accepts_async=self.is_io)
            return self.make(FROM_ITERABLE, source=source, use_thread=use_thread, maxsize=maxsize)

        return self.complete(completed, iterable, call)


class IoFromIterable(FromIterable):
    """The call for tasks."""

    if TYPE_CHECKING:

        @overload
        def from_iterable(
            self, iterable: Iterable[T] | AsyncIterable[T], use_thread: bool = True, maxsize: int = 0
        ) -> IoStage[T]: ...
        @overload
        def from_iterable(self, *, use_thread: bool = True, maxsize: int = 0) -> IoSameElements: ...
        def from_iterable(
            self, iterable: Any = UNDEFINED, use_thread: Any = True, maxsize: Any = 0
        ) -> Any: ...
