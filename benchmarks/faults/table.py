"""The table that people read."""

from __future__ import annotations

from typing import Any

from injected import FAULTS
from outcomes import WORDS
from peers import CONTENDERS


def markdown(results: dict[str, Any]) -> str:
    """Return the results, as `run.py` keeps them, as tables and a legend."""
    parts = []
    for kind in ("processes", "threads"):
        columns = [
            contender
            for contender in CONTENDERS
            if contender.kind == kind and any(contender.name in row for row in results["cells"].values())
        ]
        rows = [fault for fault in FAULTS if kind in fault.kinds and fault.name in results["cells"]]
        if not columns or not rows:
            continue
        lines = [
            _row([kind, *(contender.name for contender in columns)]),
            _row(["---"] * (len(columns) + 1)),
        ]
        lines += [
            _row(
                [
                    fault.title,
                    *(_cell(results["cells"][fault.name].get(contender.name)) for contender in columns),
                ]
            )
            for fault in rows
        ]
        parts.append("\n".join(lines))
    parts.append("\n".join(f"- **{word}**: {meaning}." for word, meaning in WORDS.items()))
    named = ", ".join(f"{name} {version}" for name, version in results["versions"].items())
    parts.append(
        f"Python {results['python']}, {named}. Seconds are those from the fault until control was back in "
        "the program, or until the last process was gone where the program itself was killed."
    )
    return "\n\n".join(parts)


def _row(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _cell(cell: dict[str, Any] | None) -> str:
    if cell is None:
        return ""
    word = cell["word"] if cell["word"] == "pass" else f"**{cell['word']}**"
    if cell["seconds"] is None:
        return word
    first = cell["detail"].partition(";")[0]
    if first.endswith(" ahead"):
        return f"{word}, {first}"
    return f"{word} {cell['seconds']:.2g} s" if cell["seconds"] < 9.95 else f"{word} {cell['seconds']:.0f} s"
