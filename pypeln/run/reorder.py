"""Putting elements back in order while they stream, knowing exactly what is still to come.

Elements are named by their index, a path in a tree: the source's elements are its first level, and each
flat_map adds one. Workers also send END marks: the element at this index has n children, all told (0: it was
filtered or dropped). So at each moment either the next element in order is here, or it is known that it will
still come.

A concat gives every path that leads to it a lane; each lane is a tree of its own, and the lanes are merged by
index, lower lanes first. A lane whose elements brought their own indices (`untrack`) cannot be streamed:
nobody knows what is missing. It is sorted at the end, as pypeln 0.4.9 sorted everything.

Failure modes: an END mark that arrives twice (a worker died between sending it and saying so) is ignored.
What is still held when the queue closes is released in order, gaps or not: nothing is lost to a missing mark.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import Any

Index = tuple[int, ...]
Released = tuple[Index, int, Any]


class _Lane:
    """The tree of one lane, and how far its elements have been released."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.cursor = [0]  # the index that is next
        self.values: dict[Index, list[Any]] = {}  # a list: with indices of their own, two may have the same
        self.ends: dict[Index, int] = {}
        self.inner: set[Index] = set()  # indices below which something has arrived
        self.total: int | None = None  # how many elements the source has, once it says so
        self.tracked = True
        self.ready: deque[Released] = deque()  # released by the lane, not yet by the merge

    def is_complete(self) -> bool:
        """Whether everything of this lane has been released."""
        if not self.tracked or self.total is None:
            return False
        return len(self.cursor) == 1 and self.cursor[0] >= self.total

    def is_past(self, index: Index) -> bool:
        """Whether the cursor has moved beyond this index."""
        return tuple(self.cursor[: len(index)]) > index

    def add(self, index: Index, value: Any) -> None:
        self.values.setdefault(index, []).append(value)
        self._note_inner(index)

    def add_end(self, index: Index, count: int) -> None:
        if not self.is_past(index):
            self.ends[index] = count
            self._note_inner(index)

    def _note_inner(self, index: Index) -> None:
        for depth in range(len(index) - 1, 0, -1):
            above = index[:depth]
            if above in self.inner:
                break
            self.inner.add(above)

    def advance(self) -> None:
        """Move what is next to `ready`, as far as it goes."""
        if not self.tracked:
            return
        cursor, values, ends = self.cursor, self.values, self.ends
        while True:
            key = tuple(cursor)
            if len(key) > 1:
                siblings = ends.get(key[:-1])
                if siblings is not None and key[-1] >= siblings:
                    del ends[key[:-1]]
                    self.inner.discard(key[:-1])
                    cursor.pop()
                    cursor[-1] += 1
                    continue
            if key in values:
                for value in values.pop(key):
                    self.ready.append((key, self.number, value))
                cursor[-1] += 1
            elif key in self.inner:
                cursor.append(0)
            elif key in ends:
                if ends[key]:
                    cursor.append(0)
                else:
                    del ends[key]
                    cursor[-1] += 1
            else:
                return

    def flush(self) -> None:
        """Move all that is left to `ready`, in order."""
        for index in sorted(self.values):
            for value in self.values[index]:
                self.ready.append((index, self.number, value))
        self.values.clear()
        self.total = 0
        self.cursor = [0]
        self.tracked = True


class Reorder:
    """Releases the elements of one or more lanes in the order of their index.

    Args:
        lanes: How many lanes there are.

    Example:
        >>> reorder = Reorder(1)
        >>> list(reorder.push((1,), 0, "b"))
        []
        >>> list(reorder.push((0,), 0, "a"))
        [((0,), 0, 'a'), ((1,), 0, 'b')]
    """

    def __init__(self, lanes: int) -> None:
        self._lanes = [_Lane(number) for number in range(lanes)]
        self.held = 0  #: elements that arrived and are not yet released

    def push(self, index: Index, lane: int, value: Any) -> Iterator[Released]:
        """An element arrived. Yields what can be released now."""
        mine = self._lanes[lane]
        if (
            len(self._lanes) == 1
            and mine.tracked
            and index == (mine.cursor[0],)
            and len(mine.cursor) == 1
            and not (mine.values or mine.ends or mine.inner)
        ):
            # The common case, an element that is next: through without a stop.
            mine.cursor[0] += 1
            yield index, lane, value
            return
        self.held += 1
        mine.add(index, value)
        yield from self._release(mine)

    def end(self, index: Index, lane: int, count: int) -> Iterator[Released]:
        """The element at index has count children, all told. Yields what can be released now."""
        mine = self._lanes[lane]
        mine.add_end(index, count)
        yield from self._release(mine)

    def close_lane(self, lane: int, total: int) -> Iterator[Released]:
        """The source of a lane had `total` elements."""
        mine = self._lanes[lane]
        mine.total = total
        yield from self._release(mine)

    def untrack(self, lane: int) -> None:
        """The elements of this lane bring indices of their own: sort them at the end."""
        self._lanes[lane].tracked = False

    def close(self) -> Iterator[Released]:
        """Nothing more arrives. Yields all that is held, in order."""
        for lane in self._lanes:
            lane.advance()
            lane.flush()
        yield from self._merge()

    def floor(self, lane: int) -> int:
        """Every source position below this has been released, as far as this lane goes."""
        mine = self._lanes[lane]
        if mine.ready:
            return mine.ready[0][0][0]
        return mine.cursor[0]

    def _release(self, mine: _Lane) -> Iterator[Released]:
        mine.advance()
        if len(self._lanes) == 1:
            self.held -= len(mine.ready)
            while mine.ready:
                yield mine.ready.popleft()
        else:
            yield from self._merge()

    def _merge(self) -> Iterator[Released]:
        while True:
            heads = [lane.ready[0][:2] for lane in self._lanes if lane.ready]
            if not heads:
                return
            index, number = min(heads)
            if any(self._may_precede(lane, index, number) for lane in self._lanes):
                return
            self.held -= 1
            yield self._lanes[number].ready.popleft()

    @staticmethod
    def _may_precede(lane: _Lane, index: Index, number: int) -> bool:
        # A lane with nothing ready may still bring something smaller, unless it is already past that.
        if lane.ready or lane.is_complete():
            return False
        if not lane.tracked:
            return True
        return (tuple(lane.cursor), lane.number) < (index, number)
