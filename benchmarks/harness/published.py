"""Tables for people who read pages: markdown from the cases of a result file."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from statistics import median
from typing import Any

from harness.case import Role
from harness.report import quantity, times

# Cases that differ in the number of elements only, as P1-1E4: a table for all of them, a column for each.
SIZE_OF = re.compile(r"(.+)-1E(\d)$")

# Figures beside the case's own that a table shows.
SHOWN_EXTRAS = ("p99", "worst", "first", "MiB more", "peak MiB")

# Load of each core at the start of a run that is nobody else's work.
MOST_LOAD = 0.35

SUPERSCRIPTS = str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")


@dataclass(frozen=True)
class Column:
    """What ran beside each other: one case at one worker count."""

    case: dict[str, Any]
    label: str
    rows: list[dict[str, Any]]

    def row(self, contender: str) -> dict[str, Any] | None:
        """The row of a contender that has figures."""
        found = [row for row in self.rows if row["contender"] == contender and row["median"] is not None]
        return found[0] if found else None

    def best(self, role: Role) -> dict[str, Any] | None:
        """The row of `role` with the best median, None when no such contender has one."""
        rows = [row for row in self.rows if row["role"] == role.value and row["median"] is not None]
        choose = max if self.case["higher_is_better"] else min
        return choose(rows, key=lambda row: row["median"], default=None)

    def ratio(self, row: dict[str, Any] | None, to: dict[str, Any] | None) -> float | None:
        """How many times as good as `to` a row is, above 1 when it is better."""
        if row is None or to is None:
            return None
        ours, theirs = row["median"], to["median"]
        return float(ours / theirs if self.case["higher_is_better"] else theirs / ours)


def columns_of(case: dict[str, Any]) -> list[Column]:
    """A column for each worker count of a case, in its order."""
    counts = dict.fromkeys(row["workers"] for row in case["rows"])
    return [
        Column(
            case,
            f"{count} {'worker' if count == 1 else 'workers'}",
            [row for row in case["rows"] if row["workers"] == count],
        )
        for count in counts
    ]


def short_table(cases: Iterable[dict[str, Any]]) -> str:
    """A line for each case: pypeln, the best library, the best by hand and pypeln 0.4.9, by worker count."""
    lines = ["| | pypeln | best library | by hand | pypeln 0.4.9 |", "|---|---|---|---|---|"]
    for case in cases:
        columns = columns_of(case)
        counts = " / ".join(column.label.split()[0] for column in columns)
        workers = "" if counts == "1" else f", {counts} workers"
        unit = "" if case["unit"].startswith("%") else f" {case['unit']}"
        cells = [f"{case['title']}{workers}"]
        for role in (Role.PYPELN, Role.PEER, Role.CEILING, Role.OLD):
            best = [column.best(role) for column in columns]
            if not any(best):
                cells.append("-")
                continue
            figures = " / ".join(quantity(row["median"] if row else None) for row in best)
            cell = f"{figures}{unit or ' %'}"
            if role is Role.PYPELN:
                cell = f"**{cell}**"
            if role is Role.PEER:
                cell += f" ({' / '.join(dict.fromkeys(row['contender'] for row in best if row))})"
            cells.append(cell)
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def full_tables(answer: dict[str, Any]) -> str:
    """Every case, in the order of the file, below the machine and the versions that it was measured with."""
    parts = []
    for number, run in enumerate(answer["runs"]):
        parts.append(f"## {heading(run)}")
        parts.append(versions(run))
        cases = [case for case in answer["cases"] if case["run"] == number]
        parts += (f"### {title}\n\n{table(columns)}" for title, columns in _tables(cases))
    return "\n\n".join(parts)


def heading(run: dict[str, Any]) -> str:
    """Where and when a run was, and whether the machine had other work to do, so that figures mean little."""
    machine = run["machine"]
    load = machine["load_1_min"] or 0
    busy = f", on a BUSY machine with load {load:.1f}" if load > MOST_LOAD * machine["cores"] else ""
    return f"{machine['cores']} cores, {machine['processor']}, {run['date']}{busy}"


def versions(run: dict[str, Any]) -> str:
    """What ran, and what else the machine did."""
    own, old, machine = run["own"], run["old"], run["machine"]
    packages = ", ".join(f"{name} {version}" for name, version in own["packages"].items())
    before = f"; pypeln {old['packages']['pypeln']} on {old['python']}" if old else ""
    where = f"{machine['platform']}, load {machine['load_1_min']} at the start"
    return f"{own['python']}: {packages}{before}; {where}."


def table(columns: list[Column]) -> str:
    """A line for each contender, a column for each worker count or size: medians, half of their spread.

    Beside pypeln's figures: how many times as good as those of the best library in the same column.
    """
    contenders = dict.fromkeys(row["contender"] for column in columns for row in column.rows)
    lines = [
        f"| {columns[0].case['unit']} | {' | '.join(column.label for column in columns)} |",
        f"|---|{'---|' * len(columns)}",
    ]
    for contender in contenders:
        found = [column.row(contender) for column in columns]
        if any(found):
            cells = (_cell(column, row) for column, row in zip(columns, found, strict=True))
            lines.append(f"| {contender} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _tables(cases: list[dict[str, Any]]) -> Iterator[tuple[str, list[Column]]]:
    sizes: dict[str, list[Column]] = {}
    for case in cases:
        if not (size := SIZE_OF.match(case["case"])):
            yield f"{case['case']}: {case['title']}", columns_of(case)
            continue
        columns = sizes.setdefault(size[1], [])
        columns += (
            Column(case, f"10{size[2].translate(SUPERSCRIPTS)} elements", column.rows)
            for column in columns_of(case)
        )
    for name, columns in sizes.items():
        yield f"{name} with more and more elements", columns


def _cell(column: Column, row: dict[str, Any] | None) -> str:
    if row is None:
        return "-"
    values = [sample["value"] for sample in row["samples"]]
    text = quantity(row["median"])
    if len(values) > 1:
        text += f" ±{50 * (max(values) - min(values)) / row['median']:.0f} %"
    for extra in SHOWN_EXTRAS:
        figures = [sample["extra"].get(extra) for sample in row["samples"]]
        if None not in figures:
            text += f", {extra} {quantity(median(figures))}"
    if row["role"] == Role.PYPELN.value:
        ratio = column.ratio(row, column.best(Role.PEER))
        text = f"**{text}**" + (f" ({times(ratio)})" if ratio else "")
    return text
