"""`ordered`: elements in the order of their indices."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, overload

from pypeln.graph import options
from pypeln.graph.options import UNDEFINED
from pypeln.operators.calls import Calls
from pypeln.operators.docstrings import with_shared_parts
from pypeln.operators.from_iterable import as_stage
from pypeln.run.plan import Emission, Operator

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pypeln.graph.stage import IoStage, Stage
    from pypeln.operators.signatures import IoSameElements, SameElements, Source, T

ORDERED = Operator("ordered", Emission.INPUT, reorders=True)


class Ordered(Calls):
    """The call for every kind of worker."""

    @overload
    def ordered(self, stage: Iterable[T], maxsize: int = 0) -> Stage[T]: ...
    @overload
    def ordered(self, *, maxsize: int = 0) -> SameElements: ...

    @with_shared_parts
    def ordered(self, stage: Any = UNDEFINED, maxsize: Any = 0) -> Any:
        """A stage of the same elements, in the order in which their sources had them.

        It streams: an element goes on as soon as all before it have gone on, were filtered or dropped.
        Elements of several sources are merged by their position in their source.

        Args:
            stage: A stage of any kind of worker, or an iterable (`io`: an async iterable as well). Left out,
                the call returns a partial for `|`.
            maxsize: How many elements may wait in front of this stage; 0 for up to 8192, as is fast.

        Returns:
            A stage, or a partial.

        Raises:
            {raises}

        Example:
            >>> from pypeln import th
            >>> ["a", "b", "c"] | th.map(str.upper, workers=3) | th.ordered() | list
            ['A', 'B', 'C']
        """
        call = f"{self.name}.ordered"
        bound = options.checked_maxsize(call, maxsize)

        def completed(value: Any) -> Stage[Any]:
            return self.make(ORDERED, inputs=(as_stage(self, call, "stage", value),), maxsize=bound)

        return self.complete(completed, stage, call)


class IoOrdered(Ordered):
    """The call for tasks."""

    if TYPE_CHECKING:

        @overload
        def ordered(self, stage: Source[T], maxsize: int = 0) -> IoStage[T]: ...
        @overload
        def ordered(self, *, maxsize: int = 0) -> IoSameElements: ...
        def ordered(self, *args: Any, **kwargs: Any) -> Any: ...
