from collections.abc import Iterator
from typing import Any, Final

from pypeln._core.guard import Guard
from pypeln._core.memory import Ledger, Window
from pypeln._core.outlets import Outlets

SOURCE_END: Final[int]
UNTRACKED: Final[int]

def feed(
    iterator: Iterator[Any],
    outlets: Outlets,
    windows: list[Window],
    ledger: Ledger,
    worker: int,
    element_type: type,
    guard: Guard,
) -> None: ...
