"""What the system says about processes, threads and descriptors: the witness of what is left behind."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path

from support import watchdog

CLOCK_TICKS = os.sysconf("SC_CLK_TCK")

# What multiprocessing starts once for a program and keeps until its end.
HELPERS = (b"multiprocessing.resource_tracker", b"multiprocessing.forkserver")


_known: set[int] = set()


def ignore_present_processes() -> None:
    """What is there now is none of this test's business: the watchdog, for one."""
    _known.clear()
    _known.update(descendants(os.getpid()))


def children() -> set[int]:
    """All living processes that this one or a helper of it has started in this test, but for helpers."""
    return descendants(os.getpid()) - _known


def descendants(pid: int) -> set[int]:
    """All living processes below a process, but for the helpers of multiprocessing."""
    return {each for each in watchdog.descendants(pid) if is_alive(each) and not _is_helper(each)}


def state(pid: int) -> str:
    """The state of a process, as one letter: R, S, T, Z... X when there is none."""
    fields = _stat(pid)
    return fields[0] if fields else "X"


def is_alive(pid: int) -> bool:
    """Whether a process runs, or could go on to; a zombie cannot."""
    return state(pid) not in "ZX"


def cpu_s(pid: int) -> float:
    """Seconds of processor time that a process has used."""
    fields = _stat(pid)
    return (int(fields[11]) + int(fields[12])) / CLOCK_TICKS if fields else 0.0


def open_fds() -> dict[int, str]:
    """The descriptors of this process, and what they are."""
    found = {}
    for entry in Path("/proc/self/fd").iterdir():
        try:
            found[int(entry.name)] = os.readlink(entry)
        except OSError:  # the one that lists them
            continue
    return found


def shared_mappings() -> list[str]:
    """Shared memory without a name that this process has mapped."""
    return [line for line in Path("/proc/self/maps").read_text().splitlines() if "memfd:" in line]


def thread_names() -> list[str]:
    """The threads of this process."""
    return sorted(thread.name for thread in threading.enumerate())


def wait_until_blocked(pid: int) -> None:
    """Wait until a process sleeps and goes on sleeping."""
    calm, spent = 0, -1.0
    while calm < 25:
        now = cpu_s(pid)
        calm = calm + 1 if state(pid) == "S" and now == spent else 0
        spent = now
        time.sleep(0.002)


def _stat(pid: int) -> list[str]:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []


def _is_helper(pid: int) -> bool:
    command = _command_of(pid)
    # A worker of a fork server is a fork of it, and has its command line; its parent's tells them apart.
    if HELPERS[0] in command:
        return True
    fields = _stat(pid)
    return HELPERS[1] in command and bool(fields) and HELPERS[1] not in _command_of(int(fields[1]))


def _command_of(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""
