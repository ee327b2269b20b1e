"""Queues whose ends are coroutines of one event loop.

What goes through is an *entry*, the tuple `(value, index, lane, count)`: an element when `count` is `ELEMENT`, else
an END mark, which says that the element at `index` has `count` children. Three classes have the same two sides:

- `LoopQueue`: both sides are coroutines of the same loop. Plain containers, nothing shared between threads.
- `AsyncInPort`, `AsyncOutPort`: one side is a coroutine, the other a thread or a process behind a ring. All worker
  coroutines of a stage share the one port; they wait in line here, and the port's bell wakes the loop.

An attempt without waiting (`take_nowait`, `put_nowait`) makes no Future and does not suspend. A wait is a Future in a
line, first come first served, and the other side *hands over*: it resolves the Future with the entry, so that nobody
wakes to find that another was faster. Failure modes: a cancelled waiter leaves the line, and if an entry was handed to
it already, the entry goes back to the head of the queue; a loop that is closed or dropped closes its coroutines, and
their way out takes the bell's reader out of the loop.
"""

from __future__ import annotations

import asyncio
import os
import weakref
from collections import deque
from collections.abc import Callable
from typing import Any, Final, Protocol

from pypeln._core.queue import CLOSED, EMPTY, END, InPort, OutPort
from pypeln.errors import RunAborted

Entry = tuple[Any, tuple[int, ...], int, int]

ELEMENT: Final = -1  # the count of an entry that is an element
EMPTY_ENTRY: Final[Entry] = (None, (), 0, -2)  # compared by identity, like the two below
CLOSED_ENTRY: Final[Entry] = (None, (), 0, -3)
ABORTED_ENTRY: Final[Entry] = (None, (), 0, -4)
ROOM_ENTRY: Final[Entry] = (None, (), 0, -5)  # in the line of putters: wants to know of room, puts nothing

# maxsize=0 puts no bound on the number that a user counts with, but memory is always bounded.
SOFT_BOUND: Final = 8192

# A producer that is woken for every element taken costs more than the element. Queues at least this large are
# drained to half before their producers are woken; smaller ones would run dry meanwhile.
HYSTERESIS_FROM: Final = 64

# A taker that is woken for every element pays more for waking than for taking. So takers of a fast stream nap: those
# who put leave them alone until the nap is over or the queue half full. Whether the stream is fast is found out by
# trying: a nap in which this many entries came is followed by another, and after one that was not worth it the queue
# wakes its takers at once for 32 waits, then 64, up to 1024: what one element waits for another is not a stream.
NAP_S: Final = 0.0005
NAP_WORTH: Final = 8
FIRST_NAP: Final = 16  # waits; a short run never naps
LONGEST_AWAKE: Final = 1024


class InEnd(Protocol):
    """The side of a queue that worker coroutines take from."""

    def take_nowait(self) -> Entry: ...
    async def take(self) -> Entry: ...
    def backlog(self) -> int: ...
    def abort(self) -> None: ...


class OutEnd(Protocol):
    """The side of a queue that worker coroutines put into."""

    def put_nowait(self, entry: Entry) -> bool: ...
    async def put(self, entry: Entry) -> None: ...
    def put_some(self, entries: list[Entry]) -> int: ...
    def room(self) -> int: ...
    async def wait_room(self) -> None: ...
    def close(self) -> None: ...
    def abort(self) -> None: ...


