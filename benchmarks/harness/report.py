"""Turns the rows of a case into the table that people read and the data that programs read."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from harness.case import Case, Role
from harness.rounds import Row


def best(case: Case, rows: Iterable[Row], role: Role) -> Row | None:
    """The row of `role` with the best median, None when no such contender was run."""
    candidates = [row for row in rows if row.contender.role is role and row.samples]
    choose = max if case.higher_is_better else min
    return choose(candidates, key=Row.median, default=None)


def ratio(case: Case, row: Row, to: Row | None) -> float | None:
    """How many times as good as `to` a row is, above 1 when it is better; None when there is no `to`."""
    if to is None:
        return None
    return row.median() / to.median() if case.higher_is_better else to.median() / row.median()


def table(case: Case, rows: list[Row]) -> str:
    """Return the report of a case as text, one block for each worker count."""
    lines = [f"{case.name}: {case.title} [{case.unit}]"]
    for workers in case.workers:
        block = [row for row in rows if row.workers == workers]
        if not block:
            continue
        references = [(label, best(case, block, role)) for label, role in REFERENCES]
        extras = sorted({name for row in block for sample in row.samples for name in sample["extra"]})
        cells = [
            [
                f"workers={workers}",
                "median",
                "min",
                "max",
                *extras,
                *(label for label, _ in references),
                "items",
            ]
        ]
        for row in block:
            name = row.contender.name
            if not row.samples:
                why = f"not run: {row.not_run}" if row.not_run else "FAILED, see the errors"
                cells.append([name, why])
                continue
            values = row.values()
            figures = [row.median(), min(values), max(values), *(row.extra(extra) for extra in extras)]
            ratios = [ratio(case, row, reference) for _, reference in references]
            cells.append([name, *map(quantity, figures), *map(times, ratios), f"{row.items:,}"])
        lines += ["", *_aligned(cells)]
    return "\n".join(lines)


REFERENCES = (("x best peer", Role.PEER), ("x by hand", Role.CEILING), ("x 0.4.9", Role.OLD))


def data(case: Case, rows: list[Row]) -> dict[str, Any]:
    """Return everything a case measured, ready for JSON."""
    return {
        "case": case.name,
        "title": case.title,
        "unit": case.unit,
        "higher_is_better": case.higher_is_better,
        "rows": [
            {
                "contender": row.contender.name,
                "role": row.contender.role.value,
                "workers": row.workers,
                "items": row.items,
                "median": row.median() if row.samples else None,
                "samples": row.samples,
                "not_run": row.not_run,
                "failed": row.failed,
            }
            for row in rows
        ],
    }


def quantity(value: float | None) -> str:
    """Write a number with three significant digits and a suffix for thousands; "-" for None."""
    if value is None:
        return "-"
    for size, suffix in ((1e6, "M"), (1e3, "k")):
        # 999,600 has to become 1.00M, not 1000k.
        if abs(value) >= size * 0.9995:
            return f"{_three_digits(value / size)}{suffix}"
    return _three_digits(value)


def times(value: float | None) -> str:
    """Write a ratio, "-" for None."""
    if value is None:
        return "-"
    return f"{_three_digits(value)}x" if value >= 0.1 else f"{value:.1g}x"


def _three_digits(value: float) -> str:
    if 0 < abs(value) < 0.0995:
        return f"{value:.2g}"
    return (
        f"{value:.0f}" if abs(value) >= 99.95 else f"{value:.1f}" if abs(value) >= 9.995 else f"{value:.2f}"
    )


def _aligned(cells: list[list[str]]) -> list[str]:
    columns = len(cells[0])
    # A row with a message instead of figures must not widen the columns.
    full = [row for row in cells if len(row) == columns]
    widths = [max(len(row[i]) for row in (cells if i == 0 else full)) for i in range(columns)]
    return [
        "  ".join(
            text.ljust(widths[0]) if i == 0 else text.rjust(widths[i]) for i, text in enumerate(row)
        ).rstrip()
        for row in cells
    ]
