"""Stacking elements into one array, and taking such an array apart again.

The first element of a batch says what the others must be: shape, dtype, structure. Room for the whole batch
is made at once, and each element is written to its place in it as it comes: one copy, after which the element
is needed no longer. What becomes of a structure is what torch's `default_collate` makes of it.

numpy is imported by the first element that is stacked, not before: whoever stacks nothing need not have it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final, NoReturn, Protocol

if TYPE_CHECKING:
    from pypeln.run.reorder import Index

# Plain numbers and the dtypes of their arrays. Each may stand among those after it, where it loses nothing.
_NUMBERS: Final = ((bool, "?"), (int, "i8"), (float, "f8"), (complex, "c16"))


class Stack:
    """Gathers elements in arrays with a new first axis.

    Args:
        n: How many elements a batch has at most.

    Example:
        >>> stack = Stack(3)
        >>> for number in range(2):
        ...     stack.add({"x": float(number)}, (number,))
        >>> stack.take()
        {'x': array([0., 1.])}
    """

    def __init__(self, n: int) -> None:
        self._n = n
        self._count = 0
        self._column: _Column | None = None

    def add(self, value: Any, index: Index) -> None:
        """One more element.

        Raises:
            TypeError: It is nothing that can be stacked.
            ValueError: Shape, dtype or structure differ from those of the first.
        """
        if self._column is None:
            self._column = _column_for(value, self._n, index, "")
        self._column.put(self._count, value, index)
        self._count += 1

    def take(self) -> Any:
        """The arrays of those that have been added; the next batch begins."""
        column, count = self._column, self._count
        self._column, self._count = None, 0
        assert column is not None
        return column.taken(count)


class _Column(Protocol):
    """The same part of all elements of a batch."""

    def put(self, number: int, value: Any, index: Index) -> None:
        """What this part is in the element at this index, which is the number-th of the batch."""

    def taken(self, count: int) -> Any:
        """What this part is in a batch of so many elements."""


def _column_for(value: Any, n: int, index: Index, part: str) -> _Column:
    """What gathers values like this one.

    Args:
        value: In the first element.
        n: How many there may be.
        index: Which element that is.
        part: Where in it the value is, for messages: `['image']`.
    """
    if isinstance(value, (str, bytes)):
        return _Texts(value, part)
    parts = _parts(value)
    if parts is not None:
        return _Structure(value, parts, n, index, part)
    import numpy as np

    if isinstance(value, np.ma.MaskedArray):
        raise TypeError(
            f"element {index}{part} is a masked array, and the mask would be lost; fill it before"
        )
    if isinstance(value, (np.ndarray, np.generic)):
        return _Arrays(np.empty((n, *value.shape), value.dtype), part)
    rank = _rank(value)
    if rank is not None:
        return _Numbers(np.empty(n, _NUMBERS[rank][1]), rank, part)
    raise TypeError(
        f"element {index}{part} is {_described(value)}, which cannot be stacked; arrays and numbers can, and "
        "dicts, tuples and dataclasses of them"
    )


class _Arrays:
    """Arrays of one shape and dtype, or numpy's scalars of one dtype."""

    def __init__(self, out: Any, part: str) -> None:
        self._out = out
        self._part = part

    def put(self, number: int, value: Any, index: Index) -> None:
        out = self._out
        shape, dtype = getattr(value, "shape", None), getattr(value, "dtype", None)
        if shape != out.shape[1:] or dtype != out.dtype or hasattr(value, "mask"):
            expected = f"an array of shape {out.shape[1:]} and dtype {out.dtype}"
            _refuse(f"element {index}{self._part}", value, expected)
        out[number] = value

    def taken(self, count: int) -> Any:
        return self._out if count == len(self._out) else self._out[:count]


class _Numbers:
    """Plain numbers."""

    def __init__(self, out: Any, rank: int, part: str) -> None:
        self._out = out
        self._rank = rank
        self._part = part

    def put(self, number: int, value: Any, index: Index) -> None:
        rank = _rank(value)
        where = f"element {index}{self._part}"
        if rank is None or rank > self._rank:
            _refuse(where, value, f"a number of type {_NUMBERS[self._rank][0].__name__}")
        try:
            self._out[number] = value
        except OverflowError:
            raise ValueError(
                f"{where} is {value}, which is too large for an array of {self._out.dtype}"
            ) from None

    def taken(self, count: int) -> Any:
        return self._out if count == len(self._out) else self._out[:count]