class LoopQueue:
    """A bounded queue between coroutines of one event loop.

    Belongs to the thread of that loop. An element that waits in `put` is not in the queue yet.

    Args:
        maxsize: Elements it may hold; 0 for `SOFT_BOUND`.
        producers: How many `close()` calls end it, one for each stage that puts.

    Example:
        >>> import asyncio
        >>> async def main():
        ...     queue = LoopQueue(maxsize=2, producers=1)
        ...     await queue.put(("a", (0,), 0, ELEMENT))
        ...     queue.close()
        ...     return [(await queue.take())[0], await queue.take() is CLOSED_ENTRY]
        >>> asyncio.run(main())
        ['a', True]
    """

    __slots__ = (
        "_aborted",
        "_awake",
        "_bound",
        "_entries",
        "_limit",
        "_nap",
        "_nappers",
        "_producers",
        "_putters",
        "_resume_at",
        "_takers",
        "_waits",
        "maxsize",
    )

    def __init__(self, maxsize: int = 0, producers: int = 1) -> None:
        self.maxsize = maxsize
        self._bound = maxsize or SOFT_BOUND
        self._resume_at = self._bound - 1 if self._bound < HYSTERESIS_FROM else self._bound // 2
        self._producers = producers
        self._aborted = False
        self._entries: deque[Entry] = deque()
        self._takers: deque[asyncio.Future[Entry]] = deque()  # when there are any, nothing is in the queue
        self._putters: deque[tuple[asyncio.Future[Entry], Entry]] = deque()
        self._limit = self._bound  # entries at which put_nowait stops to think: the bound, or the end of a nap
        self._nappers: deque[asyncio.Future[Entry]] = deque()
        self._nap: asyncio.TimerHandle | None = None
        self._awake = FIRST_NAP  # waits from one nap to the next
        self._waits = 0  # since the last nap

    def __len__(self) -> int:
        return len(self._entries)

    def backlog(self) -> int:
        """Entries that wait to be taken."""
        return len(self._entries)

    def room(self) -> int:
        """Entries that can be put now without waiting."""
        return 0 if self._putters else self._bound - len(self._entries)

    def take_nowait(self) -> Entry:
        """The next entry, `EMPTY_ENTRY`, or `CLOSED_ENTRY` when no more can come.

        Raises:
            RunAborted: The run ends early.
        """
        entries = self._entries
        if entries:
            entry = entries.popleft()
            if self._putters and len(entries) <= self._resume_at:
                self._admit()
            return entry
        if self._aborted:
            raise RunAborted
        return EMPTY_ENTRY if self._producers > 0 else CLOSED_ENTRY

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
            elif waiter in self._takers:
                self._takers.remove(waiter)
            elif waiter in self._nappers:
                self._nappers.remove(waiter)
            raise
        if entry is ABORTED_ENTRY:
            raise RunAborted
        return entry

    def put_nowait(self, entry: Entry) -> bool:
        """Put an entry if there is room and nobody waits for it; False otherwise.

        Raises:
            RunAborted: The run ends early.
        """
        takers = self._takers
        while takers:
            waiter = takers.popleft()
            if not waiter.done():
                waiter.set_result(entry)
                return True
        entries = self._entries
        if len(entries) < self._limit and not self._putters:
            entries.append(entry)
            return True
        if self._aborted:
            raise RunAborted
        if self._nap is not None:
            self._end_nap()
            return self.put_nowait(entry)
        return False

    async def put(self, entry: Entry) -> None:
        """Put an entry, waiting for room.

        Raises:
            RunAborted: The run ends early.
        """
        if not self.put_nowait(entry):
            await self._line_up(entry)

    def put_some(self, entries: list[Entry]) -> int:
        """Put the first of these entries, as many as there is room for now, and return how many that was.

        Raises:
            RunAborted: The run ends early.
        """
        handed = 0
        while self._takers and handed < len(entries):
            self.put_nowait(entries[handed])
            handed += 1
        if self._aborted:
            raise RunAborted
        room = self.room()
        rest = entries[handed : handed + room] if handed or len(entries) > room else entries
        self._entries.extend(rest)
        if self._nap is not None and len(self._entries) >= self._limit:
            self._end_nap()
        return handed + len(rest)

    async def wait_room(self) -> None:
        """Wait until there is room. Another producer may be faster to use it.

        Raises:
            RunAborted: The run ends early.
        """
        if self._aborted:
            raise RunAborted
        if not self.room():
            await self._line_up(ROOM_ENTRY)

    def close(self) -> None:
        """One producer will put no more; after the last one, takers get what is left and then `CLOSED_ENTRY`."""
        self._producers -= 1
        if self._producers <= 0:
            if self._nap is not None:
                self._end_nap()
            while self._takers:
                self._resolve(self._takers.popleft(), CLOSED_ENTRY)

    def abort(self) -> None:
        """Drop everything; whoever takes or puts gets `RunAborted`. Idempotent."""
        self._aborted = True
        self._bound = self._limit = 0
        self._entries.clear()
        if self._nap is not None:
            self._end_nap()
        while self._takers:
            self._resolve(self._takers.popleft(), ABORTED_ENTRY)
        while self._putters:
            self._resolve(self._putters.popleft()[0], ABORTED_ENTRY)

    def _line_of_takers(self, loop: asyncio.AbstractEventLoop) -> deque[asyncio.Future[Entry]]:
        """Where the next taker waits: to be woken at once, or at the end of a nap."""
        if self._nap is not None:
            return self._nappers
        if self._takers or self._bound < HYSTERESIS_FROM:
            return self._takers
        self._waits += 1
        if self._waits <= self._awake:
            return self._takers
        self._waits = 0
        self._limit = self._bound // 2
        self._nap = loop.call_later(NAP_S, self._end_nap)
        return self._nappers

    def _end_nap(self) -> None:
        if self._nap is not None:
            self._nap.cancel()
            self._nap = None
        self._limit = self._bound
        entries, nappers = self._entries, self._nappers
        if len(entries) >= NAP_WORTH:
            self._awake = 0
        else:
            self._awake = min(max(self._awake * 2, 2 * FIRST_NAP), LONGEST_AWAKE)
        while nappers and entries:
            waiter = nappers.popleft()
            if not waiter.done():
                waiter.set_result(entries.popleft())
        self._takers.extend(nappers)
        nappers.clear()
        if self._putters and len(entries) <= self._resume_at:
            self._admit()

    async def _line_up(self, entry: Entry) -> None:
        waiter: asyncio.Future[Entry] = asyncio.get_running_loop().create_future()
        place = (waiter, entry)
        self._putters.append(place)
        try:
            answer = await waiter
        except BaseException:
            if place in self._putters:
                self._putters.remove(place)
            if not self._aborted:
                self._admit()  # its place in line may have been all that kept the next ones waiting
            raise
        if answer is ABORTED_ENTRY:
            raise RunAborted

    def _admit(self) -> None:
        """Move entries of waiting putters in, as far as there is room."""
        entries, putters = self._entries, self._putters
        while putters and len(entries) < self._bound:
            waiter, entry = putters.popleft()
            if waiter.done():
                continue
            if entry is not ROOM_ENTRY:
                entries.append(entry)
            waiter.set_result(entry)

    def _give_back(self, entry: Entry) -> None:
        """Return what was handed to a taker that was cancelled before it could run."""
        if self._aborted or entry is CLOSED_ENTRY or entry is ABORTED_ENTRY:
            return
        while self._takers:
            waiter = self._takers.popleft()
            if not waiter.done():
                waiter.set_result(entry)
                return
        self._entries.appendleft(entry)

    @staticmethod
    def _resolve(waiter: asyncio.Future[Entry], entry: Entry) -> None:
        # A loop that was closed under its waiters can call nobody back, and nobody of it is left to tell.
        if not waiter.done() and not waiter.get_loop().is_closed():
            waiter.set_result(entry)


