"""`pr.IterableQueue`: between processes.

Failure modes. Put by a process that is killed in the middle of a put: the element is lost, all others arrive;
the queue notices when it next waits. A process that is killed without closing leaves the queue open, as it
must: another may still put.
"""

from __future__ import annotations

import os
import threading
from typing import Any, TypeVar

from pypeln._core.arena import Arenas
from pypeln._core.memory import Roster, Segment
from pypeln._core.system import process_born
from pypeln.platforms import refuse_on_windows
from pypeln.transport.in_process import MOST_SLOTS
from pypeln.transport.iterable_queue import IterableQueue
from pypeln.transport.shared_memory import Layout, SharedQueue

T = TypeVar("T")

# Places with maxsize=0: fewer than between threads, because this is memory, whose pages are reserved.
UNBOUNDED_SHARED = 1 << 17

# How many processes may use one queue at the same time.
MOST_PROCESSES = 1024


class ProcessQueue(IterableQueue[T, SharedQueue]):
    """A queue between processes that pipelines can have as a source: put from any process, close, iterate.

    Pass it to a child process as an argument when the child is made, as with `multiprocessing.Queue`; inside
    an element it cannot travel.

    Arguments:
        maxsize: Elements it may hold, exactly, at most 1,048,576; 0 for no bound of yours (it then holds
            131,072, of small ones several times as many, and no more than its byte budget).
        total_sources: How many will close it.

    Example:
        >>> from pypeln import pr
        >>> queue = pr.IterableQueue()
        >>> for n in range(3):
        ...     queue.put(n)
        >>> queue.close()
        >>> sorted(pr.map(abs, queue))
        [0, 1, 2]
    """

    most_elements = MOST_SLOTS

    def __init__(self, maxsize: int = 0, total_sources: int = 1) -> None:
        super().__init__(maxsize, total_sources)
        refuse_on_windows("a queue between processes")
        layout = Layout()
        self._roster_at = layout.add(Roster.nbytes(MOST_PROCESSES))
        self._closers_at = layout.add(Roster.nbytes(total_sources))
        self._queue = SharedQueue(layout, maxsize, total_sources, Arenas(), slots=UNBOUNDED_SHARED)
        self._control = Segment(layout.nbytes)
        self._control.reserve(0, layout.nbytes)
        self._queue.create(self._control)
        self._open_rosters()

    def __getstate__(self) -> dict[str, Any]:
        from multiprocessing.context import assert_spawning

        assert_spawning(self)
        state = self.__dict__.copy()
        for private in ("_roster", "_closers", "_place", "_pid", "_lock"):
            del state[private]
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._open_rosters()

    def close(self) -> None:
        """One source is done. See the class for what follows."""
        place = self._closers.join(1)
        if place >= 0:
            self._queue.ring.close_for(place)

    def _open_rosters(self) -> None:
        self._roster = Roster(MOST_PROCESSES, self._control, self._roster_at.offset)
        self._closers = Roster(self.total_sources, self._control, self._closers_at.offset)
        self._lock = threading.Lock()
        self._place = -1
        self._pid = 0

    def _owner(self) -> int:
        """This process's number in the ring."""
        with self._lock:
            if self._pid != os.getpid():
                self._place = self._roster.join(_identity(os.getpid()))
                self._pid = os.getpid()
            if self._place < 0:
                raise RuntimeError(f"more than {MOST_PROCESSES} processes use this queue")
            return self._place + 1

    def _look_around(self) -> None:
        for place, word in self._roster.present():
            if _identity(word & PID_MASK) != word:
                self._queue.ring.mend(None, 0, place + 1)
                self._roster.leave(place, word)


PID_MASK = (1 << 22) - 1


def _identity(pid: int) -> int:
    """A word for a living process: its pid and when it started, because pids are reused; 0 for a dead one."""
    born = process_born(pid)
    return (born << 22 | pid & PID_MASK) & ((1 << 64) - 1) if born else 0
