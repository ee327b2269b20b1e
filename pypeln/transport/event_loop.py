"""The ends of queues for coroutines, whatever is at the other end.

`LoopQueue` has coroutines of the same loop at both ends. `AsyncInPort` and `AsyncOutPort` are one end of a
ring that has a thread or a process at the other. All worker coroutines of a stage share the one port: they
wait in line here, and the ring's bell wakes the loop when there is something for the first of them.

Failure modes: as in `loop_queue`; and a loop that is closed or dropped closes its coroutines, whose way out
takes the bell's reader out of the loop.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
import weakref
from collections import deque
from collections.abc import Callable
from typing import Any, Protocol

from pypeln._core.entries import CLOSED_ENTRY, ELEMENT, EMPTY_ENTRY
from pypeln._core.loop_ports import PortInlet, PortOutlet
from pypeln._core.queue import InPort, OutPort
from pypeln.errors import RunAborted
from pypeln.transport.loop_queue import ABORTED_ENTRY, ROOM_ENTRY, SOFT_BOUND, Entry, LoopQueue, resolve

__all__ = [
    "CLOSED_ENTRY",
    "ELEMENT",
    "EMPTY_ENTRY",
    "AsyncInPort",
    "AsyncOutPort",
    "BellReader",
    "Entry",
    "Inlet",
    "LoopQueue",
    "Outlet",
    "listen",
]


class Inlet(Protocol):
    """The side of a queue that worker coroutines take from."""

    def take_nowait(self) -> Entry: ...
    async def take(self) -> Entry: ...
    def backlog(self) -> int: ...
    def abort(self) -> None: ...


class Outlet(Protocol):
    """The side of a queue that worker coroutines put into."""

    def put_nowait(self, entry: Entry) -> bool: ...
    async def put(self, entry: Entry) -> None: ...
    def put_values(self, values: list[Any], start: int, position: int, lane: int) -> int: ...
    def room(self) -> int: ...
    async def wait_room(self) -> None: ...
    def close(self) -> None: ...
    def abort(self) -> None: ...


class BellReader:
    """One loop's reader on one descriptor, for everybody who is rung through it.

    Two stages that put into one ring share a bell, and a loop keeps a single reader for a descriptor. Made by
    `listen`.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, fd: int) -> None:
        self._loop = weakref.ref(loop)  # `_readers` must not keep its own keys alive
        self._fd = fd
        self._listeners: list[Callable[[], None]] = []
        if sys.platform == "win32":
            raise AssertionError("refused before")
        os.set_blocking(fd, False)
        loop.add_reader(fd, self._ring)

    def add(self, heard: Callable[[], None]) -> None:
        self._listeners.append(heard)

    def leave(self, heard: Callable[[], None]) -> None:
        self._listeners.remove(heard)
        loop = self._loop()
        if self._listeners or loop is None:
            return
        del _readers[loop][self._fd]
        if not loop.is_closed():
            loop.remove_reader(self._fd)

    def _ring(self) -> None:
        with contextlib.suppress(BlockingIOError):
            os.read(self._fd, 4096)  # silence it, or the loop would come here again and again
        for heard in tuple(self._listeners):
            heard()


_Readers = weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, dict[int, BellReader]]
_readers: _Readers = weakref.WeakKeyDictionary()


def listen(loop: asyncio.AbstractEventLoop, fd: int, heard: Callable[[], None]) -> BellReader:
    """Have a function called in the loop whenever a bell rings. Any number may listen to one bell.

    Args:
        loop: The running loop.
        fd: The bell's descriptor; it is made non-blocking.
        heard: Called without arguments; perhaps for nothing.

    Returns:
        What to call `leave(heard)` on, to listen no more.
    """
    readers = _readers.setdefault(loop, {})
    reader = readers.get(fd)
    if reader is None:
        reader = readers[fd] = BellReader(loop, fd)
    reader.add(heard)
    return reader


