"""What a case and a contender are."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

# Opens a contender for (items, workers). Everything between entering and having left it is on the clock, so
# that starting and stopping count. What it yields is what the case's measure works on: for most cases the
# iterable of results, for a latency case a callable that exchanges one element.
Opener = Callable[[int, int], AbstractContextManager[Any]]


def applying(f: Callable[[Any], Any], source: Callable[[int], Iterable[Any]]) -> Callable[..., Opener]:
    """Bind the task of a case, so that its contenders can be named beside each other.

    Args:
        f: what every element goes through.
        source: gives the elements, for a number of elements.

    Returns:
        A function that takes `stage_map(f, elements, workers, *options)`, a context manager that yields the
        results, and its options, and returns the `Opener` that applies it to the task.

    Example:
        >>> apply = applying(abs, range)
        >>> Contender("Pool chunk 64", Role.PEER, 1_000_000, apply(pool_map, 64))
    """

    def apply(stage_map: Callable[..., AbstractContextManager[Any]], *options: Any) -> Opener:
        return lambda items, workers: stage_map(f, source(items), workers, *options)

    return apply


class Role(str, Enum):
    """What a contender is to the comparison."""

    PYPELN = "pypeln"
    OLD = "pypeln 0.4.9"
    PEER = "peer"
    CEILING = "ceiling"
    REFERENCE = "reference"


@dataclass(frozen=True)
class Contender:
    """One way to do the work of a case.

    Args:
        name: how the report calls it.
        role: decides which interpreter runs it and which ratios refer to it.
        items: how many elements a full run sends through; rates are per element, slow contenders take fewer.
        open: starts it, see `Opener`.
        packages: imported before the clock starts, besides pypeln; without them it is reported as not run.
        workers: the worker counts it takes part in; empty for every one of the case.
        streams: False when all results appear at once, so that there is no steady rate to quote.
        per_worker: `items` are those of one worker, for cases whose work is divided among them.
    """

    name: str
    role: Role
    items: int
    open: Opener
    packages: tuple[str, ...] = ()
    workers: tuple[int, ...] = ()
    streams: bool = True
    per_worker: bool = False


@dataclass(frozen=True)
class Sample:
    """What one fresh process measured: the case's figure and further figures by name."""

    value: float
    extra: dict[str, float] = field(default_factory=dict)


# Runs a contender of a case once, with this number of elements and of workers, and checks what it delivers.
Measure = Callable[["Case", Contender, int, int], Sample]


@dataclass(frozen=True)
class Case:
    """A task, the contenders that do it and how they are measured.

    Args:
        name: short name of the case, as in `--cases P1`.
        title: one line that says what is measured.
        unit: unit of the figure.
        higher_is_better: whether a larger figure is the better one.
        workers: worker counts to run the contenders with.
        measure: runs one contender once and checks its results.
        expected: the results that must arrive, each exactly once and in any order, for a number of elements.
        contenders: in the order of the report.
        key: turns a result into something that can be sorted, where it cannot be itself.
        quick_items: number of elements of each contender in a quick run.
    """

    name: str
    title: str
    unit: str
    higher_is_better: bool
    workers: tuple[int, ...]
    measure: Measure
    expected: Callable[[int], Iterable[object]]
    contenders: tuple[Contender, ...]
    key: Callable[[Any], Any] | None = None
    quick_items: int = 200

    def contender(self, name: str) -> Contender:
        """Return the contender called `name`; raises KeyError when there is none."""
        for contender in self.contenders:
            if contender.name == name:
                return contender
        raise KeyError(f"case {self.name} has no contender {name!r}")
