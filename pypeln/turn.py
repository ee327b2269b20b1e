"""A lock for threads and asyncio tasks alike."""

from __future__ import annotations

import sys
import threading
from collections import deque
from collections.abc import Callable
from typing import Any, TypeAlias

Caller: TypeAlias = "tuple[int, object]"  # a thread, and its task if it is one


class Turn:
    """A lock that its owner may take again. Who has waited longest is next."""

    __slots__ = ("_depth", "_mutex", "_owner", "_waiting")

    def __init__(self) -> None:
        self._mutex = threading.Lock()
        self._owner: Caller | None = None
        self._depth = 0
        self._waiting: deque[tuple[Caller, Callable[[], Any]]] = deque()

    def depth(self) -> int:
        """How often the caller has taken it; 0 when somebody else has, or nobody."""
        return self._depth if self._owner == _caller() else 0

    def acquire(self) -> None:
        """Waits for it.

        Raises:
            RuntimeError: A task of the same thread has it, which could never go on.
        """
        me = _caller()
        arrived = threading.Lock()
        arrived.acquire()
        with self._mutex:
            if self._taken_by(me):
                return
            assert self._owner is not None
            if self._owner[0] == me[0]:
                raise RuntimeError(
                    "another task of this thread has locked the Namespace, and cannot go on while this one "
                    "blocks the thread; use `async with namespace`"
                )
            entry = (me, arrived.release)
            self._waiting.append(entry)
        try:
            arrived.acquire()
        except BaseException:
            self._leave(entry)
            raise

    async def acquire_async(self) -> None:
        """Waits for it, while other tasks run."""
        import asyncio

        me = _caller()
        loop = asyncio.get_running_loop()
        arrived = loop.create_future()

        def tell() -> None:
            if not arrived.done():
                arrived.set_result(None)

        with self._mutex:
            if self._taken_by(me):
                return
            entry = (me, lambda: loop.call_soon_threadsafe(tell))
            self._waiting.append(entry)
        try:
            await arrived
        except BaseException:
            self._leave(entry)
            raise

    def release(self) -> None:
        """Gives it up, to who has waited longest.

        Raises:
            RuntimeError: The caller does not have it.
        """
        with self._mutex:
            if self._owner != _caller():
                raise RuntimeError("the Namespace is not locked by this thread or task")
            self._depth -= 1
            if self._depth == 0:
                self._hand_on()

    def _taken_by(self, me: Caller) -> bool:
        if self._owner is None:
            self._owner = me
        elif self._owner != me:
            return False
        self._depth += 1
        return True

    def _hand_on(self) -> None:
        self._owner = None
        while self._waiting and self._owner is None:
            waiter, tell = self._waiting.popleft()
            self._owner, self._depth = waiter, 1
            try:
                tell()
            except RuntimeError:  # its loop was closed while it waited
                self._owner, self._depth = None, 0

    def _leave(self, entry: tuple[Caller, Callable[[], Any]]) -> None:
        """Stops waiting. It may have become the owner just before."""
        with self._mutex:
            if entry in self._waiting:
                self._waiting.remove(entry)
            else:
                self._depth = 0
                self._hand_on()


def _caller() -> Caller:
    """Who is running: its thread, and its task if it is one."""
    task = None
    asyncio = sys.modules.get("asyncio")  # unless somebody has imported it, there are no tasks
    if asyncio is not None:
        try:
            task = asyncio.current_task()
        except (RuntimeError, AttributeError):  # no loop runs here, or asyncio is just being imported
            task = None
    return threading.get_ident(), task
