"""What the large buffers of a run took, and how often they were copied, for everybody to read."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from pypeln._core.arena import Arena


class Buffers(NamedTuple):
    """So many buffers, of so many bytes together."""

    count: int = 0  # type: ignore[assignment] # the method of tuples of this name is no loss
    nbytes: int = 0

    def __add__(self, other: object) -> Buffers:
        if not isinstance(other, Buffers):
            return NotImplemented
        return Buffers(self.count + other.count, self.nbytes + other.nbytes)


class MemoryStats(NamedTuple):
    """The memory of a queue that touches a process, and what became of the large buffers in it in one run.

    A buffer is the data of an array, of a tensor, of a column of a data frame, or the bytes of a large
    `bytes` or `str`, from 2 KiB (where it is received, 4 KiB).

    Attributes:
        queue: Between which stages, as in `map(load) -> map(scale)`.
        capacity: Bytes that may be on their way in it. Receivers may hold half as much; and as much as all of
            it once more is there for when that leaves no room. Without a `pypeln.memory`, elements of more
            than a sixteenth of it have room for four more of their size.
        blocks: In use at this moment, or at the end of the run: on their way, or held by somebody.
        nbytes: Of those.
        peak: Bytes of memory that the queue has taken from the system. They are used again, and given back
            when the run and the last view have ended.
        born: Results that numpy made in its memory to begin with.
        lent: Sent without a copy, as a reference to where they lie.
        viewed: Received without a copy, as a view.
        copied_in: Sent as a copy, because they lay in ordinary memory.
        copied_held: Sent as a copy, because somebody else could still write to them.
        copied_busy: Sent as a copy, because they overlap another part of the same element.
        copied_out: Received as a copy, because receivers held too much, or producers waited for room.
        copied_type: Received as a copy, because their type has memory of its own: `bytes`, `str`, and
            tensors that several receivers get.

    Example:
        >>> import numpy as np
        >>> from pypeln import pr
        >>> stage = pr.map(np.sqrt, [np.ones(10_000)]) | pr.map(np.negative)
        >>> _ = list(stage)
        >>> [(each.queue, each.copied.count, each.avoided.count) for each in stage.memory_stats()]
        ... # doctest: +NORMALIZE_WHITESPACE
        [('from_iterable(list) -> map(sqrt)', 1, 1),
         ('map(sqrt) -> map(negative)', 0, 2),
         ('map(negative) -> consumer', 0, 2)]
    """

    queue: str
    capacity: int = 0
    blocks: int = 0
    nbytes: int = 0
    peak: int = 0
    born: Buffers = Buffers()
    lent: Buffers = Buffers()
    viewed: Buffers = Buffers()
    copied_in: Buffers = Buffers()
    copied_held: Buffers = Buffers()
    copied_busy: Buffers = Buffers()
    copied_out: Buffers = Buffers()
    copied_type: Buffers = Buffers()

    @property
    def copied(self) -> Buffers:
        """All copies, on the way in and out."""
        return self.copied_in + self.copied_held + self.copied_busy + self.copied_out + self.copied_type

    @property
    def avoided(self) -> Buffers:
        """Copies that were not made, on the way in and out."""
        return self.lent + self.viewed


def memory_of(queue: str, arena: Arena) -> MemoryStats:
    """The figures of a queue now."""
    usage = arena.usage()
    figures = {name: Buffers(*figure) for name, figure in arena.figures().items()}
    return MemoryStats(
        queue, usage["capacity"], usage["blocks"], usage["bytes"], usage["reserved"], **figures
    )
