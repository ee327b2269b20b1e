"""Pickling by value what no import finds: lambdas, closures, functions and classes of a notebook.

cloudpickle does it, with one difference. From 3.1.3 on it leaves out in which file a function was written,
and the traceback of an error in a spawned worker would not show the line that raised.
"""

from __future__ import annotations

import functools
from collections import ChainMap
from io import BytesIO
from types import CodeType
from typing import Any, ClassVar, Protocol

# What cloudpickle writes in place of a file's name.
NAMELESS = "<dynamic-code>"


class Writable(Protocol):
    """What a pickle is written to."""

    def write(self, data: Any, /) -> object:
        """Takes a part of it."""


def dumps(value: Any) -> bytes:
    """Pickle a value, with the functions and classes in it that cannot be imported elsewhere.

    Args:
        value: Anything.

    Returns:
        What `pickle.loads` reads, in any process that has cloudpickle.

    Raises:
        Exception: Whatever pickling raises, of many types.

    Example:
        >>> import pickle
        >>> from pypeln import by_value
        >>> pickle.loads(by_value.dumps(lambda x: x + 1))(1)
        2
    """
    with BytesIO() as file:
        dump(value, file)
        return file.getvalue()


def dump(value: Any, file: Writable) -> None:
    """The same, into what has a `write`.

    Args:
        value: Anything.
        file: What it is written to, in parts.

    Raises:
        Exception: Whatever pickling and writing raise.

    Example:
        >>> from io import BytesIO
        >>> from pypeln import by_value
        >>> by_value.dump(lambda x: x + 1, BytesIO())
    """
    _pickler()(file).dump(value)


@functools.cache
def _pickler() -> Any:
    import cloudpickle  # type: ignore[import-untyped,unused-ignore]

    reduce: Any = cloudpickle.CloudPickler.dispatch_table[CodeType]

    inherited: Any = cloudpickle.CloudPickler.dispatch_table

    def with_file_name(code: CodeType) -> tuple[Any, tuple[Any, ...]]:
        make, parts = reduce(code)
        return make, tuple(
            code.co_filename if isinstance(part, str) and part == NAMELESS else part for part in parts
        )

    class Pickler(cloudpickle.CloudPickler):  # type: ignore[misc,unused-ignore]
        dispatch_table: ClassVar[Any] = ChainMap({CodeType: with_file_name}, inherited)

    return Pickler
