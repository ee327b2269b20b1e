"""`distinct`: each element once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, overload

from pypeln.graph import options
from pypeln.graph.options import UNDEFINED
from pypeln.operators.calls import Calls
from pypeln.operators.docstrings import with_shared_parts
from pypeln.operators.from_iterable import as_stage
from pypeln.run.plan import Emission, Operator

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable

    from pypeln.graph.partial import Partial
    from pypeln.graph.stage import IoStage, Stage
    from pypeln.operators.signatures import IoSameElements, SameElements, Source, T

DISTINCT = Operator("distinct", Emission.INPUT_IF_RESULT, owns_f=True)


class Distinct(Calls):
    """The call for every kind of worker."""

    @overload
    def distinct(
        self, stage: Iterable[T], maxsize: int = 0, *, key: Callable[[T], Hashable] | None = None
    ) -> Stage[T]: ...
    @overload
    def distinct(self, *, maxsize: int = 0, key: None = None) -> SameElements: ...
    @overload
    def distinct(
        self, *, maxsize: int = 0, key: Callable[[T], Hashable]
    ) -> Partial[Iterable[T], Stage[T]]: ...

    @with_shared_parts
    def distinct(self, stage: Any = UNDEFINED, maxsize: Any = 0, *, key: Any = None) -> Any:
        """A stage of the elements that are not equal to one before.

        Of equal elements the one that comes first goes on; put `ordered` before it for the first of the
        source. The others are counted as filtered. It has one worker, which remembers every different
        element, or its key, until the run ends.

        Args:
            stage: A stage of any kind of worker, or an iterable (`io`: an async iterable as well). Left out,
                the call returns a partial for `|`.
            maxsize: How many elements may wait in front of this stage; 0 for up to 8192, as is fast.
            key: `key(element)`, what is compared instead of the element; must be hashable, as the elements
                are without it.

        Returns:
            A stage, or a partial.

        Raises:
            {raises}

        Example:
            >>> from pypeln import th
            >>> ["a", "b", "a", "B"] | th.distinct() | list
            ['a', 'b', 'B']
            >>> ["a", "b", "a", "B"] | th.distinct(key=str.lower) | list
            ['a', 'b']
        """
        call = f"{self.name}.distinct"
        bound = options.checked_maxsize(call, maxsize)
        checked_key = options.checked_callback(call, "key", key)
        if checked_key is not None:
            options.check_not_async(call, checked_key, "key")

        def completed(value: Any) -> Stage[Any]:
            inputs = (as_stage(self, call, "stage", value),)
            f = _Unseen(checked_key)
            return self.make(DISTINCT, inputs=inputs, maxsize=bound, f=f, on_start=_nothing_seen)

        return self.complete(completed, stage, call)


class IoDistinct(Distinct):
    """The call for tasks."""

    if TYPE_CHECKING:

        @overload
        def distinct(
            self, stage: Source[T], maxsize: int = 0, *, key: Callable[[T], Hashable] | None = None
        ) -> IoStage[T]: ...
        @overload
        def distinct(self, *, maxsize: int = 0, key: None = None) -> IoSameElements: ...
        @overload
        def distinct(
            self, *, maxsize: int = 0, key: Callable[[T], Hashable]
        ) -> Partial[Source[T], IoStage[T]]: ...
        def distinct(self, *args: Any, **kwargs: Any) -> Any: ...


class _Unseen:
    """Whether an element, or its key, is new in this run.

    Args:
        key: What is compared; None for the element.
    """

    def __init__(self, key: Callable[[Any], Hashable] | None) -> None:
        self._key = key

    def __call__(self, element: Any, seen: set[Any]) -> bool:
        value = element if self._key is None else self._key(element)
        before = len(seen)
        seen.add(value)
        return len(seen) > before


def _nothing_seen() -> dict[str, Any]:
    """What each run starts with."""
    return {"seen": set()}
