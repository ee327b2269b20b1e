"""What a call without its stage returns: the rest of a pipeline, waiting for `|`."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Generic, TypeVar, overload

Input = TypeVar("Input", contravariant=True)
Result = TypeVar("Result", covariant=True)
Next = TypeVar("Next")
T = TypeVar("T")


class Partial(Generic[Input, Result]):
    """A call that lacks only its stage; `stage | partial` and `partial(stage)` complete it.

    Two partials joined with `|` make one, so that a part of a pipeline can be kept and used several times.

    Args:
        complete: Called with the stage or iterable that arrives, returns the result of the whole call.
        name: What it stands for, shown in its `repr`.

    Example:
        >>> from pypeln import sync
        >>> lengths = sync.map(str.strip) | sync.map(len)
        >>> [" a", "bcd "] | lengths | list
        [1, 3]
    """

    __slots__ = ("_complete", "_name")

    # Makes numpy arrays leave `array | partial` to this class, instead of calling it for each of their items.
    __array_ufunc__ = None

    def __init__(self, complete: Callable[[Any], Any], name: str) -> None:
        self._complete = complete
        self._name = name

    def __call__(self, stage: Input) -> Result:
        return self._complete(stage)  # type: ignore[no-any-return]

    def __ror__(self, stage: Input) -> Result:
        return self._complete(stage)  # type: ignore[no-any-return]

    # As in Stage.
    @overload
    def __or__(self: Partial[Input, Iterable[T]], then: type[list[Any]]) -> Partial[Input, list[T]]: ...
    @overload
    def __or__(
        self: Partial[Input, Iterable[T]], then: type[tuple[Any, ...]]
    ) -> Partial[Input, tuple[T, ...]]: ...
    @overload
    def __or__(self: Partial[Input, Iterable[T]], then: type[set[Any]]) -> Partial[Input, set[T]]: ...
    @overload
    def __or__(self, then: Callable[[Result], Next]) -> Partial[Input, Next]: ...

    def __or__(self, then: Any) -> Any:
        if not callable(then):
            return NotImplemented
        complete = self._complete
        name = then._name if isinstance(then, Partial) else getattr(then, "__name__", type(then).__name__)
        return Partial(lambda stage: then(complete(stage)), f"{self._name} | {name}")

    def __repr__(self) -> str:
        return f"<Partial {self._name}>"
