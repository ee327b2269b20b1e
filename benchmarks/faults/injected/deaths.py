"""Workers that die, and one that only seems to."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator

import marks
from job import CULPRIT, ELEMENTS, Fault, Job

from injected.elements import STEP_S, is_culprit, numbers, rest, work

# Longer than a hundred elements take: workers that are alive have become idle by then.
IDLE_S = 0.5
STOPPED_S = 2.0
# Outlives the run, so that whoever waits for its inherited descriptors to close waits too long.
GRANDCHILD_S = 60


def killed_once(element: int) -> int:
    if is_culprit(element) and marks.first("killed"):
        os.kill(os.getpid(), signal.SIGKILL)
    return work(element)


def killed_always(element: int) -> int:
    if is_culprit(element):
        os.kill(os.getpid(), signal.SIGKILL)
    return work(element)


def exits_at_once(element: int) -> int:
    if is_culprit(element):
        os._exit(3)
    return work(element)


def exits(element: int) -> int:
    if is_culprit(element):
        sys.exit("element 20")
    return work(element)


def segfaults(element: int) -> int:
    if is_culprit(element):
        ctypes.string_at(0)
    return work(element)


def forks_and_is_killed(element: int) -> int:
    if is_culprit(element) and marks.first("killed"):
        grandchild = os.fork()
        if grandchild == 0:
            time.sleep(GRANDCHILD_S)
            os._exit(0)
        marks.note_bystander(grandchild)
        os.kill(os.getpid(), signal.SIGKILL)
    return work(element)


def idle_worker_is_killed() -> Iterator[int]:
    """The elements; half of them come when a worker that had nothing to do has been killed."""
    yield from range(ELEMENTS // 2)
    while not marks.workers():
        rest(STEP_S)
    rest(IDLE_S)
    marks.stamp()
    os.kill(marks.workers()[0], signal.SIGKILL)
    rest(IDLE_S)
    yield from range(ELEMENTS // 2, ELEMENTS)


def worker_is_stopped() -> Iterator[int]:
    """The elements; a worker is stopped meanwhile and continued later."""
    yield from range(CULPRIT)
    while not marks.workers():
        rest(STEP_S)
    worker = marks.workers()[0]
    marks.stamp()
    os.kill(worker, signal.SIGSTOP)
    threading.Timer(STOPPED_S, os.kill, (worker, signal.SIGCONT)).start()
    yield from range(CULPRIT, ELEMENTS)


FAULTS = (
    Fault("killed-in-f", "worker killed while `f` runs", Job(killed_once, numbers)),
    Fault("poison", "an element that kills every worker", Job(killed_always, numbers)),
    Fault("killed-idle", "worker killed while it waits", Job(work, idle_worker_is_killed)),
    Fault("os-exit", "`os._exit` in `f`", Job(exits_at_once, numbers)),
    Fault("segfault", "segmentation fault in `f`", Job(segfaults, numbers)),
    Fault("grandchild", "worker forks, then is killed", Job(forks_and_is_killed, numbers)),
    Fault("stopped", "worker stopped for 2 s, then continued", Job(work, worker_is_stopped), culprits=0),
    Fault("sys-exit", "`sys.exit` in `f`", Job(exits, numbers), kinds=("processes", "threads")),
)
