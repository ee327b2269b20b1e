"""What the faults have in common: ordinary elements and an ordinary function."""

from __future__ import annotations

import time
from typing import Any

import marks
from job import CULPRIT, ELEMENTS

# Long enough that both workers get elements, short enough that a hundred of them are done at once.
WORK_S = 0.002
STEP_S = 0.01


def numbers() -> range:
    return range(ELEMENTS)


def work(element: int) -> int:
    """An ordinary element: a little waiting; returns what it was given."""
    marks.note_worker()
    time.sleep(WORK_S)
    return element


def rest(seconds: float) -> None:
    """Sleep, in steps: a thread can only be interrupted between two instructions of Python."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        time.sleep(STEP_S)


def is_culprit(element: Any) -> bool:
    """True for the element that meets the fault, and notes when."""
    if element != CULPRIT:
        return False
    marks.stamp()
    return True
