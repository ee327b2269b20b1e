"""Types that the signatures of several calls share. Only type checkers import it."""

from __future__ import annotations

from collections.abc import AsyncIterable, Callable, Iterable
from typing import Any, Literal, ParamSpec, Protocol, TypeAlias, TypedDict, TypeVar

from pypeln.graph.partial import Partial
from pypeln.graph.stage import IoStage, Stage

A = TypeVar("A")
B = TypeVar("B")
T = TypeVar("T")
Next = TypeVar("Next")
# What `f` asks for by name, besides the element.
Injected = ParamSpec("Injected")

Callback: TypeAlias = Callable[..., Any] | None
Source: TypeAlias = Iterable[A] | AsyncIterable[A]


class Policy(TypedDict, total=False):
    """What becomes of elements that `f` cannot do: arguments of every call that has an `f`."""

    on_error: Literal["raise", "skip", "collect"] | Callable[[Exception, Any], Any] | None
    retries: int | None
    backoff: float
    on_worker_death: Literal["raise", "restart"]


class SameElements(Protocol):
    """A partial whose stage has the elements of its input."""

    def __call__(self, stage: Iterable[A]) -> Stage[A]: ...
    def __ror__(self, stage: Iterable[A]) -> Stage[A]: ...
    def __or__(self, then: Callable[[Stage[Any]], Next]) -> Partial[Iterable[Any], Next]: ...


class IoSameElements(Protocol):
    """A partial whose task stage has the elements of its input."""

    def __call__(self, stage: Source[A]) -> IoStage[A]: ...
    def __ror__(self, stage: Source[A]) -> IoStage[A]: ...
    def __or__(self, then: Callable[[IoStage[Any]], Next]) -> Partial[Source[Any], Next]: ...


class Batched(Protocol):
    """A partial whose stage has lists of the elements of its input."""

    def __call__(self, stage: Iterable[A]) -> Stage[list[A]]: ...
    def __ror__(self, stage: Iterable[A]) -> Stage[list[A]]: ...
    def __or__(self, then: Callable[[Stage[list[Any]]], Next]) -> Partial[Iterable[Any], Next]: ...


class IoBatched(Protocol):
    """A partial whose task stage has lists of the elements of its input."""

    def __call__(self, stage: Source[A]) -> IoStage[list[A]]: ...
    def __ror__(self, stage: Source[A]) -> IoStage[list[A]]: ...
    def __or__(self, then: Callable[[IoStage[list[Any]]], Next]) -> Partial[Source[Any], Next]: ...


class Unbatched(Protocol):
    """A partial whose stage has what is in the elements of its input."""

    def __call__(self, stage: Iterable[Iterable[A]]) -> Stage[A]: ...
    def __ror__(self, stage: Iterable[Iterable[A]]) -> Stage[A]: ...
    def __or__(self, then: Callable[[Stage[Any]], Next]) -> Partial[Iterable[Any], Next]: ...


class IoUnbatched(Protocol):
    """A partial whose task stage has what is in the elements of its input."""

    def __call__(self, stage: Source[Source[A]]) -> IoStage[A]: ...
    def __ror__(self, stage: Source[Source[A]]) -> IoStage[A]: ...
    def __or__(self, then: Callable[[IoStage[Any]], Next]) -> Partial[Source[Any], Next]: ...


class Iterated(Protocol):
    """A partial that iterates what it gets."""

    def __call__(self, stage: Source[A]) -> Iterable[A]: ...
    def __ror__(self, stage: Source[A]) -> Iterable[A]: ...


class IteratedAsync(Protocol):
    """A partial that iterates what it gets, for `async for`."""

    def __call__(self, stage: Source[A]) -> AsyncIterable[A]: ...
    def __ror__(self, stage: Source[A]) -> AsyncIterable[A]: ...
