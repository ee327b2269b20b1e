from collections.abc import Callable, Iterator
from typing import Any, Final, Protocol

from pypeln._core.guard import Guard
from pypeln._core.memory import Ledger, Window
from pypeln._core.queue import InPort, OutPort

SOURCE_END: Final[int]
UNTRACKED: Final[int]

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
    def put_end(self, index: tuple[int, ...], lane: int, count: int) -> None: ...
    def close(self) -> None: ...

class Recovery(Protocol):
    retries: int
    counts_tries: bool
    def answer(self, outcome: int) -> int: ...
    def wait(self, tries: int) -> Any: ...
    def error(self, outcome: int) -> BaseException: ...
    def failure(self, error: BaseException, item: Any, index: tuple[int, ...], tries: int) -> Any: ...
    def replacement(self, error: BaseException, item: Any, index: tuple[int, ...]) -> Any: ...

class Worker:
    def __init__(
        self,
        emission: int,
        f: Callable[..., Any] | None,
        kwargs: dict[str, Any],
        wants_index: bool,
        inlet: InPort,
        outlets: Outlets,
        ledger: Ledger,
        worker: int,
        recovery: Recovery,
        guard: Guard | None = None,
        timed: bool = False,
    ) -> None: ...
    @property
    def index(self) -> tuple[int, ...] | None: ...
    def run(self) -> None: ...

def feed(
    iterator: Iterator[Any],
    outlets: Outlets,
    windows: list[Window],
    ledger: Ledger,
    worker: int,
    element_type: type,
    guard: Guard,
) -> None: ...
