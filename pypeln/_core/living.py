"""Which of some objects are still alive."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Generic, TypeVar
from weakref import WeakValueDictionary

T = TypeVar("T")


class Living(Generic[T]):
    """Objects, by identity, for as long as somebody else has them.

    May be walked while other threads add more, which a WeakSet may not.
    """

    def __init__(self) -> None:
        self._objects: WeakValueDictionary[int, T] = WeakValueDictionary()

    def add(self, each: T) -> None:
        """Know of one more."""
        self._objects[id(each)] = each

    def discard(self, each: T) -> None:
        """Forget one, if it is known."""
        self._objects.pop(id(each), None)

    def clear(self) -> None:
        """Forget all."""
        self._objects.clear()

    def __iter__(self) -> Iterator[T]:
        found = [reference() for reference in self._objects.valuerefs()]
        return iter([each for each in found if each is not None])
