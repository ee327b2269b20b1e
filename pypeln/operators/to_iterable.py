"""`to_iterable`: one run of a pipeline, as an iterator."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast, overload

from pypeln.graph import options
from pypeln.graph.options import UNDEFINED
from pypeln.graph.stage import IoStage
from pypeln.operators.calls import Calls
from pypeln.operators.docstrings import with_shared_parts
from pypeln.operators.from_iterable import PASSED_ON, as_stage

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Iterator
    from typing import Literal

    from pypeln.element import Element
    from pypeln.graph.partial import Partial
    from pypeln.operators.signatures import Iterated, IteratedAsync, Source, T


class ToIterable(Calls):
    """The call for every kind of worker."""

    @overload
    def to_iterable(
        self, stage: Iterable[T], maxsize: int = 0, return_index: Literal[False] = False
    ) -> Iterator[T]: ...
    @overload
    def to_iterable(
        self, stage: Iterable[Any], maxsize: int = 0, *, return_index: Literal[True]
    ) -> Iterator[Element]: ...
    @overload
    def to_iterable(self, *, maxsize: int = 0, return_index: Literal[False] = False) -> Iterated: ...
    @overload
    def to_iterable(
        self, *, maxsize: int = 0, return_index: Literal[True]
    ) -> Partial[Iterable[Any], Iterator[Element]]: ...

    @with_shared_parts
    def to_iterable(self, stage: Any = UNDEFINED, maxsize: Any = 0, return_index: Any = False) -> Any:
        """One run of a pipeline, as an iterator, with control over what waits for the consumer.

        Args:
            stage: A stage of any kind of worker, or an iterable (`io`: an async iterable as well). Left out,
                the call returns a partial for `|`.
            maxsize: How many elements may wait for the consumer; 0 for up to 8192, as is fast.
            return_index: Yield `Element(index, value)` instead of the value alone.

        Returns:
            An iterator, or a partial. The run starts with the first `next`; closing the iterator ends it.

        Raises:
            {raises}

        Example:
            >>> from pypeln import th
            >>> list(th.map(str.upper, ["a", "b"]) | th.to_iterable(maxsize=1, return_index=True))
            [Element(index=(0,), value='A'), Element(index=(1,), value='B')]
        """
        call = f"{self.name}.to_iterable"
        maxsize, return_index = _checked(call, maxsize, return_index)

        def completed(value: Any) -> Iterator[Any]:
            return as_stage(self, call, "stage", value).to_iterable(maxsize, return_index)

        return self.complete(completed, stage, call)


class IoToIterable(ToIterable):
    """The calls for tasks."""

    if TYPE_CHECKING:

        @overload
        def to_iterable(
            self, stage: Source[T], maxsize: int = 0, return_index: Literal[False] = False
        ) -> Iterator[T]: ...
        @overload
        def to_iterable(
            self, stage: Source[Any], maxsize: int = 0, *, return_index: Literal[True]
        ) -> Iterator[Element]: ...
        @overload
        def to_iterable(self, *, maxsize: int = 0, return_index: Literal[False] = False) -> Iterated: ...
        @overload
        def to_iterable(
            self, *, maxsize: int = 0, return_index: Literal[True]
        ) -> Partial[Source[Any], Iterator[Element]]: ...
        def to_iterable(self, *args: Any, **kwargs: Any) -> Any: ...

    @overload
    def to_async_iterable(
        self, stage: Source[T], maxsize: int = 0, return_index: Literal[False] = False
    ) -> AsyncIterator[T]: ...
    @overload
    def to_async_iterable(
        self, stage: Source[Any], maxsize: int = 0, *, return_index: Literal[True]
    ) -> AsyncIterator[Element]: ...
    @overload
    def to_async_iterable(
        self, *, maxsize: int = 0, return_index: Literal[False] = False
    ) -> IteratedAsync: ...
    @overload
    def to_async_iterable(
        self, *, maxsize: int = 0, return_index: Literal[True]
    ) -> Partial[Source[Any], AsyncIterator[Element]]: ...

    @with_shared_parts
    def to_async_iterable(self, stage: Any = UNDEFINED, maxsize: Any = 0, return_index: Any = False) -> Any:
        """One run of a pipeline, as an async iterator in the running event loop.

        Args:
            stage: A stage of any kind of worker, an iterable or an async iterable. Left out, the call returns
                a partial for `|`.
            maxsize: How many elements may wait for the consumer; 0 for up to 8192, as is fast.
            return_index: Yield `Element(index, value)` instead of the value alone.

        Returns:
            An async iterator, or a partial. The run starts with the first element that is awaited; closing
            the iterator ends it.

        Raises:
            {raises}

        Example:
            >>> import asyncio
            >>> from pypeln import io
            >>> async def lengths():
            ...     return [n async for n in io.to_async_iterable(io.map(len, ["a", "bcd"]), maxsize=1)]
            >>> asyncio.run(lengths())
            [1, 3]
        """
        call = f"{self.name}.to_async_iterable"
        maxsize, return_index = _checked(call, maxsize, return_index)

        def completed(value: Any) -> AsyncIterator[Any]:
            stage = as_stage(self, call, "stage", value)
            if isinstance(stage, IoStage):
                return stage.to_async_iterable(maxsize, return_index)
            # Only a stage of tasks can be iterated in the running loop.
            passed_on = self.make(PASSED_ON, inputs=(stage,), maxsize=stage.maxsize)
            return cast(IoStage[Any], passed_on).to_async_iterable(maxsize, return_index)

        return self.complete(completed, stage, call)


def _checked(call: str, maxsize: Any, return_index: Any) -> tuple[int, bool]:
    return options.checked_maxsize(call, maxsize), options.checked_flag(call, "return_index", return_index)
