"""Runs the contenders of a case in rounds, so that a drift of the machine meets all of them alike."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
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
                return None, f"{package} is not installed"
        return python, None


@dataclass(frozen=True)
class Rounds:
    """How contenders are run: each in a fresh process, round by round.

    Args:
        interpreters: which Python runs which contender.
        timeout_s: seconds after which a contender has failed.
        progress: is told what runs.
        at_once: fresh processes at the same time. More than one where nothing is timed.
    """

    interpreters: Interpreters
    timeout_s: float
    progress: Callable[[str], None]
    at_once: int = 1

    def add(self, case: Case, rows: list[Row], round_name: str) -> None:
        """Measure each of `rows` once more.

        A contender that fails, runs too long or gives wrong results is not run again and has no samples:
        figures of something that does not always work are worth nothing.
        """
        if self.at_once == 1:
            for row in rows:
                self._add_sample(case, row, round_name)
            return
        with ThreadPoolExecutor(self.at_once) as executor:
            list(executor.map(lambda row: self._add_sample(case, row, round_name), rows))

    def _add_sample(self, case: Case, row: Row, round_name: str) -> None:
        contender = row.contender
        python, row.not_run = self.interpreters.choose(contender)
        if python is None or row.failed:
            return
        self.progress(f"{case.name} round {round_name}: {contender.name}, workers={row.workers}")
        try:
            sample = processes.measure(
                python,
                case.name,
                contender.name,
                workers=row.workers,
                items=row.items,
                timeout_s=self.timeout_s,
            )
        except processes.RunFailed as error:
            row.failed = str(error)
            row.samples.clear()
        else:
            row.samples.append(sample)


def rows_of(case: Case, *, only: list[str] | None = None, quick: bool = False) -> list[Row]:
    """A row without samples for each contender and worker count of `case`; in a quick run for the last count.

    With `only`, those of these names and no others.
    """
    takes_part = {
        contender.name: [count for count in case.workers if count in (contender.workers or case.workers)]
        for contender in case.contenders
        if only is None or contender.name in only
    }
    return [
        Row(
            contender,
            workers,
            case.quick_items if quick else contender.items * (workers if contender.per_worker else 1),
        )
        for workers in case.workers
        for contender in case.contenders
        if workers in takes_part.get(contender.name, [])[-1 if quick else 0 :]
    ]
