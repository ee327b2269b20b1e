"""Consumers that leave, stall, are interrupted or killed."""

from __future__ import annotations

import time
from collections.abc import Iterator
from itertools import count

import marks
from job import Fault, Job

from injected.elements import work

BOTH = ("processes", "threads")
LONG_WORK_S = 0.02
MANY = 300
# A source that was read this far by a consumer who wants five elements is read without bound.
RUNAWAY = 30_000


def slow_work(element: int) -> int:
    marks.note_worker()
    time.sleep(LONG_WORK_S)
    return element


def long_work(element: int) -> int:
    marks.first("ready")
    time.sleep(60)
    return element


def many() -> range:
    return range(MANY)


def very_many() -> range:
    return range(MANY * 30)


def endless() -> Iterator[int]:
    """Numbers without end; gives up when they are taken much faster than anybody wants them."""
    for number in count():
        if number == RUNAWAY:
            marks.first("runaway")
            return
        yield number


FAULTS = (
    Fault(
        "leave",
        "the consumer leaves after 5 of 300 elements",
        Job(slow_work, many),
        consumer="leave",
        kinds=BOTH,
    ),
    Fault(
        "leave-endless",
        "the consumer leaves an endless source",
        Job(work, endless),
        consumer="leave",
        kinds=BOTH,
    ),
    Fault("ctrl-c", "Ctrl-C", Job(slow_work, very_many), consumer="interrupted", kinds=BOTH),
    Fault(
        "ctrl-c-long",
        "Ctrl-C while `f` sleeps for 60 s",
        Job(long_work, many),
        consumer="interrupted",
    ),
    Fault("parent-killed", "the program is killed", Job(slow_work, very_many), consumer="abandoned"),
    Fault(
        "parent-killed-long",
        "the program is killed while `f` sleeps for 60 s",
        Job(long_work, many),
        consumer="abandoned",
    ),
)
