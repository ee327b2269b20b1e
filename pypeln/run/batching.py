"""What a `batch` stage gathers, where its batches stand in the order, and its loop in a thread or process.

A full batch has the index and lane of the element that completed it. The elements before it end without
children, and say so as soon as they are taken: were they to wait for their batch, an `ordered` further down
would wait for them, and the sources, which wait for `ordered`, might never bring what the batch lacks.

A last batch that is not full is completed by the end of the sources. So it takes the place of that mark: of
the one of the lane that ends last, which is kept back until nothing more arrives, and moved up by one. Where
nobody downstream orders there are no such marks, and it has the index of its last element; so it has where a
source brought indices of its own, which `ordered` sorts at the end.
"""

from __future__ import annotations

from typing import Any, Protocol, TypeAlias

from pypeln._core.feeder import SOURCE_END, UNTRACKED
from pypeln._core.memory import CorruptMemory, Ledger, RunAborted
from pypeln._core.outlets import Outlets
from pypeln._core.queue import CLOSED, END, InPort
from pypeln.run.collate import Stack
from pypeln.run.plan import BatchOptions
from pypeln.run.reorder import Index

# An element_index and a lane: where something stands in the order.
Place: TypeAlias = tuple[Index, int]


class Gatherer(Protocol):
    """What becomes of the elements of a batch."""

    def add(self, value: Any, index: Index) -> None:
        """One more. Raises ValueError or TypeError when it does not go with the others."""

    def take(self) -> Any:
        """The batch; the next begins."""


class Items:
    """Elements in a list."""

    def __init__(self) -> None:
        self._items: list[Any] = []

    def add(self, value: Any, index: Index) -> None:
        self._items.append(value)

    def take(self) -> list[Any]:
        items, self._items = self._items, []
        return items


def gatherer(options: BatchOptions) -> Gatherer:
    """What gathers the elements of a batch."""
    return Stack(options.n) if options.stack else Items()


class Batching:
    """One `batch` stage at work: takes what arrives, and says what of it goes on where.

    Args:
        options: What its batches are made of.
        lanes: How many lanes arrive.

    Attributes:
        held: How many elements have been gathered for the next batch.

    Example:
        >>> batching = Batching(BatchOptions(2), 1)
        >>> batching.add("a", (0,), 0), batching.add("b", (1,), 0), batching.take()
        (False, True, ['a', 'b'])
    """

    def __init__(self, options: BatchOptions, lanes: int) -> None:
        self.held = 0
        self._n = options.n
        self._drop_last = options.drop_last
        self._gatherer = gatherer(options)
        self._lanes = lanes
        self._ended: set[int] = set()
        self._untracked: set[int] = set()
        self._last: Place | None = None
        self._end: Place | None = None

    def add(self, value: Any, index: Index, lane: int) -> bool:
        """An element arrived; whether the batch is full with it, and is to be sent in its place.

        Raises:
            TypeError: It cannot be stacked.
            ValueError: It differs from those that it is to be stacked with.
        """
        self._gatherer.add(value, index)
        self.held += 1
        self._last = (index, lane)
        return self.held == self._n

    def take(self) -> Any:
        """The elements that have been gathered, as a batch. Nobody else has it."""
        self.held = 0
        return self._gatherer.take()

    def passes_end(self, index: Index, lane: int, count: int) -> bool:
        """An END mark arrived; whether it goes on now."""
        if count == UNTRACKED:
            self._untracked.add(lane)
        if count != SOURCE_END:
            return True
        self._ended.add(lane)
        if len(self._ended) < self._lanes:
            return True
        self._end = (index, lane)
        return False

    def close(self) -> tuple[Place | None, Place | None]:
        """Nothing more arrives.

        Returns:
            Where to send a last batch, None when there is none to send; and where the end mark of a source
            goes after that, if one was kept back.
        """
        if self._last is None or not self.held or self._drop_last:
            return None, self._end
        if self._end is None:
            return self._last, None
        index, lane = self._end
        if lane in self._untracked:
            return (self._last[0], lane), self._end
        return self._end, ((index[0] + 1,), lane)


class BatchWorker:
    """The worker of a `batch` stage, thread or process.

    Args:
        inlet: Where elements come from.
        outlets: Where batches go.
        batching: What gathers them.
        ledger: With number: where this worker counts.
    """

    def __init__(
        self, inlet: InPort, outlets: Outlets, batching: Batching, ledger: Ledger, number: int
    ) -> None:
        self._inlet = inlet
        self._outlets = outlets
        self._batching = batching
        self._ledger = ledger
        self._number = number
        self._has_taken = False

    @property
    def index(self) -> Index | None:
        """element_index of what was taken last, None before the first."""
        return self._inlet.index if self._has_taken or self._inlet.is_opening else None

    def run(self) -> None:
        """Work until the inlet is closed and empty.

        Raises:
            RunAborted: The run ended meanwhile.
            Exception: An element cannot be read, stacked or sent on; `index` tells which was taken last.
        """
        failing = 0  # elements that are to be counted as failed if something is raised now
        inlet, outlets, batching = self._inlet, self._outlets, self._batching
        ledger, number = self._ledger, self._number
        try:
            while True:
                value = inlet.take()
                if value is CLOSED:
                    break
                index, lane = inlet.index, inlet.lane
                if value is END:
                    if batching.passes_end(index, lane, inlet.count):
                        outlets.put_end(index, lane, inlet.count)
                    continue
                self._has_taken = True
                ledger.add(number, "taken")
                failing = 1
                is_full = batching.add(value, index, lane)
                del value  # a view would keep its block for as long as we wait
                if is_full:
                    failing = batching.held
                    self._send((index, lane))
                elif outlets.wants_ends:
                    outlets.put_end(index, lane, 0)
                failing = 0
            place, end = batching.close()
            if place is not None:
                failing = batching.held
                self._send(place)
            elif batching.held:
                ledger.add(number, "filtered", batching.held)
            if end is not None:
                outlets.put_end(*end, SOURCE_END)
        except (RunAborted, CorruptMemory):
            raise
        except Exception:
            if inlet.is_opening:
                ledger.add(number, "taken")
                failing = 1
            ledger.add(number, "failed", failing)
            raise

    def _send(self, place: Place) -> None:
        number = self._batching.held
        self._outlets.put_given([self._batching.take()], *place)
        self._ledger.add(self._number, "emitted", number)
        self._ledger.add(self._number, "sent")
