"""Arrays made where the next stage will look for them, so that they leave without a copy.

In a worker process numpy allocates large arrays there anyway, and these calls say it explicitly. In a
thread of the caller's process, where arrays are kept for all sorts of purposes, they are the only way: a
source, or a thread stage, that fills them hands them to processes as they are.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import DTypeLike, NDArray

    Shape: TypeAlias = int | tuple[int, ...]
    Order: TypeAlias = Literal["C", "F"]


def empty(shape: Shape, dtype: DTypeLike = float, order: Order = "C") -> NDArray[Any]:
    """`numpy.empty`, where the next stage can see it.

    Called by a source or by a function of a stage, in a process or a thread, the array lies in the shared
    memory of the queue behind it, if it has 16 KiB or more and there is room at once; anywhere else it is an
    ordinary array. Either way it is sent correctly: without a copy when it lies there and nobody else has it.

    Args:
        shape: As for numpy.
        dtype: As for numpy.
        order: "C" or "F".

    Returns:
        An array with whatever was in the memory before.

    Raises:
        ValueError: As numpy.

    Example:
        >>> import numpy as np
        >>> from pypeln import pr
        >>> def rows(n):
        ...     row = pr.empty((100, 100))
        ...     row[:] = n
        ...     return row
        >>> [float(total) for total in map(rows, range(3)) | pr.map(np.sum)]
        [0.0, 10000.0, 20000.0]
    """
    import numpy as np

    return _made(np.empty, shape, dtype, order)


def zeros(shape: Shape, dtype: DTypeLike = float, order: Order = "C") -> NDArray[Any]:
    """`numpy.zeros`, where the next stage can see it: see `empty`.

    Example:
        >>> from pypeln import pr
        >>> pr.zeros(3).tolist()
        [0.0, 0.0, 0.0]
    """
    import numpy as np

    return _made(np.zeros, shape, dtype, order)


def ones(shape: Shape, dtype: DTypeLike = float, order: Order = "C") -> NDArray[Any]:
    """`numpy.ones`, where the next stage can see it: see `empty`.

    Example:
        >>> from pypeln import pr
        >>> pr.ones(3, int).tolist()
        [1, 1, 1]
    """
    import numpy as np

    return _made(np.ones, shape, dtype, order)


def full(shape: Shape, fill_value: Any, dtype: DTypeLike | None = None, order: Order = "C") -> NDArray[Any]:
    """`numpy.full`, where the next stage can see it: see `empty`.

    Example:
        >>> from pypeln import pr
        >>> pr.full(2, 7).tolist()
        [7, 7]
    """
    import numpy as np

    return _made(np.full, shape, fill_value, dtype, order)


def copy(array: Any) -> NDArray[Any]:
    """A copy of an array, or of anything that numpy makes one of, where the next stage can see it: see
    `empty`.

    It is not needed in order to send an array: what lies elsewhere is copied then. It is for an array that
    is to be written to before.

    Example:
        >>> import numpy as np
        >>> from pypeln import pr
        >>> pr.copy(np.arange(3)).tolist()
        [0, 1, 2]
    """
    import numpy as np

    return _made(np.array, array)


def _made(make: Callable[..., np.ndarray[Any, Any]], *args: Any) -> NDArray[Any]:
    from pypeln._core.arena import birthplace

    arena = birthplace()
    if arena is None:
        return make(*args)
    from pypeln._core.allocator import made_in

    return made_in(arena, make, *args)
