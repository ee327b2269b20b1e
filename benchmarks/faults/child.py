"""Runs one contender through one fault and writes what happened: the fresh process of `supervise`."""

from __future__ import annotations

import gc
import json
import multiprocessing
import os
import resource
import signal
import sys
import threading
import time
from pathlib import Path

import marks
from consumers import CONSUMERS, Notes, drain
from injected import fault_named
from injected.elements import work
from job import Fault, Job
from peers import contender_named, versions
from peers.contender import Contender

# What is just ending is not left behind.
SETTLE_S = 1.5


def main(arguments: list[str]) -> int:
    if arguments == ["--versions"]:
        print(json.dumps({"python": sys.version.split()[0], "contenders": versions()}))
        return 0
    contender, fault = contender_named(arguments[0]), fault_named(arguments[1])
    # A shell has what it starts in the background ignore Ctrl-C; a program that a person starts does not.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    _, most = resource.getrlimit(resource.RLIMIT_CORE)
    resource.setrlimit(resource.RLIMIT_CORE, (0, most))
    _run_without_fault(contender)
    before = _resources()
    notes = Notes()
    started = time.monotonic()
    _meet(contender, fault, notes)
    control_s = time.monotonic() - (marks.stamped() or started)
    _write(
        {**vars(notes), "control_s": control_s, "grown": _grown(before), "runaway": marks.exists("runaway")}
    )
    return 0


def _meet(contender: Contender, fault: Fault, notes: Notes) -> None:
    # A function of its own: what its names and the frames of an error hold is gone when it returns.
    try:
        with contender.start(fault.job) as results:
            CONSUMERS[fault.consumer](results, notes)
    except BaseException as error:
        notes.end(error)


def _run_without_fault(contender: Contender) -> None:
    """Do what every later job may rely on: imports, helpers that last as long as the program."""
    notes = Notes()
    with contender.start(Job(work, lambda: range(20))) as results:
        drain(results, notes)
    if sorted(notes.delivered) != list(range(20)):
        raise AssertionError(f"without any fault: {vars(notes)}")
    for path in marks.folder().iterdir():
        path.unlink()


def _resources() -> dict[str, int]:
    gc.collect()
    multiprocessing.active_children()  # reaps those that have ended, as the next start of a process would
    return {
        "descriptors": len(os.listdir("/proc/self/fd")),
        "threads": threading.active_count(),
        "processes": len(_children()),
    }


def _children() -> list[int]:
    own = os.getpid()
    found = []
    for thread in Path(f"/proc/{own}/task").iterdir():
        try:
            found += [int(pid) for pid in (thread / "children").read_text().split()]
        except OSError:
            continue  # the thread has just ended; its children are another's by now
    return found


def _grown(before: dict[str, int]) -> dict[str, int]:
    """What there is more of than before, once that has had time to settle."""
    give_up_at = time.monotonic() + SETTLE_S
    while True:
        now = _resources()
        grown = {name: now[name] - before[name] for name in now if now[name] > before[name]}
        if not grown or time.monotonic() > give_up_at:
            return grown
        time.sleep(0.05)


def _write(observation: dict[str, object]) -> None:
    part = marks.folder() / "observation.part"
    part.write_text(json.dumps(observation))
    part.rename(marks.folder() / "observation.json")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
