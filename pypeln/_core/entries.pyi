from collections import deque
from collections.abc import Callable
from typing import Any, Final

_Entry = tuple[Any, tuple[int, ...], int, int]

ELEMENT: Final = -1
EMPTY_ENTRY: Final[_Entry]
CLOSED_ENTRY: Final[_Entry]

class LoopEnd:
    """An end of a queue that coroutines take from or put into."""

    def put_values(self, values: list[Any], start: int, position: int, lane: int) -> int:
        """Put elements that a source numbers, while there is room; how many have been put now."""

class Ready:
    """Iterates over the elements that a queue has now, taking each as it is asked for. Begins anew."""

    def __init__(
        self, inlet: LoopEnd, element_type: Callable[[tuple[int, ...], Any], Any] | None = None
    ) -> None: ...
    def __iter__(self) -> Ready: ...
    def __next__(self) -> Any: ...

class LoopBuffer(LoopEnd):
    """The entries of a queue between coroutines, and what needs no waiting."""

    bound: int
    limit: int
    resume_at: int
    producers: int
    aborted: Final[bool]
    takers: Final[deque[Any]]
    putters: Final[deque[Any]]
    def __init__(self, bound: int, resume_at: int, producers: int) -> None: ...
    def __len__(self) -> int: ...
    def take_nowait(self) -> _Entry:
        """The next entry, `EMPTY_ENTRY`, or `CLOSED_ENTRY` when no more can come. Raises RunAborted."""

    def put_nowait(self, entry: _Entry) -> bool:
        """Put an entry if there is room and nobody waits for it; False otherwise. Raises RunAborted."""

    def _append(self, entry: _Entry) -> None: ...
    def _append_first(self, entry: _Entry) -> None: ...
    def _popleft(self) -> _Entry: ...
    def _abort(self) -> None: ...