class _Bell:
    """One loop's reader on one descriptor, for every port that is rung through it.

    Two stages that put into one ring may share a bell, and a loop keeps a single reader for a descriptor.
    """

    _of_loop: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, dict[int, _Bell]] = weakref.WeakKeyDictionary()

    def __init__(self, loop: asyncio.AbstractEventLoop, fd: int) -> None:
        self._loop = weakref.ref(loop)  # the dictionary above must not keep its own key alive
        self._fd = fd
        self._listeners: list[Callable[[], None]] = []

    @classmethod
    def listen(cls, loop: asyncio.AbstractEventLoop, fd: int, heard: Callable[[], None]) -> _Bell:
        bells = cls._of_loop.setdefault(loop, {})
        bell = bells.get(fd)
        if bell is None:
            bell = bells[fd] = cls(loop, fd)
            os.set_blocking(fd, False)
            loop.add_reader(fd, bell._ring)
        bell._listeners.append(heard)
        return bell

    def leave(self, heard: Callable[[], None]) -> None:
        self._listeners.remove(heard)
        loop = self._loop()
        if self._listeners or loop is None:
            return
        del self._of_loop[loop][self._fd]
        if not loop.is_closed():
            loop.remove_reader(self._fd)

    def _ring(self) -> None:
        try:
            os.read(self._fd, 4096)  # silence it, or the loop would come here again and again
        except BlockingIOError:
            pass
        for heard in tuple(self._listeners):
            heard()


