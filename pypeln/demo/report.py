"""What the demo says at its end: a table of the stages and what was found."""

from __future__ import annotations

from collections.abc import Sequence

from pypeln.demo.figures import StageFigures
from pypeln.demo.job import Outcome

_HEADINGS = ("stage", "kind", "workers", "elements in", "elements out", "seconds", "in/s", "seconds in f")
_LEGEND = (
    "seconds: from a stage's first element to its last; all stages run at the same time.\n"
    "in/s: elements taken per second. seconds in f: inside the stage's function, summed over its workers."
)
_TEXT_COLUMNS = 2  # these lead and are aligned left; numbers are aligned right


def table(stages: Sequence[StageFigures]) -> str:
    """Lay out the figures of stages, one line each, under headings."""
    rows = [_HEADINGS, *(_cells(stage) for stage in stages)]
    widths = [max(len(cell) for cell in column) for column in zip(*rows, strict=True)]
    lines = [
        "  ".join(
            cell.ljust(width) if position < _TEXT_COLUMNS else cell.rjust(width)
            for position, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in rows
    ]
    return "\n".join([lines[0], "  ".join("-" * width for width in widths), *lines[1:]])


def _cells(stage: StageFigures) -> tuple[str, ...]:
    counts = (f"{stage.workers:,}", f"{stage.taken:,}", f"{stage.emitted:,}")
    return (
        stage.name,
        stage.kind,
        *counts,
        f"{stage.seconds:.2f}",
        f"{stage.rate:,.0f}",
        f"{stage.seconds_in_f:.2f}",
    )


def describe(outcome: Outcome) -> str:
    """The demo's last words.

    Args:
        outcome: What the job did.

    Returns:
        Lines for a terminal, without a final newline.
    """
    totals = outcome.totals
    found = (
        f"{totals.files:,} files of Python's standard library, {totals.nbytes / 1e6:,.1f} MB, "
        f"{totals.lines:,} lines:\n{totals.functions:,} functions, {totals.classes:,} classes, "
        f"{totals.imports:,} imports, {totals.comments:,} comments, {totals.tokens:,} tokens"
    )
    if totals.failed:
        found += f"\n{totals.failed:,} could not be parsed; see the column 'error' of the table 'files'"
    stored = (
        f"Stored as the tables 'files' and 'definitions' in {outcome.database}\n"
        f"The whole run took {outcome.seconds:.1f} s."
    )
    return "\n\n".join((f"{table(outcome.stages)}\n{_LEGEND}", found, stored))