class _Texts:
    """str or bytes, which stay in a list."""

    def __init__(self, first: str | bytes, part: str) -> None:
        self._kind = str if isinstance(first, str) else bytes
        self._texts: list[Any] = []
        self._part = part

    def put(self, number: int, value: Any, index: Index) -> None:
        if not isinstance(value, self._kind):
            _refuse(f"element {index}{self._part}", value, f"of type {self._kind.__name__}")
        self._texts.append(value)

    def taken(self, count: int) -> Any:
        return self._texts


class _Structure:
    """Dicts of the same keys, tuples of the same length, or dataclasses of the same type."""

    def __init__(self, first: Any, parts: dict[Any, Any], n: int, index: Index, part: str) -> None:
        self._kind = type(first)
        self._part = part
        self._columns = {
            key: _column_for(each, n, index, part + _step(self._kind, key)) for key, each in parts.items()
        }

    def put(self, number: int, value: Any, index: Index) -> None:
        where = f"element {index}{self._part}"
        if type(value) is not self._kind:
            _refuse(where, value, f"of type {self._kind.__name__}")
        parts = _parts(value)
        assert parts is not None
        if parts.keys() != self._columns.keys():
            if issubclass(self._kind, tuple):
                _refuse(where, value, f"a {self._kind.__name__} of {len(self._columns)}")
            raise ValueError(
                f"{where} has the keys {list(parts)}, where the first element of the batch has "
                f"{list(self._columns)}"
            )
        for key, column in self._columns.items():
            column.put(number, parts[key], index)

    def taken(self, count: int) -> Any:
        return _built(self._kind, {key: column.taken(count) for key, column in self._columns.items()})


def rows(batch: Any) -> Iterator[Any]:
    """Each element of a batch whose arrays have one row for each: what was stacked, in views of the arrays.

    Raises:
        TypeError: Something in it has no rows.
        ValueError: Its arrays have different numbers of rows.
    """
    lengths = set(_lengths(batch))
    if not lengths:
        raise TypeError(f"a batch is {_described(batch)} without any array, and has no rows")
    if len(lengths) > 1:
        raise ValueError(f"the arrays of a batch have different numbers of rows: {sorted(lengths)}")
    for number in range(*lengths):
        yield _row(batch, number)


def items(batch: Any) -> Iterable[Any]:
    """Each element of a batch that is a list or an array, or anything else that can be iterated.

    Raises:
        TypeError: It is a dict, whose keys nobody can want.
    """
    if isinstance(batch, Mapping):
        raise TypeError(
            "a dict is no batch; the rows of the arrays in it, as batch(stack=True) makes them, are what "
            "unbatch(stack=True) sends on"
        )
    return batch  # type: ignore[no-any-return]


def _lengths(batch: Any) -> Iterator[int]:
    parts = _parts(batch)
    if parts is None:
        try:
            yield len(batch)
        except TypeError:
            raise TypeError(f"a batch has {_described(batch)} in it, which has no rows") from None
    else:
        for part in parts.values():
            yield from _lengths(part)


def _row(batch: Any, number: int) -> Any:
    parts = _parts(batch)
    if parts is None:
        return batch[number]
    return _built(type(batch), {key: _row(part, number) for key, part in parts.items()})


def _parts(value: Any) -> dict[Any, Any] | None:
    """What a structure consists of, by key; None when it is none."""
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, tuple):
        return dict(enumerate(value))
    if hasattr(type(value), "__dataclass_fields__"):
        from dataclasses import fields

        return {field.name: getattr(value, field.name) for field in fields(value)}
    return None


def _built(kind: type, parts: dict[Any, Any]) -> Any:
    """A structure of other parts."""
    if issubclass(kind, Mapping):
        return parts
    if issubclass(kind, tuple):
        make = getattr(kind, "_make", tuple)
        return make(parts.values())
    # Its own __init__ may refuse arrays where it wants what was stacked in them.
    made = object.__new__(kind)
    for name, part in parts.items():
        object.__setattr__(made, name, part)
    return made


def _step(kind: type, key: Any) -> str:
    """How a part of a structure is written."""
    if issubclass(kind, (Mapping, tuple)):
        return f"[{key!r}]"
    return f".{key}"


def _rank(value: Any) -> int | None:
    """How general a plain number is; None when it is none."""
    for rank, (kind, _) in enumerate(_NUMBERS):
        if isinstance(value, kind):
            return rank
    return None


def _described(value: Any) -> str:
    kind = type(value).__name__
    if hasattr(value, "shape") and hasattr(value, "dtype"):
        return f"of type {kind}, shape {tuple(value.shape)} and dtype {value.dtype}"
    if isinstance(value, tuple):
        return f"a {kind} of {len(value)}"
    return f"of type {kind}"


def _refuse(where: str, value: Any, expected: str) -> NoReturn:
    raise ValueError(
        f"{where} is {_described(value)}; it must be {expected}, as in the first element of the batch"
    )