class AsyncInPort:
    """The taking end of a ring, for all worker coroutines of a stage.

    Args:
        port: The ring's port. From now on it belongs to the thread of the event loop.
    """

    def __init__(self, port: InPort) -> None:
        self._port = port
        self._takers: deque[asyncio.Future[Entry]] = deque()
        self._given_back: deque[Entry] = deque()
        self._bell: _Bell | None = None
        self._flows = False
        self._aborted = False

    def backlog(self) -> int:
        """How many entries may wait: a ring is not asked, a stream that has not paused is taken for endless."""
        return SOFT_BOUND if self._flows else 0

    def take_nowait(self) -> Entry:
        """The next entry, `EMPTY_ENTRY`, or `CLOSED_ENTRY`. Raises RunAborted, or what decoding raises."""
        if self._aborted:
            raise RunAborted
        if self._given_back:
            return self._given_back.popleft()
        port = self._port
        value = port.take_nowait()
        if value is EMPTY:
            self._flows = False
            return EMPTY_ENTRY
        if value is CLOSED:
            self._hush()
            return CLOSED_ENTRY
        self._flows = True
        if value is END:
            return (None, port.index, port.lane, port.count)
        return (value, port.index, port.lane, ELEMENT)

    async def take(self) -> Entry:
        """The next entry, once there is one, or `CLOSED_ENTRY`. Raises RunAborted, or what decoding raises."""
        if not self._takers:  # else: somebody waits already, and what comes now is theirs
            entry = self.take_nowait()
            if entry is not EMPTY_ENTRY:
                return entry
        loop = asyncio.get_running_loop()
        waiter: asyncio.Future[Entry] = loop.create_future()
        self._takers.append(waiter)
        try:
            if self._bell is None:
                self._bell = _Bell.listen(loop, self._port.fileno(), self._serve)
            if len(self._takers) == 1 and self._port.arm():
                self._serve()
            entry = await waiter
        except BaseException as error:
            if isinstance(error, GeneratorExit):
                self._hush()  # the loop is gone, or it dropped its tasks: nobody will close this end
            if waiter.done() and not waiter.cancelled():
                if waiter.exception() is None:
                    self._give_back(waiter.result())
            elif waiter in self._takers:
                self._takers.remove(waiter)
            raise
        if entry is ABORTED_ENTRY:
            raise RunAborted
        return entry

    def abort(self) -> None:
        """Whoever takes gets `RunAborted`; the loop no longer listens. Idempotent. Ends nothing in the ring."""
        self._aborted = True
        self._given_back.clear()
        while self._takers:
            LoopQueue._resolve(self._takers.popleft(), ABORTED_ENTRY)
        self._hush()

    def _serve(self) -> None:
        """Give the waiting takers what the ring has, and ask for the bell when it has no more."""
        takers = self._takers
        while takers:
            if takers[0].done():
                takers.popleft()
                continue
            try:
                entry = self.take_nowait()
            except RunAborted:
                self.abort()
                return
            except BaseException as error:
                takers.popleft().set_exception(error)
                continue
            if entry is not EMPTY_ENTRY:
                takers.popleft().set_result(entry)
            elif not self._port.arm():
                return

    def _give_back(self, entry: Entry) -> None:
        if entry is CLOSED_ENTRY or entry is ABORTED_ENTRY or self._aborted:
            return
        while self._takers:
            waiter = self._takers.popleft()
            if not waiter.done():
                waiter.set_result(entry)
                return
        self._given_back.appendleft(entry)

    def _hush(self) -> None:
        if self._bell is not None:
            self._bell.leave(self._serve)
            self._bell = None


