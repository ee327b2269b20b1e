"""The queue of an edge whose ends are all threads (or an event loop) of this process."""

from __future__ import annotations

from pypeln._core.local import PARTS, LocalIn, LocalOut, LocalRing
from pypeln._core.memory import Ledger
from pypeln.transport.bells import Bell, close_all, listen_fd, ring_all, ring_fd

# Elements, with maxsize=0, in slots that several share. Large enough that its content outlasts a nap of
# either side (docs/design/waiting.md), small enough for what a program can have in its memory so many
# times.
DEFAULT_CAPACITY = 8192

# With any larger maxsize in a run: nobody waits for a queue to be filled, and more slots than this are not
# worth their memory.
MOST_SLOTS = 1 << 20


class InProcessQueue:
    """A ring of references.

    Args:
        maxsize: Elements it may hold; 0 for what goes into `slots` that hold several.
        producers: How many ports will put into it.
        consumer_bell: Wakes the event loop that takes from it, if one does.
        producer_bell: Wakes the event loop that puts into it, if one does.
        sole: Whether one worker takes from it, and no other.
        slots: How many there are with maxsize=0; room for DEFAULT_CAPACITY elements unless said otherwise.
    """

    def __init__(
        self,
        maxsize: int,
        producers: int,
        consumer_bell: Bell | None = None,
        producer_bell: Bell | None = None,
        sole: bool = False,
        slots: int = DEFAULT_CAPACITY // PARTS,
    ) -> None:
        self.ring = LocalRing(maxsize or slots, producers, maxsize == 0, sole)
        self.consumer_bell = consumer_bell
        self.producer_bell = producer_bell

    def inlet(self, owner: int, ledger: Ledger | None = None, worker: int = 0) -> LocalIn:
        """A port to take through. There are no leases here: threads do not die alone."""
        port = LocalIn(self.ring, owner)
        port.connect(listen_fd(self.consumer_bell), ring_fd(self.producer_bell))
        return port

    def outlet(
        self, owner: int, producer: int, ledger: Ledger | None = None, worker: int = 0, outlet: int = 0
    ) -> LocalOut:
        """A port to put through."""
        port = LocalOut(self.ring, owner, producer)
        port.connect(listen_fd(self.producer_bell), ring_fd(self.consumer_bell))
        return port

    def abort(self) -> None:
        """Everybody who puts or takes raises RunAborted from now on."""
        self.ring.abort()
        ring_all(self.consumer_bell, self.producer_bell)

    def close(self) -> None:
        """Free the bells; the ring goes with its last port."""
        close_all(self.consumer_bell, self.producer_bell)
