from typing import Any

from numpy.typing import NDArray

COMMON: str

def description(array: NDArray[Any]) -> bytes | None: ...
def described(description: bytes, data: bytearray, writeable: bool = True) -> tuple[NDArray[Any], int]: ...
