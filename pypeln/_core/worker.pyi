from collections.abc import Callable
from typing import Any, Protocol, final, type_check_only

from pypeln._core.guard import Guard
from pypeln._core.memory import Ledger
from pypeln._core.outlets import Outlets
from pypeln._core.queue import InPort

@type_check_only
class Recovery(Protocol):
    retries: int
    counts_tries: bool
    def answer(self, outcome: int) -> int: ...
    def wait(self, tries: int) -> Any: ...
    def error(self, outcome: int) -> BaseException: ...
    def failure(self, error: BaseException, item: Any, index: tuple[int, ...], tries: int) -> Any: ...
    def replacement(self, error: BaseException, item: Any, index: tuple[int, ...]) -> Any: ...

@final
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
