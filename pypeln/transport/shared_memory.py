"""The queue of an edge with a process at one of its ends, and the memory in which all those of a run lie.

One segment holds what is small and known in advance: leases, windows, rings. Its pages are reserved before
anything starts, so that a machine without memory says so at once. Each queue has an arena of its own beside
it, for payloads that do not fit a slot: its size is the queue's byte budget. With one arena for all, a source
could fill it and leave no room for the results of those who would empty it.
"""

from __future__ import annotations

import copyreg
import os
from typing import Any, NamedTuple

from pypeln import budget
from pypeln._core.arena import Arenas
from pypeln._core.memory import Ledger, Segment
from pypeln._core.shared import PARTS, SharedIn, SharedOut, SharedRing
from pypeln.descriptors import handed, received
from pypeln.transport.bells import Bell, close_all, listen_fd, ring_all, ring_fd
from pypeln.transport.in_process import DEFAULT_CAPACITY

# What no participant of a run shares a line with starts at a multiple of this.
ALIGNMENT = 128


class Region(NamedTuple):
    """A part of the control segment."""

    offset: int
    nbytes: int


class Layout:
    """Deals out the control segment, before it exists."""

    def __init__(self) -> None:
        self.nbytes = 0

    def add(self, nbytes: int) -> Region:
        """The next part, of at least nbytes."""
        region = Region(self.nbytes, nbytes)
        self.nbytes += -(-nbytes // ALIGNMENT) * ALIGNMENT
        return region


class SharedQueue:
    """A ring of slots in the control segment, with its arena.

    Args:
        layout: Where to take the ring's part from.
        maxsize: Elements it may hold, at most MOST_SLOTS; 0 for what goes into slots that hold several.
        producers: How many ports will put into it.
        arenas: Those of the run, to which its own is added.
        share: What may be on its way in it; None for what a queue alone may take.
        consumer_bell: Wakes the event loop that takes from it, if one does.
        producer_bell: Wakes the event loop that puts into it, if one does.
        sole: Whether one worker takes from it, and no other.
        slots: How many there are with maxsize=0. Unless said otherwise they have room for DEFAULT_CAPACITY
            elements, and fewer large ones go in (`elastic`).
    """

    def __init__(
        self,
        layout: Layout,
        maxsize: int,
        producers: int,
        arenas: Arenas,
        share: budget.Share | None = None,
        consumer_bell: Bell | None = None,
        producer_bell: Bell | None = None,
        sole: bool = False,
        slots: int = 0,
    ) -> None:
        self.capacity = maxsize or slots or DEFAULT_CAPACITY // PARTS
        self.several = maxsize == 0
        self.elastic = maxsize == 0 and slots == 0
        self.producers = producers
        self.sole = sole
        self.region = layout.add(SharedRing.nbytes_for(self.capacity, producers))
        self.consumer_bell = consumer_bell
        self.producer_bell = producer_bell
        self.arenas = arenas
        if share is None:
            share = budget.of_each_queue(budget.of_run(), 1)
        self.arena = arenas.create(share.nbytes, bool(os.environ.get("PYPELN_POISON")), share.for_large)
        self.control: Segment
        self.ring: SharedRing

    def __getstate__(self) -> dict[str, Any]:
        # Only ever pickled for a child that is being spawned: Segment and Bell hand their descriptors over.
        state = self.__dict__.copy()
        del state["ring"]
        state["arena"] = self.arena.id
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self.arena = self.arenas[state["arena"]]
        self._open()

    def _open(self) -> None:
        region = self.region
        self.ring = SharedRing(
            self.control, region.offset, region.nbytes, self.arena, self.arenas, self.elastic
        )
        self.arena.connect(ring_fd(self.producer_bell))

    def create(self, control: Segment) -> None:
        """Lay the ring out in the control segment."""
        self.control = control
        self._open()
        self.ring.create(self.capacity, self.producers, self.several, self.sole)

    def inlet(
        self, owner: int, ledger: Ledger | None = None, worker: int = 0, copies: bool = False
    ) -> SharedIn:
        """A port to take through; with a ledger, through the worker's lease.

        Copies: what is taken is to be seen as it was sent once more, should the worker die of it.
        """
        port = SharedIn(self.ring, owner, ledger, worker, copies)
        port.connect(listen_fd(self.consumer_bell), ring_fd(self.producer_bell))
        return port

    def outlet(
        self, owner: int, producer: int, ledger: Ledger | None = None, worker: int = 0, outlet: int = 0
    ) -> SharedOut:
        """A port to put through; with a ledger, in the protocol of the worker's lease."""
        port = SharedOut(self.ring, owner, producer, ledger, worker, outlet)
        port.connect(listen_fd(self.producer_bell), ring_fd(self.consumer_bell))
        return port

    def abort(self) -> None:
        """Everybody who puts or takes raises RunAborted from now on."""
        self.ring.abort()
        ring_all(self.consumer_bell, self.producer_bell)

    def wake_all(self) -> None:
        """Wake everybody, loops included: after a death, because a wake may have gone to the dead."""
        self.ring.wake_all()
        ring_all(self.consumer_bell, self.producer_bell)

    def close(self) -> None:
        """Free the bells; the memory goes with its last port and the last view of it."""
        self.arena.detach()
        close_all(self.consumer_bell, self.producer_bell)


def _open_segment(handle: Any, nbytes: int) -> Segment:
    return Segment(nbytes, received(handle))


def _reduce_segment(segment: Segment) -> tuple[Any, ...]:
    return _open_segment, (handed(segment.fd), segment.nbytes)


copyreg.pickle(Segment, _reduce_segment)
