from typing import Any, Final

EMPTY: Final[object]
CLOSED: Final[object]
END: Final[object]

class InPort:
    """The end of a queue that one worker takes from. Belongs to one thread."""

    @property
    def is_opening(self) -> bool: ...
    @property
    def index(self) -> tuple[int, ...]:
        """element_index of what was taken last."""

    @property
    def lane(self) -> int:
        """Lane of what was taken last."""

    @property
    def count(self) -> int:
        """After END: how many children the element at `index` has."""

    def take(self, timeout_s: float = ...) -> Any:
        """Wait for the next element; END, CLOSED, or EMPTY once timeout_s has passed (negative: for ever)."""

    def leave_alone(self, seconds: float) -> None:
        """After each batch of elements, sleep so long before looking for the next."""

    def spare_wakes(self, seconds: float) -> None:
        """Sleep until several elements have come, if that takes no longer."""

    @property
    def spares_wakes(self) -> bool:
        """Whether `spare_wakes` was called."""

    def take_nowait(self) -> Any:
        """The next element, or EMPTY, END, CLOSED. Raises RunAborted."""

    def resume(self) -> bool:
        """Load head and index of what a dead predecessor left in hand; False when that is nothing."""

    def connect(self, bell: int, other_bell: int) -> None:
        """Say where the bells are: the one that rings for this side, and the other one; -1 for none."""

    foreign: bool
    """Whether it belongs to another process, of which this one is a forked copy."""

    def disown(self) -> None:
        """This is a forked copy of a process: the queue is not to be touched."""

    @property
    def depth(self) -> int:
        """How many elements wait in the queue, more or less."""

    @property
    def closed(self) -> bool:
        """Whether every producer has closed. Elements may still be waiting."""

    def __iter__(self) -> InPort: ...
    def __next__(self) -> Any: ...
    def done(self) -> None:
        """Answer for the element in hand: its lease ends. The next take does it too."""

    def arm(self) -> bool:
        """Ask that the bell be rung at the next change. True when there may be something already."""

    def ready(self) -> bool:
        """Whether a take would not have to wait."""

    def fileno(self) -> int:
        """The bell: a descriptor that becomes readable when it rings (for event loops)."""

class OutPort:
    """The end of a queue that one worker puts into. Belongs to one thread."""

    def connect(self, bell: int, other_bell: int) -> None:
        """Say where the bells are: the one that rings for this side, and the other one; -1 for none."""

    def put(self, value: Any, index: tuple[int, ...], lane: int = 0) -> None:
        """Put an element, waiting for room. Raises RunAborted, or whatever encoding the value raises."""

    def put_nowait(self, value: Any, index: tuple[int, ...], lane: int = 0) -> bool:
        """Put an element if there is room; False when there is none."""

    def put_end(self, index: tuple[int, ...], lane: int, count: int) -> None:
        """Say that the element at index has count children, all told."""

    def put_end_nowait(self, index: tuple[int, ...], lane: int, count: int) -> bool:
        """The same, if there is room."""

    @property
    def closed(self) -> bool: ...
    def close(self) -> None:
        """This producer is done. Idempotent."""

    def arm(self) -> bool:
        """Ask that the bell be rung when there is room. True when there may be room already."""

    def fileno(self) -> int:
        """The bell: a descriptor that becomes readable when it rings (for event loops)."""
