"""Moving the windows of sources along with what an `ordered` stage has released."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pypeln._core.feeder import SOURCE_END, UNTRACKED
from pypeln.element import Element
from pypeln.run.reorder import Index, Released, Reorder
from pypeln.run.wiring import ORDER_SPAN, WindowPlan

# Elements that an ordered stage may hold before it asks its sources to wait for the oldest one.
MOST_HELD = 65536

# A window is moved when the floor has come so far: each move may wake a source. Must be less than the
# window's span, or a source could wait for a move that waits for the source.
MOVE_EVERY = ORDER_SPAN // 8


class Ordering:
    """One `ordered` stage at work: takes what arrives, releases what is next, tells sources how far it is.

    Args:
        lanes: How many lanes arrive.
        windows: The windows it moves.
    """

    def __init__(self, lanes: int, windows: list[WindowPlan]) -> None:
        self.reorder = Reorder(lanes)
        self._windows = windows
        self._moved_to = [0] * len(windows)
        self._pressed = False

    def push(self, index: Index, lane: int, value: Any) -> Iterator[Released]:
        """An element arrived: what can be released now, as (index, lane, value)."""
        yield from self.reorder.push(index, lane, value)
        self._move()

    def end(self, index: Index, lane: int, count: int) -> Iterator[Released]:
        """An END mark arrived: what can be released now."""
        if count == SOURCE_END:
            yield from self.reorder.close_lane(lane, index[0])
        elif count == UNTRACKED:
            self.reorder.untrack(lane)
        else:
            yield from self.reorder.end(index, lane, count)
        self._move()

    def close(self) -> Iterator[Released]:
        """Nothing more arrives: all that is held, in order."""
        return self.reorder.close()

    def _move(self) -> None:
        pressed = self.reorder.held >= MOST_HELD
        for i, each in enumerate(self._windows):
            floor = min(self.reorder.floor(lane) for lane in each.lanes)
            if pressed or self._pressed or floor - self._moved_to[i] >= MOVE_EVERY:
                assert each.window is not None
                each.window.advance(floor, pressed)
                self._moved_to[i] = floor
        self._pressed = pressed


def ordered_elements(port: Any, ordering: Ordering) -> Iterator[Element]:
    """What a port yields, put in order."""
    from pypeln._core.queue import CLOSED, END

    while True:
        value = port.take()
        if value is CLOSED:
            break
        if value is END:
            released = ordering.end(port.index, port.lane, port.count)
        else:
            released = ordering.push(port.index, port.lane, value)
        for index, _, each in released:
            yield Element(index, each)
    for index, _, each in ordering.close():
        yield Element(index, each)


def reorder_stage(inlet: Any, outlets: Any, ordering: Ordering, ledger: Any, number: int) -> None:
    """The loop of an `ordered` stage in the middle of a pipeline, thread or process."""
    from pypeln._core.queue import CLOSED, END

    while True:
        value = inlet.take()
        if value is CLOSED:
            break
        index, lane = inlet.index, inlet.lane
        if value is END:
            # Another ordered stage further down wants them too; they need not wait for their turn.
            if outlets.wants_ends:
                outlets.put_end(index, lane, inlet.count)
            released = ordering.end(index, lane, inlet.count)
        else:
            ledger.add(number, "taken")
            # In a list of its own, so that only that has it when it is put, whoever carries the list.
            released = ordering.push(index, lane, [value])
            del value
        _put_all(released, outlets, ledger, number)
    _put_all(ordering.close(), outlets, ledger, number)


def _put_all(released: Iterator[Released], outlets: Any, ledger: Any, number: int) -> None:
    for index, lane, cell in released:
        outlets.put_given(cell, index, lane)
        ledger.add(number, "emitted")
        ledger.add(number, "sent")
