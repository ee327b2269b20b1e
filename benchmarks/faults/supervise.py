"""Starts the fresh process of a run, strikes it from outside where the fault says so, looks at what is left.

Linux only: what a run has started is recognized by its environment, through /proc, whatever became of its
parents and sessions.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import marks
from job import Fault

CHILD = Path(__file__).resolve().parent / "child.py"
# What is left so long after a program has ended will stay: the promise is one second.
GONE_WITHIN_S = 5.0
PAUSE_S = 0.01
# Until a worker that has said so has also begun to sleep.
BEGUN_S = 0.3
# A loaded machine makes slow what does not hang.
EXTENSION_S = 2.0
MOST_EXTENSIONS = 4
SAMPLES = 30
MOST_STDERR = 2000


@dataclass
class Seen:
    """What was seen of one run from outside, and what the run itself wrote.

    Attributes:
        notes: What the run wrote, None when it never came to that.
        hung: Where it was when its time was up: `job` or `exit`, else None.
        left: Processes and names of shared memory that outlived it.
        gone_s: Seconds from its end until all that it had started was gone.
        stderr: The end of what it printed.
    """

    notes: dict[str, Any] | None = None
    hung: str | None = None
    left: list[str] = field(default_factory=list)
    gone_s: float = 0
    status: int | None = None
    stderr: str = ""


def versions(python: str) -> dict[str, Any]:
    """The Python and the contenders' packages that the interpreter `python` has."""
    done = subprocess.run(
        [python, str(CHILD), "--versions"], capture_output=True, text=True, check=True, env=_environment()
    )
    answer = json.loads(done.stdout)
    assert isinstance(answer, dict)
    return answer


def run_once(python: str, contender: str, fault: Fault, watchdog_s: float) -> Seen:
    """Run `contender` through `fault` in a fresh process of `python`; ends all that it started."""
    shared_before = _shared_memory()
    with tempfile.TemporaryDirectory(prefix="faults-") as name, tempfile.TemporaryFile() as errors:
        folder = Path(name)
        process = subprocess.Popen(
            [python, str(CHILD), contender, fault.name],
            env=_environment() | {marks.VARIABLE: name},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=errors,
            start_new_session=True,
        )
        try:
            seen = _watch(process, fault, folder, time.monotonic() + watchdog_s, shared_before)
            observation = folder / "observation.json"
            if observation.exists():
                seen.notes = json.loads(observation.read_text())
        finally:
            for pid in _belonging_to(folder):
                _kill(pid)
            process.wait()
            # Another process will have this pid some day, and must not be taken for the one that left them.
            for leftover in _shared_memory(process.pid) - shared_before:
                _remove(Path("/dev/shm", leftover))
        errors.seek(0)
        seen.stderr = errors.read().decode(errors="replace")[-MOST_STDERR:]
    return seen


def _environment() -> dict[str, str]:
    # PYTHONPATH would put a source tree before the installed package.
    return {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}


def _watch(
    process: subprocess.Popen[bytes], fault: Fault, folder: Path, until: float, shared_before: set[str]
) -> Seen:
    seen = Seen()
    started = time.monotonic()
    strike = _STRIKES.get(fault.consumer)
    if strike is not None:
        ready = folder / "ready"
        _wait(ready.exists, process, until)
        time.sleep(BEGUN_S)
        marks.stamp(folder)
        strike(process)
    _wait(lambda: False, process, until)
    last = time.monotonic() + MOST_EXTENSIONS * (until - started)
    while process.poll() is None and time.monotonic() < last and _is_busy(folder):
        _wait(lambda: False, process, time.monotonic() + EXTENSION_S)
    if process.poll() is None:
        seen.hung = "exit" if (folder / "observation.json").exists() else "job"
        return seen
    ended = time.monotonic()
    seen.status = process.returncode
    while True:
        left = _belonging_to(folder) - marks.bystanders(folder)
        shared = _shared_memory(process.pid) - shared_before
        seen.gone_s = time.monotonic() - ended
        if not (left or shared) or seen.gone_s > GONE_WITHIN_S:
            seen.left = [f"process {_command(pid)}" for pid in sorted(left)]
            seen.left += [f"{len(shared)} names of shared memory"] * bool(shared)
            return seen
        time.sleep(PAUSE_S)


def _wait(condition: Callable[[], bool], process: subprocess.Popen[bytes], until: float) -> None:
    while not condition() and process.poll() is None and time.monotonic() < until:
        time.sleep(PAUSE_S)


def _is_busy(folder: Path) -> bool:
    """True when a thread of the run wants a processor most of the time: it is slow, it does not hang."""
    running = 0
    for _ in range(SAMPLES):
        running += any(_runs(pid) for pid in _belonging_to(folder))
        time.sleep(PAUSE_S)
    return running > SAMPLES / 2


def _runs(pid: int) -> bool:
    try:
        for stat in Path(f"/proc/{pid}/task").glob("*/stat"):
            # What follows the name, which may contain anything, begins with the state.
            if stat.read_text().rpartition(")")[2].split()[0] in "RD":
                return True
    except (OSError, IndexError):
        pass  # it has just ended
    return False


def _interrupt(process: subprocess.Popen[bytes]) -> None:
    # As a terminal does: everybody in the group gets it.
    os.killpg(process.pid, signal.SIGINT)


def _end(process: subprocess.Popen[bytes]) -> None:
    process.kill()


_STRIKES = {
    "interrupted": _interrupt,
    "abandoned": _end,
}


def _belonging_to(folder: Path) -> set[int]:
    """The living processes that inherited the folder's name from the run."""
    wanted = f"{marks.VARIABLE}={folder}".encode()
    found = set()
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            if wanted in (entry / "environ").read_bytes().split(b"\0"):
                found.add(int(entry.name))
        except OSError:
            continue
    return found


def _shared_memory(pid: int | None = None) -> set[str]:
    """The names of shared memory, with `pid` those that contain it: others make theirs meanwhile."""
    names = set(os.listdir("/dev/shm"))
    return names if pid is None else {name for name in names if str(pid) in re.findall("[0-9]+", name)}


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def _command(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:
        return "that is just ending"


def _kill(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        pass


if not sys.platform.startswith("linux"):
    raise SystemExit("this comparison needs Linux: it looks for what is left in /proc")
