"""What a contender is given to do, and what a fault expects of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

WORKERS = 2
ELEMENTS = 100
# The element that meets the fault; others are done by then, and others are still to come.
CULPRIT = 20


@dataclass(frozen=True)
class Failed:
    """A contender's report that one element failed, where its API goes on with the others."""

    error: BaseException


@dataclass(frozen=True)
class Job:
    """One call of a contender's map.

    Attributes:
        f: Applied to every element, in a worker.
        source: Makes the iterable of elements.
        timeout_s: Seconds for one element.
        initializer: Called in every worker before its first element.
    """

    f: Callable[[Any], Any]
    source: Callable[[], Iterable[Any]]
    timeout_s: float | None = None
    initializer: Callable[[], None] | None = None


@dataclass(frozen=True)
class Fault:
    """A fault, and what should happen.

    Attributes:
        name: For the command line.
        title: For the table.
        job: What is to be done while the fault strikes.
        expected: The results that are owed, culprits' included.
        culprits: How many of these may be missing, if the contender says so.
        silent: The culprits may be missing without a word.
        error: A text that the reported error has to contain: a type or a message of `f`.
        ends: The job is to end with this error; results are not owed.
        consumer: `drain` takes all; `leave` stops after a few; `stall` takes one and looks how far ahead
            the source runs; `abandoned` and `interrupted` are struck from outside.
        kinds: Which kinds of workers the fault makes sense for.
        needs_timeout: Only for contenders that have a time-out for one element.
    """

    name: str
    title: str
    job: Job
    expected: tuple[Any, ...] = tuple(range(ELEMENTS))
    culprits: int = 1
    silent: bool = False
    error: str = ""
    ends: bool = False
    consumer: str = "drain"
    kinds: tuple[str, ...] = ("processes",)
    needs_timeout: bool = False
