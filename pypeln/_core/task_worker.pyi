from typing import Any

from pypeln._core.counters import Counters
from pypeln._core.entries import LoopEnd

def is_awaitable(value: Any) -> bool:
    """What inspect.isawaitable says, in a fraction of its time."""

class Crew:
    """What the workers of one stage have in common."""

    emission: int
    f: Any
    kwargs: dict[str, Any]
    wants_index: bool
    inlet: Any
    lanes: list[int]
    sends_ends: bool
    quantum_ns: int
    idle_kept: int
    outlets: list[LoopEnd]
    counters: Counters
    limit: int
    alive: int
    idle: int
    blocked: int
    def __init__(
        self,
        emission: int,
        f: Any,
        kwargs: dict[str, Any],
        wants_index: bool,
        inlet: Any,
        outlets: list[tuple[Any, int]],
        sends_ends: bool,
        counters: Counters,
        limit: int,
        quantum_ns: int,
        idle_kept: int,
    ) -> None: ...

class TaskWorker:
    """The coroutine of one worker: give it to a Task."""

    deadline: Any
    def __init__(self, crew: Crew, timed: bool) -> None: ...
    @property
    def cr_await(self) -> Any: ...
    @property
    def cr_frame(self) -> Any: ...
    @property
    def cr_running(self) -> bool: ...
    def __await__(self) -> TaskWorker: ...
    def __iter__(self) -> TaskWorker: ...
    def __next__(self) -> Any: ...
    def send(self, value: None) -> Any: ...
    def throw(self, kind: Any, value: Any = None, traceback: Any = None) -> Any: ...
    def close(self) -> None: ...
    def let_go(self) -> None:
        """Its task is done."""
