"""Finds what a test has left behind: processes, threads, descriptors, shared memory."""

from __future__ import annotations

import gc
import os
import signal
import threading
import time
from collections.abc import Iterable

from support.watchdog import descendants

# How long what is on its way out may take.
SETTLE_S = 2.0

# Names that pypeln or multiprocessing might give to shared memory. Others on the machine make theirs as
# well, meanwhile.
SHARED_NAMES = ("pypeln", "psm_")


class Resources:
    """What this process has at one moment. Where the system has no /proc, only its threads.

    Arguments:
        ignored_pids: Processes that are none of the tests' business.
    """

    def __init__(self, ignored_pids: Iterable[int] = ()) -> None:
        self._ignored = set(ignored_pids)
        self.threads = set(threading.enumerate())
        self.processes = {
            pid: name for pid, name in descendants(os.getpid()).items() if pid not in self._ignored
        }
        self.descriptors = _descriptors()
        self.mappings = _mappings()
        self.names = _shared_names()

    def left_since(self) -> list[str]:
        """What is there now and was not then, for people. Waits for what is just ending."""
        give_up_at = time.monotonic() + SETTLE_S
        pause_s = 0.001
        while True:
            left = list(self._differences(Resources(self._ignored)))
            if not left or time.monotonic() > give_up_at:
                return left
            gc.collect()  # what hangs in a reference cycle is not leaked
            time.sleep(pause_s)
            pause_s = min(pause_s * 2, 0.1)

    def kill_new_processes(self) -> None:
        """End the processes that were not there then, so that one test's leak does not become another's."""
        for pid in Resources(self._ignored).processes:
            if pid in self.processes:
                continue
            try:
                os.kill(pid, signal.SIGKILL)
                os.waitpid(pid, 0)
            except (ProcessLookupError, ChildProcessError):
                pass

    def _differences(self, now: Resources) -> Iterable[str]:
        for pid, name in now.processes.items():
            if pid not in self.processes:
                yield f"process {pid} ({name})"
        for thread in now.threads - self.threads:
            yield f"thread {thread.name!r}"
        for number, target in sorted(now.descriptors - self.descriptors):
            yield f"descriptor {number} -> {target}"
        for mapping in sorted(now.mappings - self.mappings):
            yield f"shared memory {mapping}"
        for name in sorted(now.names - self.names):
            yield f"shared memory /dev/shm/{name}"


def _descriptors() -> set[tuple[int, str]]:
    found = set()
    if os.path.isdir("/proc/self/fd"):
        for name in os.listdir("/proc/self/fd"):
            try:
                found.add((int(name), os.readlink(f"/proc/self/fd/{name}")))
            except OSError:
                pass  # the descriptor of this very listing
    return found


def _mappings() -> set[str]:
    if not os.path.exists("/proc/self/maps"):
        return set()
    with open("/proc/self/maps", "rb") as file:
        maps = file.read()
    lines = maps.splitlines() if b"/memfd:" in maps or b"/dev/shm/" in maps else []
    return {line.decode(errors="replace") for line in lines if b"/memfd:" in line or b"/dev/shm/" in line}


def _shared_names() -> set[str]:
    if not os.path.isdir("/dev/shm"):
        return set()
    return {name for name in os.listdir("/dev/shm") if name.startswith(SHARED_NAMES)}
