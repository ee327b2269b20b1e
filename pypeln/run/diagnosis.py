"""What PYPELN_DEBUG asks for: a report on stderr when no element has moved for some time, or on a signal.

One thread for all runs of a process that are watched. It takes no lock that a worker could hold: it reads
counters, and the stacks of whoever runs. A process or thread that never gets to run Python again cannot stop
it, but for a thread that keeps the GIL of this process: then `faulthandler` writes the stacks from a thread
that needs no GIL, without the rest of the report.

Nothing here is imported, started or registered where the variable is not set.
"""

from __future__ import annotations

import faulthandler
import os
import select
import signal
import sys
import threading
import time
import traceback
from types import FrameType
from typing import TYPE_CHECKING, NamedTuple

from pypeln.run.gil_switch import GilSwitch
from pypeln.run.private_fds import close_private, own_privately

if TYPE_CHECKING:
    from pypeln.run.run import Run

# How often the counters are read: often enough for the time in a report to be true to a tenth.
CLOSEST_LOOK_S = 0.05
FARTHEST_LOOK_S = 0.5

# How long after the time of its own report the watching thread is taken to be kept from the GIL. It may be
# busy with a report: processes have two seconds to answer.
GIL_GRACE_S = 3.0

# A report whose reader does not read must not hold up the end of the run for longer than this.
LEAVE_S = 2.0


class Settings(NamedTuple):
    """What PYPELN_DEBUG says.

    Attributes:
        stall_s: Report after so many seconds in which nothing moved; None: never.
        signum: Report on this signal; None: on none.
    """

    stall_s: float | None
    signum: signal.Signals | None


def read_settings(text: str) -> Settings | None:
    """PYPELN_DEBUG as a user wrote it; None when it asks for nothing.

    Raises:
        ValueError: It is something else.
    """
    stall_s: float | None = None
    signum: signal.Signals | None = None
    for part in filter(None, (part.strip() for part in text.split(","))):
        if (
            part.startswith("SIG")
            and part in signal.Signals.__members__
            and hasattr(faulthandler, "register")
        ):
            signum = signal.Signals[part]
            continue
        try:
            stall_s = float(part)
        except ValueError:
            stall_s = -1.0
        if not 0 <= stall_s < 1e9:
            raise ValueError(
                f"PYPELN_DEBUG is {text!r}; it is a number of seconds without progress after which a report "
                "is written, the name of a signal that asks for one, or both: 10, SIGUSR1 or 10,SIGUSR1"
            )
    if not stall_s and signum is None:
        return None
    return Settings(stall_s or None, signum)


class WatchedRun:
    """A run that is watched, and what its figures have told so far.

    Attributes:
        consumer: The frame that delivers its elements, while the consumer is no coroutine.
        dumps: For each place in the ledger, the file that its process writes its stacks to.
        moved_at: When an element was last seen to move, on the monotonic clock.
        changed_at: For each place in the ledger, when its counters last changed.
        asked_at: When the consumer was last seen to ask for an element, or an element to move.
    """

    def __init__(self, run: Run, settings: Settings) -> None:
        self.run = run
        self.settings = settings
        self.consumer: FrameType | None = None
        self.dumps: dict[int, int] = {}
        self.moved_at = self.asked_at = time.monotonic()
        self.changed_at = [self.moved_at] * run.wiring.workers
        self._counts: list[tuple[int, ...]] = [()] * run.wiring.workers
        self._depths: list[int] = []
        self._report_after_s = settings.stall_s
        self._reported = False

    def open_dump(self, number: int) -> int:
        """A descriptor for the stacks of the process in this place. Closed with the run."""
        if not hasattr(faulthandler, "register"):
            return -1
        if number not in self.dumps:
            from pypeln.run.process_stacks import open_dump

            self.dumps[number] = open_dump()
        return self.dumps[number]

    def start(self) -> None:
        """Watch from now on.

        After processes are forked, because this may start a thread; before threads are started, because f may
        never give the GIL back.
        """
        self.moved_at = self.asked_at = time.monotonic()
        _watch(self)

    def close(self) -> None:
        """Watch no longer. Idempotent."""
        _forget(self)
        self.consumer = None
        while self.dumps:
            os.close(self.dumps.popitem()[1])

    def look(self, now: float) -> str | None:
        """Compare the figures with those before; the reason for a report, if there is one."""
        from pypeln.run.report import counts_of, is_asking, meter_of

        moved = False
        for number, counts in enumerate(counts_of(self.run)):
            if counts != self._counts[number]:
                self._counts[number] = counts
                self.changed_at[number] = now
                moved = True
        depths = [meter_of(queue).count for queue in self.run.wiring.queues]
        if moved or depths != self._depths:
            self._depths = depths
            still_s, self.moved_at = now - self.moved_at, now
            self.asked_at = now
            self._report_after_s = self.settings.stall_s
            if self._reported:
                self._reported = False
                return f"goes on after {still_s:.1f} s"
            return None
        if is_asking(self):
            self.asked_at = now
        if self._report_after_s is None or now - self.moved_at < self._report_after_s:
            return None
        self._report_after_s *= 2  # a pipeline that waits for work all night fills no disk
        self._reported = True
        return f"no element has moved for {now - self.moved_at:.1f} s"


