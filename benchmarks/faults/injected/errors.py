"""Errors of the user's functions and source, and an element that takes too long."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import marks
from job import CULPRIT, Fault, Job

from injected.elements import is_culprit, numbers, rest, work

TIMEOUT_S = 0.5
FAR_TOO_LONG_S = 60
MESSAGE = "element 20 is bad"
BOTH = ("processes", "threads")


class Unpicklable(Exception):
    """An exception that holds a lock."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.lock = threading.Lock()


class OtherArguments(Exception):
    """An exception that pickle can write but not read: `args` are not the arguments of its class."""

    def __init__(self, element: int, reason: str) -> None:
        super().__init__(f"element {element} is {reason}")


def raises(element: int) -> int:
    if is_culprit(element):
        raise ValueError(MESSAGE)
    return work(element)


def raises_unpicklable(element: int) -> int:
    if is_culprit(element):
        raise Unpicklable(MESSAGE)
    return work(element)


def raises_other_arguments(element: int) -> int:
    if is_culprit(element):
        raise OtherArguments(element, "bad")
    return work(element)


def takes_too_long(element: int) -> int:
    if is_culprit(element):
        rest(FAR_TOO_LONG_S)
    return work(element)


def failing_source() -> Iterator[int]:
    yield from range(CULPRIT)
    marks.stamp()
    raise LookupError("the source is bad")


def failing_initializer() -> Any:
    marks.stamp()
    raise LookupError("the initializer is bad")


FAULTS = (
    Fault("raises", "`f` raises", Job(raises, numbers), error=MESSAGE, kinds=BOTH),
    Fault(
        "raises-unpicklable",
        "`f` raises what cannot be pickled",
        Job(raises_unpicklable, numbers),
        error=MESSAGE,
    ),
    Fault(
        "raises-other-arguments",
        "`f` raises what cannot be unpickled",
        Job(raises_other_arguments, numbers),
        error=MESSAGE,
    ),
    Fault(
        "source-raises",
        "the source raises",
        Job(work, failing_source),
        ends=True,
        error="the source is bad",
        kinds=BOTH,
    ),
    Fault(
        "initializer-raises",
        "the initializer raises",
        Job(work, numbers, initializer=failing_initializer),
        ends=True,
        kinds=BOTH,
    ),
    Fault(
        "too-long",
        "an element exceeds its time-out of 0.5 s",
        Job(takes_too_long, numbers, timeout_s=TIMEOUT_S),
        silent=True,
        kinds=BOTH,
        needs_timeout=True,
    ),
)
