"""How the items of a source become elements."""

from __future__ import annotations

from collections.abc import Generator, Iterable
from typing import Any

from pypeln.element import Element

# What the head of an element in a ring has room for.
MOST_DIMENSIONS = 16


def as_element(item: Any, position: int) -> Element:
    """An item of a source with its index: its position, unless it is an `Element`, which keeps its own.

    Raises:
        ValueError: The index of an `Element` is not a tuple of 1 to 16 integers from 0 to 2**64 - 1.
    """
    if not isinstance(item, Element):
        return Element((position,), item)
    index = item.index
    if not (
        isinstance(index, tuple)
        and 1 <= len(index) <= MOST_DIMENSIONS
        and all(type(number) is int and 0 <= number < 1 << 64 for number in index)
    ):
        raise ValueError(
            f"item {position} of the source is an Element whose index is {index!r}; "
            f"an index is a tuple of 1 to {MOST_DIMENSIONS} integers from 0 to 2**64 - 1"
        )
    return item


def numbered(source: Iterable[Any]) -> Generator[Element, None, None]:
    """The elements of a source, one for each item; closes it at the end if it is a generator."""
    iterator = iter(source)
    try:
        for position, item in enumerate(iterator):
            yield as_element(item, position)
    finally:
        close_generator(iterator)


def close_generator(iterator: Any) -> None:
    """Ends a generator, so that its `finally` runs with the run and not with the garbage collector.

    Other iterators with a `close`, open files for one, belong to whoever opened them.
    """
    if isinstance(iterator, Generator):
        iterator.close()