class Watcher:
    """The thread that looks, and the signal that calls it.

    Args:
        settings: Those of the first run that is watched.
    """

    def __init__(self, settings: Settings) -> None:
        self.runs: list[WatchedRun] = []
        self._settings = settings
        self._over = False
        self._listen_fd, self._ring_fd = (own_privately(fd) for fd in os.pipe())
        self._handler_before: object = None
        self._thread = threading.Thread(target=self._watch, name="pypeln diagnosis", daemon=True)
        self._switch: GilSwitch | None = None
        if sys.platform == "win32":
            raise AssertionError("refused before")
        os.set_blocking(self._listen_fd, False)
        os.set_blocking(self._ring_fd, False)
        if settings.stall_s is not None:
            self._switch = GilSwitch(settings.stall_s + GIL_GRACE_S, stderr_fd())
            self._switch.postpone()
        self._register()
        self._thread.start()

    def close(self) -> None:
        """End the thread, and leave the signal as it was."""
        self._over = True
        self._unregister()
        os.write(self._ring_fd, b"\n")
        if threading.current_thread() is self._thread:
            return
        self._thread.join(LEAVE_S)
        if not self._thread.is_alive():
            close_private(self._listen_fd)
            close_private(self._ring_fd)

    def abandon(self) -> None:
        """In a forked copy: there is no thread, the descriptors are closed, and the signal calls nobody."""
        if sys.platform == "win32":
            raise AssertionError("refused before")
        if self._settings.signum is not None:
            faulthandler.unregister(self._settings.signum)

    def _register(self) -> None:
        """Have the signal write into our pipe: in C, also while the main thread is stuck."""
        if sys.platform == "win32":
            raise AssertionError("refused before")
        signum = self._settings.signum
        if signum is not None:
            self._handler_before = signal.getsignal(signum)
            chain = callable(self._handler_before)
            faulthandler.register(signum, self._ring_fd, all_threads=False, chain=chain)

    def _unregister(self) -> None:
        if sys.platform == "win32":
            raise AssertionError("refused before")
        signum = self._settings.signum
        if signum is None:
            return
        handler = signal.getsignal(signum)
        faulthandler.unregister(signum)
        if handler is not self._handler_before and threading.current_thread() is threading.main_thread():
            signal.signal(signum, handler)  # set during the run, over ours

    def _watch(self) -> None:
        if sys.platform == "win32":
            raise AssertionError("refused before")
        stall_s = self._settings.stall_s
        look_s = None if stall_s is None else min(max(stall_s / 10, CLOSEST_LOOK_S), FARTHEST_LOOK_S)
        poll = select.poll()
        poll.register(self._listen_fd, select.POLLIN)
        try:
            while not self._over:
                called = False
                for _ in poll.poll(None if look_s is None else look_s * 1000):
                    called = os.read(self._listen_fd, 65536) != b"\n"
                for watched in list(self.runs):
                    if self._switch is not None:
                        self._switch.postpone()
                    if not self._over:
                        self._look(watched, called)
        finally:
            if self._switch is not None:
                self._switch.release()

    def _look(self, watched: WatchedRun, called: bool) -> None:
        from pypeln.run.report import report

        try:
            why = watched.look(time.monotonic())
            if called:
                assert self._settings.signum is not None
                why = f"{self._settings.signum.name} asks for a report"
            if why is not None:
                write(f"pypeln: {why}\n" if why.startswith("goes on") else report(watched, why))
        except Exception:  # the run ended meanwhile, or this is a bug of ours: the run is not to suffer
            if watched in self.runs:
                write(f"pypeln: the report failed\n{traceback.format_exc()}")


_watcher: Watcher | None = None
_lock = threading.Lock()


def watched_run(run: Run, setting: str) -> WatchedRun | None:
    """A run as PYPELN_DEBUG wants it watched, or None when it does not.

    Raises:
        ValueError: The setting makes no sense.
    """
    settings = read_settings(setting)
    return None if settings is None else WatchedRun(run, settings)


def _watch(watched: WatchedRun) -> None:
    global _watcher
    with _lock:
        if _watcher is None:
            _watcher = Watcher(watched.settings)
        _watcher.runs.append(watched)


def _forget(watched: WatchedRun) -> None:
    global _watcher
    with _lock:
        if _watcher is None or watched not in _watcher.runs:
            return
        _watcher.runs.remove(watched)
        if not _watcher.runs:
            _watcher.close()
            _watcher = None


def _in_forked_copy() -> None:
    global _watcher, _lock
    _lock = threading.Lock()
    if _watcher is not None:
        _watcher.abandon()
        _watcher = None


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_in_forked_copy)


def stderr_fd() -> int:
    """Where reports go: sys.stderr where it is a file, else what the process was given as such."""
    try:
        return sys.stderr.fileno()
    except (AttributeError, OSError, ValueError):
        return 2


def write(text: str) -> None:
    """Write past the buffers of sys.stderr: their lock may be in the hands of who is stuck."""
    data = text.encode(errors="backslashreplace")
    fd = stderr_fd()
    try:
        while data:
            data = data[os.write(fd, data) :]
    except OSError:  # closed, or nobody reads it
        pass
