"""A bounded queue between coroutines of one event loop.

What goes through is an *entry*, see `_core/entries.pyx`, which has the buffer and all that is done while
nobody waits. An attempt without waiting (`take_nowait`, `put_nowait`) makes no Future. A wait is
a Future in a line, first come first served, and the other side *hands over*: it resolves the Future with
the entry, so that nobody wakes to find that another was faster.

Failure modes: a cancelled waiter leaves the line, and if an entry was handed to it already, the entry
goes back to the head of the queue.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Any, Final

from pypeln._core.entries import CLOSED_ENTRY, EMPTY_ENTRY, LoopBuffer
from pypeln.errors import RunAborted

Entry = tuple[Any, tuple[int, ...], int, int]

# Compared by identity, like those of `entries`.
ABORTED_ENTRY: Final[Entry] = (None, (), 0, -4)
ROOM_ENTRY: Final[Entry] = (None, (), 0, -5)  # in the line of putters: wants to know of room, puts nothing

# maxsize=0 puts no bound on the number that a user counts with, but memory is always bounded.
SOFT_BOUND: Final = 8192

# A producer that is woken for every element taken costs more than the element. Queues at least this large are
# drained to half before their producers are woken; smaller ones would run dry meanwhile.
HYSTERESIS_FROM: Final = 64

# A taker that is woken for every element pays more for waking than for taking. So takers of a fast stream
# nap: those who put leave them alone until the nap is over or the queue half full. Whether the stream is fast
# is found out by trying: a nap in which this many entries came is followed by another, and after one that was
# not worth it the queue wakes its takers at once for 32 waits, then 64, up to 1024: what one element waits
# for another is not a stream. One that ended late says nothing: the loop, or all of the process, could not
# run. Timers of uvloop know whole milliseconds only.
NAP_S: Final = 0.001
NAP_WORTH: Final = 8
FIRST_NAP: Final = 16  # waits; a short run never naps
LONGEST_AWAKE: Final = 1024


class LoopQueue(LoopBuffer):
    """A bounded queue between coroutines of one event loop.

    Belongs to the thread of that loop. An element that waits in `put` is not in the queue yet.

    Args:
        maxsize: Elements it may hold; 0 for `SOFT_BOUND`.
        producers: How many `close()` calls end it, one for each stage that puts.

    Example:
        >>> import asyncio
        >>> async def main():
        ...     queue = LoopQueue(maxsize=2, producers=1)
        ...     await queue.put(("a", (0,), 0, -1))
        ...     queue.close()
        ...     return [(await queue.take())[0], await queue.take() is CLOSED_ENTRY]
        >>> asyncio.run(main())
        ['a', True]
    """

    __slots__ = ("_awake", "_nap", "_nap_due", "_nappers", "_waits", "maxsize")

    def __init__(self, maxsize: int = 0, producers: int = 1) -> None:
        bound = maxsize or SOFT_BOUND
        super().__init__(bound, bound - 1 if bound < HYSTERESIS_FROM else bound // 2, producers)
        # Of the base class: `takers` and `putters`, who wait, in line (while there are takers, nothing is in
        # the queue); `limit`, the entries at which a put stops to think: bound, or the end of a nap.
        self.maxsize = maxsize
        self._nappers: deque[asyncio.Future[Entry]] = deque()
        self._nap: asyncio.TimerHandle | None = None
        self._nap_due = 0.0
        self._awake = FIRST_NAP  # waits from one nap to the next
        self._waits = 0  # since the last nap

    @property
    def capacity(self) -> int:
        """The most entries it may hold."""
        return self.maxsize or SOFT_BOUND

    @property
    def full(self) -> bool:
        """Whether there is no room for another element."""
        return self.count >= self.capacity

    @property
    def closed(self) -> bool:
        """Whether every producer has closed. Entries may still be waiting."""
        return self.producers <= 0

    @property
    def awaited(self) -> bool:
        """Whether anybody waits for an entry."""
        return bool(self.takers or self._nappers)

    @property
    def count(self) -> int:
        """Entries that it holds."""
        return len(self)

    def backlog(self) -> int:
        """Entries that wait to be taken."""
        return len(self)

    def room(self) -> int:
        """Entries that can be put now without waiting."""
        return 0 if self.putters else self.bound - len(self)

    async def take(self) -> Entry:
        """The next entry, once there is one, or `CLOSED_ENTRY`.

        Raises:
            RunAborted: The run ends early.
        """
        entry = self.take_nowait()
        if entry is not EMPTY_ENTRY:
            return entry
        loop = asyncio.get_running_loop()
        waiter: asyncio.Future[Entry] = loop.create_future()
        line = self._line_of_takers(loop)
        line.append(waiter)
        try:
            entry = await waiter
        except BaseException:
            if waiter.done() and not waiter.cancelled():
                self._give_back(waiter.result())
            elif waiter in self.takers:
                self.takers.remove(waiter)
            elif waiter in self._nappers:
                self._nappers.remove(waiter)
            raise
        if entry is ABORTED_ENTRY:
            raise RunAborted
        return entry

    async def put(self, entry: Entry) -> None:
        """Put an entry, waiting for room.

        Raises:
            RunAborted: The run ends early.
        """
        if not self.put_nowait(entry):
            await self._line_up(entry)

    async def wait_room(self) -> None:
        """Wait until there is room. Another producer may be faster to use it.

        Raises:
            RunAborted: The run ends early.
        """
        if self.aborted:
            raise RunAborted
        if not self.room():
            await self._line_up(ROOM_ENTRY)

    def close(self) -> None:
        """One producer will put no more; after the last, takers get what is left, then `CLOSED_ENTRY`."""
        self.producers -= 1
        if self.producers <= 0:
            if self._nap is not None:
                self._end_nap()
            while self.takers:
                resolve(self.takers.popleft(), CLOSED_ENTRY)

    def abort(self) -> None:
        """Drop everything; whoever takes or puts gets `RunAborted`. Idempotent."""
        self._abort()
        if self._nap is not None:
            self._end_nap()
        while self.takers:
            resolve(self.takers.popleft(), ABORTED_ENTRY)
        while self.putters:
            resolve(self.putters.popleft()[0], ABORTED_ENTRY)

    def _put_slowly(self, entry: Entry) -> bool:
        """`put_nowait`, where somebody waits or there is no room at first sight."""
        takers = self.takers
        while takers:
            waiter = takers.popleft()
            if not waiter.done():
                waiter.set_result(entry)
                return True
        if len(self) < self.limit and not self.putters:
            self._append(entry)
            return True
        if self.aborted:
            raise RunAborted
        if self._nap is not None:
            self._end_nap()
            return self.put_nowait(entry)
        return False

    def _line_of_takers(self, loop: asyncio.AbstractEventLoop) -> deque[asyncio.Future[Entry]]:
        """Where the next taker waits: to be woken at once, or at the end of a nap."""
        if self._nap is not None:
            return self._nappers
        if self.takers or self.bound < HYSTERESIS_FROM:
            return self.takers
        self._waits += 1
        if self._waits <= self._awake:
            return self.takers
        self._waits = 0
        self.limit = self.bound // 2
        self._nap_due = loop.time() + NAP_S
        self._nap = loop.call_later(NAP_S, self._nap_over)
        return self._nappers

    def _nap_over(self) -> None:
        late_s = asyncio.get_running_loop().time() - self._nap_due
        self._end_nap(says_little=late_s > NAP_S and len(self) > 0)

    def _end_nap(self, says_little: bool = False) -> None:
        if self._nap is not None:
            self._nap.cancel()
            self._nap = None
        self.limit = self.bound
        nappers = self._nappers
        if len(self) >= NAP_WORTH:
            self._awake = 0
        elif not says_little:
            self._awake = min(max(self._awake * 2, 2 * FIRST_NAP), LONGEST_AWAKE)
        while nappers and len(self):
            waiter = nappers.popleft()
            if not waiter.done():
                waiter.set_result(self._popleft())
        self.takers.extend(nappers)
        nappers.clear()
        if self.putters and len(self) <= self.resume_at:
            self._admit()

    async def _line_up(self, entry: Entry) -> None:
        waiter: asyncio.Future[Entry] = asyncio.get_running_loop().create_future()
        place = (waiter, entry)
        self.putters.append(place)
        try:
            answer = await waiter
        except BaseException:
            if place in self.putters:
                self.putters.remove(place)
            if not self.aborted:
                self._admit()  # its place in line may have been all that kept the next ones waiting
            raise
        if answer is ABORTED_ENTRY:
            raise RunAborted

    def _admit(self) -> None:
        """Move entries of waiting putters in, as far as there is room."""
        putters = self.putters
        while putters and len(self) < self.bound:
            waiter, entry = putters.popleft()
            if waiter.done():
                continue
            if entry is not ROOM_ENTRY:
                self._append(entry)
            waiter.set_result(entry)

    def _give_back(self, entry: Entry) -> None:
        """Return what was handed to a taker that was cancelled before it could run."""
        if self.aborted or entry is CLOSED_ENTRY or entry is ABORTED_ENTRY:
            return
        while self.takers:
            waiter = self.takers.popleft()
            if not waiter.done():
                waiter.set_result(entry)
                return
        self._append_first(entry)


def resolve(waiter: asyncio.Future[Entry], entry: Entry) -> None:
    """Give a waiter its answer, unless it is gone."""
    # A loop that was closed under its waiters can call nobody back, and nobody of it is left to tell.
    if not waiter.done() and not waiter.get_loop().is_closed():
        waiter.set_result(entry)
