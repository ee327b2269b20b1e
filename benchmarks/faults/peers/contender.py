"""What a contender is."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

from job import Job

# Yields the results in any order, and a `Failed` for an element that failed where the API goes on after it.
# An error that ends the job is raised. Leaving it ends what it started, by the kindest way its API has.
Start = Callable[[Job], AbstractContextManager[Iterator[Any]]]


@dataclass(frozen=True)
class Contender:
    """A way to apply a function to a stream.

    Attributes:
        name: In tables and on the command line.
        start: Runs a job.
        kind: What its workers are.
        package: The distribution that it needs, None for the standard library.
        times_out: It has a time-out for one element.
        version: The only version of the package that it stands for, None for whatever is installed.
        restarts: It needs a pypeln that restarts workers.
    """

    name: str
    start: Start
    kind: str = "processes"
    package: str | None = None
    times_out: bool = False
    version: str | None = None
    restarts: bool = False
