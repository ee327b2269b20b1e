"""The table that people read; `python benchmarks/faults/table.py` puts it into docs/reliability.md."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from injected import FAULTS
from outcomes import WORDS
from peers import CONTENDERS

HERE = Path(__file__).resolve().parent
PAGE = HERE.parents[1] / "docs" / "reliability.md"
BEGIN, END = "<!-- faults table: begin -->\n", "<!-- faults table: end -->\n"


def main() -> int:
    """The command line; the exit code."""
    parser = argparse.ArgumentParser(description="Put the table of results.json into docs/reliability.md.")
    parser.add_argument("--page", type=Path, default=PAGE, help="another page, with the marks of that one")
    parser.add_argument("--check", action="store_true", help="write nothing, fail where the page differs")
    options = parser.parse_args()
    results = json.loads((HERE / "results.json").read_text(encoding="utf-8"))
    page = options.page.read_text(encoding="utf-8")
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        parser.error(f"{options.page} has no place for it: {BEGIN.strip()} ... {END.strip()}")
    drawn = f"{before}{BEGIN}{markdown(results)}\n{END}{after}"
    if options.check:
        return int(drawn != page)
    options.page.write_text(drawn, encoding="utf-8")
    return 0


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


if __name__ == "__main__":
    sys.exit(main())
