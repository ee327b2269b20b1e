"""`unbatch`: the elements of batches."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, overload

from pypeln.graph import options
from pypeln.graph.options import UNDEFINED
from pypeln.operators.calls import Calls
from pypeln.operators.docstrings import with_shared_parts
from pypeln.operators.from_iterable import as_stage
from pypeln.run.collate import items, rows
from pypeln.run.plan import Emission, Operator

if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Literal

    from pypeln.graph.partial import Partial
    from pypeln.graph.stage import IoStage, Stage
    from pypeln.operators.signatures import IoUnbatched, Source, T, Unbatched

UNBATCH = Operator("unbatch", Emission.EACH_OF_RESULT, owns_f=True)


class Unbatch(Calls):
    """The call for every kind of worker."""

    @overload
    def unbatch(
        self, stage: Iterable[Iterable[T]], maxsize: int = 0, *, stack: Literal[False] = False
    ) -> Stage[T]: ...
    @overload
    def unbatch(self, stage: Iterable[Any], maxsize: int = 0, *, stack: Literal[True]) -> Stage[Any]: ...
    @overload
    def unbatch(self, *, maxsize: int = 0, stack: Literal[False] = False) -> Unbatched: ...
    @overload
    def unbatch(self, *, maxsize: int = 0, stack: Literal[True]) -> Partial[Iterable[Any], Stage[Any]]: ...

    @with_shared_parts
    def unbatch(self, stage: Any = UNDEFINED, maxsize: Any = 0, *, stack: Any = False) -> Any:
        """A stage of the elements of batches, one by one.

        The `element_index` of an element has one dimension more than that of its batch: its position there.

        Args:
            stage: A stage of any kind of worker, or an iterable (`io`: an async iterable as well). Its
                elements are lists, or anything else that can be iterated: arrays, whose rows are views of
                them. Left out, the call returns a partial for `|`.
            maxsize: How many batches may wait in front of this stage; 0 for up to 8192, as is fast.
            stack: Whether a batch has the structure of its elements, as `batch(n, stack=True)` makes it: a
                dict of arrays is then sent on as dicts of their rows.

        Returns:
            A stage, or a partial.

        Raises:
            {raises}

        Example:
            >>> from pypeln import th
            >>> [[1, 2], [3]] | th.unbatch() | list
            [1, 2, 3]
            >>> sizes = [("a", 1), ("b", 2)] | th.batch(2, stack=True)
            >>> [(name, int(size)) for name, size in sizes | th.unbatch(stack=True)]
            [('a', 1), ('b', 2)]
        """
        call = f"{self.name}.unbatch"
        bound = options.checked_maxsize(call, maxsize)
        f = rows if options.checked_flag(call, "stack", stack) else items

        def completed(value: Any) -> Stage[Any]:
            return self.make(UNBATCH, inputs=(as_stage(self, call, "stage", value),), maxsize=bound, f=f)

        return self.complete(completed, stage, call)


class IoUnbatch(Unbatch):
    """The call for tasks."""

    if TYPE_CHECKING:

        @overload
        def unbatch(
            self,
            stage: Source[Source[T]],
            maxsize: int = 0,
            *,
            stack: Literal[False] = False,
        ) -> IoStage[T]: ...
        @overload
        def unbatch(self, stage: Source[Any], maxsize: int = 0, *, stack: Literal[True]) -> IoStage[Any]: ...
        @overload
        def unbatch(self, *, maxsize: int = 0, stack: Literal[False] = False) -> IoUnbatched: ...
        @overload
        def unbatch(
            self, *, maxsize: int = 0, stack: Literal[True]
        ) -> Partial[Source[Any], IoStage[Any]]: ...
        def unbatch(self, *args: Any, **kwargs: Any) -> Any: ...
