"""Draws the chart and the tables that README and docs show: `python benchmarks/publish.py --help`."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from harness import results
from harness.chart import chart
from harness.published import full_tables, heading, short_table

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
RESULTS = HERE / "results.json"

# What the README shows, in this order.
HEADLINES = (
    "P1",
    "D1",
    "P2",
    "P3-1M-X2",
    "E1",
    "S1",
    "P4",
    "P5",
    "T1",
    "T2",
    "A1",
    "A2",
    "A3",
    "Q1-PROCESSES",
    "Q1-THREADS",
)

BEGIN, END = "<!-- benchmark table: begin -->\n", "<!-- benchmark table: end -->\n"


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Draw the chart and the tables from the results.")
    parser.add_argument("--results", type=Path, default=RESULTS, help="what to draw (default: results.json)")
    parser.add_argument(
        "--add", type=Path, metavar="FILE", help="first take over the cases of FILE, from another machine"
    )
    parser.add_argument(
        "--check", action="store_true", help="write nothing, fail where a page is not as drawn"
    )
    options = parser.parse_args(arguments)
    if options.add:
        results.add(options.results, results.load(options.add))
    status = 0
    for path, text in drawn(results.load(options.results)).items():
        if path.exists() and path.read_text(encoding="utf-8") == text:
            continue
        print(f"{path.relative_to(ROOT)} {'is not as drawn' if options.check else 'drawn'}")
        if options.check:
            status = 1
        else:
            path.write_text(text, encoding="utf-8")
    return status


def drawn(answer: dict[str, Any]) -> dict[Path, str]:
    """The files that show results, and what has to be in them."""
    cases = {case["case"]: case for case in answer["cases"]}
    shown = [cases[name] for name in HEADLINES if name in cases]
    runs = [answer["runs"][number] for number in sorted({case["run"] for case in shown})]
    where = "; ".join(map(heading, runs))
    short = (
        "![For each case a bar: how many times as good as the best other library pypeln is]"
        "(docs/images/benchmarks.svg)\n\n"
        f"Medians of whole pipelines from start to end ({where}):\n\n"
        f"{short_table(shown)}\n\n"
        "There is no chunk size to choose: libraries that have one appear with their best. Figures\n"
        "drift with the machine, so compare within a row. All cases and versions are in\n"
        "[docs/benchmarks.md](docs/benchmarks.md).\n"
    )
    full = (
        "![For each case a bar: how many times as good as the best other library pypeln is]"
        f"(images/benchmarks.svg)\n\n{full_tables(answer)}\n"
    )
    return {
        ROOT / "README.md": _between_marks(ROOT / "README.md", short),
        ROOT / "docs" / "benchmarks.md": _between_marks(ROOT / "docs" / "benchmarks.md", full),
        ROOT / "docs" / "images" / "benchmarks.svg": chart(shown, f"Medians; {where}"),
    }


def _between_marks(page: Path, text: str) -> str:
    """The page with `text` in the place of what stands between its marks."""
    before, begin, rest = page.read_text(encoding="utf-8").partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise SystemExit(f"publish.py: {page} has no place for the table: {BEGIN.strip()} ... {END.strip()}")
    return f"{before}{BEGIN}{text}{END}{after}"


if __name__ == "__main__":
    sys.exit(main())
