"""`batch`: several elements as one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, overload

from pypeln.graph import options
from pypeln.graph.options import UNDEFINED
from pypeln.operators.calls import Calls
from pypeln.operators.docstrings import with_shared_parts
from pypeln.operators.from_iterable import as_stage
from pypeln.run.plan import BatchOptions, Emission, Operator

if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Literal

    from pypeln.graph.partial import Partial
    from pypeln.graph.stage import IoStage, Stage
    from pypeln.operators.signatures import Batched, IoBatched, Source, T

BATCH = Operator("batch", Emission.GATHERED)


class Batch(Calls):
    """The call for every kind of worker."""

    @overload
    def batch(
        self,
        n: int,
        stage: Iterable[T],
        *,
        stack: Literal[False] = False,
        drop_last: bool = False,
        maxsize: int = 0,
    ) -> Stage[list[T]]: ...
    @overload
    def batch(
        self, n: int, stage: Iterable[T], *, stack: Literal[True], drop_last: bool = False, maxsize: int = 0
    ) -> Stage[Any]: ...
    @overload
    def batch(
        self, n: int, *, stack: Literal[False] = False, drop_last: bool = False, maxsize: int = 0
    ) -> Batched: ...
    @overload
    def batch(
        self, n: int, *, stack: Literal[True], drop_last: bool = False, maxsize: int = 0
    ) -> Partial[Iterable[Any], Stage[Any]]: ...

    @with_shared_parts
    def batch(
        self, n: Any, stage: Any = UNDEFINED, *, stack: Any = False, drop_last: Any = False, maxsize: Any = 0
    ) -> Any:
        """A stage of batches: lists of `n` elements, or arrays of them.

        The elements of a batch are in the order in which they arrive; put `ordered` before it for that of
        the source. A batch goes on when it is full, and never because time has passed. Its `element_index` is
        that of its last element. (Of a last batch that is not full, where an `ordered` follows, it is the one
        after the last of the source: that is where the batch stands in the order.)

        Args:
            n: How many elements make a batch, at least 1. The last one has what is left.
            stage: A stage of any kind of worker, or an iterable (`io`: an async iterable as well). Left out,
                the call returns a partial for `|`.
            stack: Whether a batch is one numpy array with a new first axis, into which each element is copied
                as it comes, instead of a list. Elements are arrays of one shape and dtype, or numbers; or
                dicts, tuples, named tuples or dataclasses of them, and then so is the batch; str and bytes
                stay in a list.
            drop_last: Whether a last batch of less than `n` elements is dropped.
            maxsize: How many elements may wait in front of this stage; 0 for up to 8192, as is fast.

        Returns:
            A stage, or a partial.

        Raises:
            {raises}

        Example:
            >>> from pypeln import th
            >>> range(5) | th.batch(2) | list
            [[0, 1], [2, 3], [4]]
            >>> [batch.tolist() for batch in range(5) | th.batch(2, stack=True)]
            [[0, 1], [2, 3], [4]]
        """
        call = f"{self.name}.batch"
        batching = BatchOptions(
            options.checked_batch_size(call, n),
            options.checked_flag(call, "stack", stack),
            options.checked_flag(call, "drop_last", drop_last),
        )
        bound = options.checked_maxsize(call, maxsize)

        def completed(value: Any) -> Stage[Any]:
            inputs = (as_stage(self, call, "stage", value),)
            return self.make(BATCH, inputs=inputs, maxsize=bound, batching=batching)

        return self.complete(completed, stage, call)


class IoBatch(Batch):
    """The call for tasks."""

    if TYPE_CHECKING:

        @overload
        def batch(
            self,
            n: int,
            stage: Source[T],
            *,
            stack: Literal[False] = False,
            drop_last: bool = False,
            maxsize: int = 0,
        ) -> IoStage[list[T]]: ...
        @overload
        def batch(
            self, n: int, stage: Source[T], *, stack: Literal[True], drop_last: bool = False, maxsize: int = 0
        ) -> IoStage[Any]: ...
        @overload
        def batch(
            self, n: int, *, stack: Literal[False] = False, drop_last: bool = False, maxsize: int = 0
        ) -> IoBatched: ...
        @overload
        def batch(
            self, n: int, *, stack: Literal[True], drop_last: bool = False, maxsize: int = 0
        ) -> Partial[Source[Any], IoStage[Any]]: ...
        def batch(self, *args: Any, **kwargs: Any) -> Any: ...