class AsyncInPort(PortInlet):
    """The taking end of a ring, for all worker coroutines of a stage.

    Args:
        port: The ring's port. From now on it belongs to the thread of the event loop.
    """

    def __init__(self, port: InPort) -> None:
        super().__init__(port)
        self._takers: deque[asyncio.Future[Entry]] = deque()
        self._bell: BellReader | None = None

    def backlog(self) -> int:
        """How many entries may wait: a ring is not asked, a stream that has not paused counts as endless."""
        return SOFT_BOUND if self.flows else 0

    async def take(self) -> Entry:
        """`take_nowait`, once there is something."""
        if not self._takers:  # else: somebody waits already, and what comes now is theirs
            entry = self.take_nowait()
            if entry is not EMPTY_ENTRY:
                return entry
        loop = asyncio.get_running_loop()
        waiter: asyncio.Future[Entry] = loop.create_future()
        self._takers.append(waiter)
        try:
            if self._bell is None:
                self._bell = listen(loop, self.port.fileno(), self._serve)
            if len(self._takers) == 1 and self.port.arm():
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
        """Whoever takes gets `RunAborted`; the loop no longer listens. Idempotent. The ring goes on."""
        self.aborted = True
        self.given_back.clear()
        while self._takers:
            resolve(self._takers.popleft(), ABORTED_ENTRY)
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
            if entry is EMPTY_ENTRY:
                if not self.port.arm():
                    return
            elif entry is not CLOSED_ENTRY:  # of which `_found_end` has told them all
                takers.popleft().set_result(entry)

    def _give_back(self, entry: Entry) -> None:
        if entry is CLOSED_ENTRY or entry is ABORTED_ENTRY or self.aborted:
            return
        while self._takers:
            waiter = self._takers.popleft()
            if not waiter.done():
                waiter.set_result(entry)
                return
        self.given_back.appendleft(entry)

    def _found_end(self) -> None:
        """There are no more entries, and all have closed."""
        self._hush()
        # Who finds it need not be who waits: without the bell nobody else would tell them.
        while self._takers:
            resolve(self._takers.popleft(), CLOSED_ENTRY)

    def _hush(self) -> None:
        if self._bell is not None:
            self._bell.leave(self._serve)
            self._bell = None


class AsyncOutPort(PortOutlet):
    """The putting end of a ring, for all worker coroutines of a stage.

    Args:
        port: The ring's port. From now on it belongs to the thread of the event loop.
        maxsize: The bound of the edge. With 0 a source may take many elements ahead; with any other, or None
            (not known), one.
        unsendable: Makes the error to raise, from the one that putting an element raised and its index. None
            raises that one.
    """

    def __init__(
        self,
        port: OutPort,
        maxsize: int | None = None,
        unsendable: Callable[[Exception, tuple[int, ...]], Exception] | None = None,
    ) -> None:
        super().__init__(port, unsendable)
        self._room = SOFT_BOUND // 2 if maxsize == 0 else 1
        self._bell: BellReader | None = None

    def room(self) -> int:
        """What a source may take ahead: a ring is not asked for its room."""
        return 0 if self.putters else self._room

    def put_nowait(self, entry: Entry) -> bool:
        """Put an entry if there is room that nobody waits for. Raises RunAborted, or what encoding raises."""
        if self.putters:
            return False
        return self._push(entry)

    async def put(self, entry: Entry) -> None:
        """Put an entry, waiting for room. Raises RunAborted, or what encoding raises."""
        if self.putters or not self._push(entry):
            await self._line_up(entry)

    async def wait_room(self) -> None:
        """Wait until those who wait have put. Raises RunAborted."""
        if self.putters:
            await self._line_up(ROOM_ENTRY)

    def close(self) -> None:
        """This stage will put no more."""
        self._hush()
        self.port.close()

    def abort(self) -> None:
        """Whoever puts gets `RunAborted`; the loop no longer listens. Idempotent. The ring goes on."""
        self.aborted = True
        while self.putters:
            resolve(self.putters.popleft()[0], ABORTED_ENTRY)
        self._hush()

    def _push(self, entry: Entry) -> bool:
        if entry is ROOM_ENTRY and not self.aborted:
            return True
        return self.send_entry(entry)

    async def _line_up(self, entry: Entry) -> None:
        loop = asyncio.get_running_loop()
        waiter: asyncio.Future[Entry] = loop.create_future()
        place = (waiter, entry)
        self.putters.append(place)
        try:
            if self._bell is None:
                self._bell = listen(loop, self.port.fileno(), self._serve)
            if len(self.putters) == 1 and self.port.arm():
                self._serve()
            answer = await waiter
        except BaseException as error:
            if isinstance(error, GeneratorExit):
                self._hush()  # as in AsyncInPort.take
            if place in self.putters:
                self.putters.remove(place)
            raise
        if answer is ABORTED_ENTRY:
            raise RunAborted

    def _serve(self) -> None:
        """Put what the waiting putters have, and ask for the bell when there is no more room."""
        putters = self.putters
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
            elif not self.port.arm():
                return

    def _hush(self) -> None:
        if self._bell is not None:
            self._bell.leave(self._serve)
            self._bell = None
