"""Elements that are arrays, or dicts and lists of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np


def leaves(element: Any) -> Iterator[Any]:
    """The arrays of an element, in its order."""
    if isinstance(element, dict):
        for value in element.values():
            yield from leaves(value)
    elif isinstance(element, list):
        for value in element:
            yield from leaves(value)
    else:
        yield element


def with_leaves(change: Callable[[Any], Any], element: Any) -> Any:
    """A copy of the structure of `element`, each array replaced by what `change` makes of it."""
    if isinstance(element, dict):
        return {key: with_leaves(change, value) for key, value in element.items()}
    if isinstance(element, list):
        return [with_leaves(change, value) for value in element]
    return change(element)


def total_nbytes(element: Any) -> int:
    """The bytes of all arrays of an element."""
    return sum(array.nbytes for array in leaves(element))


def copy_into(target: Any, element: Any) -> None:
    """Copy the arrays of `element` into those of `target`, which has the same structure and shapes."""
    if isinstance(element, np.ndarray):
        np.copyto(target, element)
        return
    for ours, theirs in zip(leaves(target), leaves(element), strict=True):
        np.copyto(ours, theirs)
