from collections.abc import Callable
from typing import Any, final

from pypeln._core.queue import OutPort

@final
class Outlets:
    wants_ends: bool
    def __init__(
        self,
        ports: list[OutPort],
        lanes: list[int],
        ends: list[bool],
        unsendable: Callable[[Exception, tuple[int, ...]], Exception],
    ) -> None: ...
    def put(self, value: Any, index: tuple[int, ...], lane: int = 0) -> None: ...
    def put_given(self, cell: list[Any], index: tuple[int, ...], lane: int = 0) -> None: ...
    def put_end(self, index: tuple[int, ...], lane: int, count: int) -> None: ...
    def close(self) -> None: ...
