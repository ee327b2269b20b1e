"""Locking the memory that arrays and tensors have arrived in, so that a GPU can fetch from it by itself."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from sys import modules
from typing import Any, TypeVar

T = TypeVar("T")

_PORTABLE = 1  # cudaHostRegisterPortable: pinned for every context, not only the present one


def pin(value: T) -> T:
    """Lock the shared memory that the arrays and tensors of an element lie in, for transfers to a GPU.

    The first call for a queue takes all the memory that the queue may use, or may use for large elements
    alone, and locks it in place: bound it with `pypeln.memory` before. That takes a while, and the memory
    stays locked until the run and the last view have ended. Later calls only look whether it is done.
    `tensor.to("cuda", non_blocking=True)` then copies straight out of the block in which a tensor has
    arrived, while the program goes on; keep the tensor until the copy is done. What lies in ordinary memory
    is left as it is.

    Args:
        value: An element: an array or a tensor, or a dict, list, tuple or dataclass of them.

    Returns:
        The same element.

    Raises:
        RuntimeError: torch is not imported or has no CUDA, or it cannot lock the memory.

    Example:
        >>> import pypeln as pl
        >>> pl.pin({"label": 3})  # nothing in it lies in shared memory
        {'label': 3}
    """
    from pypeln._core.arena import arena_at

    for address in _addresses(value):
        arena = arena_at(address)
        if arena is not None:
            arena.lock(address, _of_cuda)
    return value


def _of_cuda() -> tuple[Callable[[int, int], None], Callable[[int], object]]:
    torch = modules.get("torch")
    if torch is None or not torch.cuda.is_available():
        raise RuntimeError("pin: memory is locked by CUDA, through torch, which is not there")
    cuda = torch.cuda.cudart()

    def register(address: int, nbytes: int) -> None:
        status = int(cuda.cudaHostRegister(address, nbytes, _PORTABLE))
        if status != 0:
            raise RuntimeError(
                f"pin: CUDA could not lock {nbytes} bytes of memory (error {status}); a smaller "
                "pypeln.memory takes less"
            )

    return register, cuda.cudaHostUnregister


def _addresses(value: Any) -> Iterator[int]:
    """Where the data of each array and tensor in an element begins."""
    if hasattr(value, "data_ptr"):
        if value.device.type == "cpu":
            yield value.data_ptr()
    elif hasattr(value, "__array_interface__"):
        yield value.__array_interface__["data"][0]
    elif isinstance(value, Mapping):
        for part in value.values():
            yield from _addresses(part)
    elif isinstance(value, (list, tuple)):
        for part in value:
            yield from _addresses(part)
    elif hasattr(type(value), "__dataclass_fields__"):
        for name in type(value).__dataclass_fields__:
            yield from _addresses(getattr(value, name))
