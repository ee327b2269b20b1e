"""What the system says about the processes of a runner, which is the leader of a session of its own."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterable
from pathlib import Path

HELPERS = (b"multiprocessing.resource_tracker", b"multiprocessing.forkserver")


def session_of(leader: int) -> dict[int, str]:
    """The processes of a session, with their states; those that only wait to be reaped are not counted."""
    found = {}
    for entry in os.listdir("/proc"):
        if not entry.isdigit():
            continue
        fields = _stat(int(entry))
        if fields and int(fields[3]) == leader and fields[0] not in "ZX":
            found[int(entry)] = fields[0]
    return found


def workers_of(leader: int, helpers: Iterable[int]) -> list[int]:
    """The processes of a session without its leader and those that were there before the run."""
    return sorted(session_of(leader).keys() - {leader} - set(helpers))


def segments_of(pid: int) -> set[str]:
    """The anonymous shared memory that a process has mapped, by device and inode."""
    try:
        with open(f"/proc/{pid}/maps") as file:
            return {" ".join(line.split()[3:5]) for line in file if "/memfd:pypeln" in line}
    except OSError:
        return set()


def who_maps(segments: set[str]) -> dict[int, set[str]]:
    """The processes that still have one of these segments."""
    found = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            common = segments_of(int(entry)) & segments
            if common:
                found[int(entry)] = common
    return found


def send(pid: int, number: int) -> bool:
    """Send a signal; whether there was anybody to get it."""
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return False
    return True


def kill_session(leader: int) -> None:
    """End all that is left of a session."""
    while True:
        left = session_of(leader)
        if not left:
            return
        for pid in left:
            send(pid, signal.SIGKILL)
        time.sleep(0.01)


def describe(leader: int) -> str:
    """Each process of a session, and where its threads wait in the kernel."""
    lines = []
    for pid, state in session_of(leader).items():
        try:
            command = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            waits = [_waits(pid, thread) for thread in os.listdir(f"/proc/{pid}/task")]
        except OSError:
            continue
        lines.append(f"{pid} {state} {command.strip()[-100:]} [{', '.join(waits)}]")
    return "\n".join(lines)


def _waits(pid: int, thread: str) -> str:
    try:
        return Path(f"/proc/{pid}/task/{thread}/wchan").read_text() or "?"
    except OSError:
        return "?"


def _stat(pid: int) -> list[str]:
    """What stands behind the name: state, parent, group, session..."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []
