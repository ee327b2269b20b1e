"""Runs the contenders of a case in rounds, so that a drift of the machine meets all of them alike."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from statistics import median
from typing import Any

from harness import processes
from harness.case import Case, Contender, Role


@dataclass
class Row:
    """The samples of one contender at one worker count, or why it was not run or what it failed with."""

    contender: Contender
    workers: int
    items: int
    samples: list[dict[str, Any]] = field(default_factory=list)
    not_run: str | None = None
    failed: str | None = None

    def values(self) -> list[float]:
        """The case's figure of every sample."""
        return [sample["value"] for sample in self.samples]

    def median(self) -> float:
        """The median figure; only for a row that has samples."""
        return median(self.values())

    def extra(self, name: str) -> float | None:
        """The median of a further figure, None unless every sample has it."""
        figures = [sample["extra"].get(name) for sample in self.samples]
        return median(figures) if figures and None not in figures else None


@dataclass(frozen=True)
class Interpreters:
    """Which Python runs which contender: `own` all of them but pypeln 0.4.9, which `old` runs."""

    own: str
    own_packages: dict[str, str | None]
    old: str | None
    old_packages: dict[str, str | None]

    def choose(self, contender: Contender) -> tuple[str | None, str | None]:
        """Return the interpreter for `contender`, or None and the reason why it cannot be run."""
        is_old = contender.role is Role.OLD
        python, packages = (self.old, self.old_packages) if is_old else (self.own, self.own_packages)
        if python is None:
            return None, "no --old-python given"
        for package in contender.packages:
            if not packages.get(package):
                return None, f"{package} is not installed for {python}"
        return python, None


def run_case(
    case: Case,
    interpreters: Interpreters,
    *,
    only: list[str] | None,
    repeats: int,
    quick: bool,
    timeout_s: float,
    progress: Callable[[str], None],
) -> list[Row]:
    """Measure the contenders of `case` `repeats` times, round by round, each in a fresh process.

    With `only`, those of these names and no others.

    A contender that fails, runs too long or gives wrong results is not run again and has no samples: figures
    of something that does not always work are worth nothing.
    """
    rows = [
        Row(contender, workers, case.quick_items if quick else contender.items)
        for workers in case.workers
        for contender in case.contenders
        if not contender.workers or workers in contender.workers
        if only is None or contender.name in only
    ]
    for round_number in range(1, repeats + 1):
        for row in rows:
            python, row.not_run = interpreters.choose(row.contender)
            if python is None or row.failed:
                continue
            progress(
                f"{case.name} round {round_number}/{repeats}: {row.contender.name}, workers={row.workers}"
            )
            try:
                sample = processes.measure(
                    python,
                    case.name,
                    row.contender.name,
                    workers=row.workers,
                    items=row.items,
                    timeout_s=timeout_s,
                )
            except processes.RunFailed as error:
                row.failed = str(error)
                row.samples.clear()
            else:
                row.samples.append(sample)
    return rows
