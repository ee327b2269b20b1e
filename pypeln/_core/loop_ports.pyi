from collections import deque
from collections.abc import Callable
from typing import Any, Final

from pypeln._core.entries import LoopEnd, _Entry
from pypeln._core.queue import InPort, OutPort

class PortInlet(LoopEnd):
    """The taking end of a ring, for coroutines."""

    port: Final[InPort]
    given_back: Final[deque[_Entry]]
    flows: Final[bool]
    aborted: bool
    def __init__(self, port: InPort) -> None: ...
    def take_nowait(self) -> _Entry:
        """The next entry, `EMPTY_ENTRY`, or `CLOSED_ENTRY`. Raises RunAborted, or what decoding raises."""

class PortOutlet(LoopEnd):
    """The putting end of a ring, for coroutines."""

    port: Final[OutPort]
    putters: Final[deque[Any]]
    aborted: bool
    def __init__(
        self, port: OutPort, unsendable: Callable[[Exception, tuple[int, ...]], Exception] | None = None
    ) -> None: ...
    def send_entry(self, entry: _Entry) -> bool:
        """Put an entry if there is room, whoever waits. Raises RunAborted, or what encoding raises."""
