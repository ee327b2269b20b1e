"""Where worker processes are: each writes the stacks of its threads to a file of its own when it is asked to.

It does so in a signal handler in C, whatever else it is doing: f may hold the GIL, or wait for a lock. A
process that is stopped cannot, and one that does not listen yet would be killed by the signal: neither is
asked. Unix only.
"""

from __future__ import annotations

import faulthandler
import os
import re
import signal
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

# How long processes that were asked may take to answer, and how long one is silent after its last word.
ANSWER_S = 2.0
SILENCE_S = 0.05

# What no program uses: programs have plans of their own with SIGUSR1 and SIGUSR2.
ASK: int
if sys.platform == "linux":
    ASK = signal.SIGRTMAX - 5
elif sys.platform != "win32":
    ASK = signal.SIGUSR2

# What keeps a process from doing anything, as /proc tells it.
STATES = {
    "T": "stopped (SIGSTOP)",
    "t": "stopped by a debugger",
    "D": "waiting inside the kernel",
    "Z": "dead",
}

FRAME = re.compile(r'  File "(?P<file>.*)", line (?P<line>\d+|\?\?\?) in (?P<name>.*)')


class Frame(NamedTuple):
    """One line of a stack."""

    file: str
    line: int
    name: str


class Worker(NamedTuple):
    """A process that is to be asked, and where it answers."""

    pid: int
    dump_fd: int
    has_worked: bool  # for systems that do not tell which signals a process listens to


def open_dump() -> int:
    """A file without a name that a worker process appends to."""
    if sys.platform == "win32":
        raise AssertionError("refused before")
    import fcntl

    with tempfile.TemporaryFile() as file:
        fd = os.dup(file.fileno())
    fcntl.fcntl(fd, fcntl.F_SETFL, fcntl.fcntl(fd, fcntl.F_GETFL) | os.O_APPEND)
    return fd


def listen(dump_fd: int) -> None:
    """In a worker process: answer from now on."""
    if sys.platform == "win32":
        raise AssertionError("refused before")
    from pypeln.run.diagnosis import read_settings

    settings = read_settings(os.environ.get("PYPELN_DEBUG", ""))
    if settings is not None and settings.signum is not None:
        # Sent to a whole group, it reaches workers too, and would kill them.
        faulthandler.register(settings.signum, dump_fd, all_threads=True)
    faulthandler.register(ASK, dump_fd, all_threads=True)


def stuck_state(pid: int) -> str | None:
    """What keeps a process from running, if the system says so."""
    return STATES.get(_status(pid).get("State", "?")[0])


def ask(workers: list[Worker]) -> list[list[list[Frame]] | str]:
    """The stacks of the threads of some processes, outermost frame first; or why there are none."""
    if sys.platform == "win32":
        raise AssertionError("refused before")
    answers: list[list[list[Frame]] | str] = []
    asked: list[tuple[int, Worker]] = []
    for worker in workers:
        why_not = _why_not(worker)
        answers.append(why_not or f"did not answer within {ANSWER_S} s")
        if why_not is None:
            asked.append((len(answers) - 1, worker))
    give_up_at = time.monotonic() + ANSWER_S
    sizes: dict[int, int] = {}
    changed_at = time.monotonic()
    while asked and time.monotonic() < give_up_at:
        time.sleep(0.01)
        now = {place: os.fstat(worker.dump_fd).st_size for place, worker in asked}
        if now != sizes:
            sizes, changed_at = now, time.monotonic()
        elif all(sizes.values()) and time.monotonic() - changed_at > SILENCE_S:
            break
    for place, worker in asked:
        text = os.pread(worker.dump_fd, os.fstat(worker.dump_fd).st_size, 0).decode(errors="replace")
        if text:
            answers[place] = parse(text)
    return answers


def parse(text: str) -> list[list[Frame]]:
    """What faulthandler wrote, thread by thread."""
    stacks: list[list[Frame]] = []
    for line in text.splitlines():
        if line.startswith(("Thread ", "Current thread ", "Stack ")):
            stacks.append([])
        elif stacks and (match := FRAME.fullmatch(line)):
            number = match["line"]
            stacks[-1].insert(
                0, Frame(match["file"], int(number) if number.isdecimal() else 0, match["name"])
            )
    return [stack for stack in stacks if stack]


def _why_not(worker: Worker) -> str | None:
    """Ask a process; why that could not be done."""
    if sys.platform == "win32":
        raise AssertionError("refused before")
    os.ftruncate(worker.dump_fd, 0)
    state = stuck_state(worker.pid)
    if state is not None and state != STATES["D"]:
        return f"cannot write its stacks: it is {state}"
    if not _listens(worker):
        return "cannot write its stacks: it has not started to listen"
    try:
        os.kill(worker.pid, ASK)
    except OSError:
        return "has ended"
    return None


def _listens(worker: Worker) -> bool:
    if sys.platform == "win32":
        raise AssertionError("refused before")
    caught = _status(worker.pid).get("SigCgt")
    if caught is None:
        return worker.has_worked and not sys.platform.startswith("linux")
    return bool(int(caught, 16) & 1 << (ASK - 1))


def _status(pid: int) -> dict[str, str]:
    try:
        lines = Path(f"/proc/{pid}/status").read_text(errors="replace").splitlines()
    except OSError:
        return {}
    return {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}