class AsyncOutPort:
    """The putting end of a ring, for all worker coroutines of a stage.

    Args:
        port: The ring's port. From now on it belongs to the thread of the event loop.
        maxsize: The bound of the ring's edge in elements, 0 for none.
    """

    def __init__(self, port: OutPort, maxsize: int = 0) -> None:
        self._port = port
        self._room = 1 if maxsize else SOFT_BOUND // 2
        self._putters: deque[tuple[asyncio.Future[Entry], Entry]] = deque()
        self._bell: _Bell | None = None
        self._aborted = False

    def room(self) -> int:
        """What a source may take ahead: a ring is not asked for its room, so next to nothing if it has a maxsize."""
        return 0 if self._putters else self._room

    def put_nowait(self, entry: Entry) -> bool:
        """Put an entry if there is room and nobody waits for it. Raises RunAborted, or what encoding raises."""
        if self._putters:
            return False
        return self._push(entry)

    async def put(self, entry: Entry) -> None:
        """Put an entry, waiting for room. Raises RunAborted, or what encoding raises."""
        if self._putters or not self._push(entry):
            await self._line_up(entry)

    def put_some(self, entries: list[Entry]) -> int:
        """Put the first of these entries, as many as there is room for now, and return how many that was."""
        for number, entry in enumerate(entries):
            if not self.put_nowait(entry):
                return number
        return len(entries)

    async def wait_room(self) -> None:
        """Wait until those who wait have put. Raises RunAborted."""
        if self._putters:
            await self._line_up(ROOM_ENTRY)

    def close(self) -> None:
        """This stage will put no more."""
        self._hush()
        self._port.close()

    def abort(self) -> None:
        """Whoever puts gets `RunAborted`; the loop no longer listens. Idempotent. Ends nothing in the ring."""
        self._aborted = True
        while self._putters:
            LoopQueue._resolve(self._putters.popleft()[0], ABORTED_ENTRY)
        self._hush()

    def _push(self, entry: Entry) -> bool:
        if self._aborted:
            raise RunAborted
        value, index, lane, count = entry
        if count == ELEMENT:
            return self._port.put_nowait(value, index, lane)
        if entry is ROOM_ENTRY:
            return True
        return self._port.put_end_nowait(index, lane, count)

    async def _line_up(self, entry: Entry) -> None:
        loop = asyncio.get_running_loop()
        waiter: asyncio.Future[Entry] = loop.create_future()
        place = (waiter, entry)
        self._putters.append(place)
        try:
            if self._bell is None:
                self._bell = _Bell.listen(loop, self._port.fileno(), self._serve)
            if len(self._putters) == 1 and self._port.arm():
                self._serve()
            answer = await waiter
        except BaseException as error:
            if isinstance(error, GeneratorExit):
                self._hush()  # as in AsyncInPort.take
            if place in self._putters:
                self._putters.remove(place)
            raise
        if answer is ABORTED_ENTRY:
            raise RunAborted

    def _serve(self) -> None:
        """Put what the waiting putters have, and ask for the bell when there is no more room."""
        putters = self._putters
        while putters:
            waiter, entry = putters[0]
            if waiter.done():
                putters.popleft()
                continue
            try:
                done = self._push(entry)
            except RunAborted:
                self.abort()
                return
            except BaseException as error:
                putters.popleft()
                waiter.set_exception(error)
                continue
            if done:
                putters.popleft()
                waiter.set_result(entry)
            elif not self._port.arm():
                return

    def _hush(self) -> None:
        if self._bell is not None:
            self._bell.leave(self._serve)
            self._bell = None
