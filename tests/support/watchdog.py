"""Ends a test run that hangs, and shows where every process of it stood.

The watchdog is a process and not a thread: a thread cannot do anything while another one holds the GIL for
ever, and Python 3.12 warns of every fork in a process that has a second one. When a test takes too long it
prints the command lines of the test process and its descendants, sends SIGABRT to each, upon which
`faulthandler` prints the stacks of all their threads, and kills what is left.

Failure modes: a test process that is gone takes the watchdog with it, because its pipe closes; a copy of the
pipe in a worker that survived keeps it for a second at most, because it also looks at its parent.
"""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable

# How long the stacks of all processes may take to be written.
DUMP_S = 2.0
# How often the watchdog looks whether its parent is still there.
LOOK_S = 1.0


class Watchdog:
    """The test process's end: armed before each test, disarmed after it."""

    def __init__(self) -> None:
        # Descendants that are not forked but executed print their stacks too.
        os.environ.setdefault("PYTHONFAULTHANDLER", "1")
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-S", __file__, str(os.getpid())],
            stdin=subprocess.PIPE,
            start_new_session=True,  # Ctrl-C is for the tests
        )

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    def arm(self, seconds: float, name: str) -> None:
        """Everything ends when this many seconds have passed, unless it is disarmed before."""
        self._send(f"{seconds} {name}\n")

    def disarm(self) -> None:
        """The test is over."""
        self._send("0 -\n")

    def close(self) -> None:
        """End the watchdog."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()

    def _send(self, line: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(line.encode())
        self._process.stdin.flush()


def descendants(pid: int) -> dict[int, str]:
    """Every process below this one, dead ones that nobody has waited for included, and what it is.

    Empty where the system has no /proc.
    """
    children_of = (
        _listed_children if os.path.exists(f"/proc/self/task/{os.getpid()}/children") else _searched()
    )
    found: dict[int, str] = {}
    todo = [pid]
    while todo:
        for child in children_of(todo.pop()):
            status = _status(child)
            if status is not None and child not in found:
                found[child] = status[0]
                todo.append(child)
    return found


def _listed_children(pid: int) -> set[int]:
    """The children of a process, as Linux lists them. It may skip one while another ends: look until it says
    the same twice."""
    last, now = None, _children_now(pid)
    while now != last:
        last, now = now, _children_now(pid)
    return now


def _children_now(pid: int) -> set[int]:
    found: set[int] = set()
    try:
        threads = os.listdir(f"/proc/{pid}/task")
    except OSError:
        return found  # it has ended meanwhile
    for thread in threads:
        try:
            with open(f"/proc/{pid}/task/{thread}/children", "rb") as file:
                found.update(map(int, file.read().split()))
        except OSError:
            continue  # so has this thread
    return found


def _searched() -> Callable[[int], list[int]]:
    """The same by a look at all processes, for kernels that keep no lists."""
    children: dict[int, list[int]] = {}
    for entry in os.listdir("/proc") if os.path.isdir("/proc") else ():
        status = _status(int(entry)) if entry.isdigit() else None
        if status is not None:
            children.setdefault(status[1], []).append(int(entry))
    return lambda pid: children.get(pid, [])


def _status(pid: int) -> tuple[str, int] | None:
    """What a process is, for people, and its parent; None when it is gone."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            name, _, rest = file.read().rpartition(b")")
    except OSError:
        return None
    state, parent = rest.split()[:2]
    return f"{name.partition(b'(')[2].decode(errors='replace')}, state {state.decode()}", int(parent)


def command_line(pid: int) -> str:
    """How a process was started."""
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            return file.read().replace(b"\0", b" ").decode(errors="replace").strip() or "(has ended)"
    except OSError:
        return "(gone)"


def _signal_each(pids: list[int], number: int) -> None:
    for pid in pids:
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            pass


def _end(parent: int, name: str, seconds: float) -> None:
    below = descendants(parent)
    below.pop(os.getpid(), None)
    print(f"\n\nwatchdog: {name} has taken more than {seconds:g} s. Processes:", file=sys.stderr)
    print(f"  {parent} {command_line(parent)}", file=sys.stderr)
    for pid, what in below.items():
        print(f"  {pid} ({what}) {command_line(pid)}", file=sys.stderr)
    sys.stderr.flush()
    # The test process last: its workers die with it, and would print nothing any more.
    for pid in [*below, parent]:
        _signal_each([pid], signal.SIGABRT)
        time.sleep(DUMP_S / (len(below) + 1))
    _signal_each([parent, *below], signal.SIGKILL)


def main(parent: int) -> None:
    """The life of the watchdog."""
    name, limit, deadline = "", 0.0, None
    buffer = b""
    while os.getppid() == parent:
        left = LOOK_S if deadline is None else min(LOOK_S, max(0.0, deadline - time.monotonic()))
        if select.select([0], [], [], left)[0]:
            data = os.read(0, 65536)
            if not data:
                return
            *lines, buffer = (buffer + data).split(b"\n")
            for line in lines:
                seconds, _, what = line.decode().partition(" ")
                name, limit = what, float(seconds)
                deadline = time.monotonic() + limit if limit else None
        elif deadline is not None and time.monotonic() >= deadline:
            _end(parent, name, limit)
            return


if __name__ == "__main__":
    main(int(sys.argv[1]))
