"""What the pages show is what was measured, and what was measured keeps its machine and versions."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"
sys.path.insert(0, str(BENCHMARKS))

import publish  # noqa: E402
from harness import results  # noqa: E402
from harness.chart import chart  # noqa: E402
from harness.published import columns_of, full_tables, short_table, table  # noqa: E402


def row(contender: str, role: str, *values: float, workers: int = 1, **extra: float) -> dict[str, Any]:
    return {
        "contender": contender,
        "role": role,
        "workers": workers,
        "items": 10,
        "median": sorted(values)[len(values) // 2] if values else None,
        "samples": [{"value": value, "extra": extra} for value in values],
        "not_run": None if values else "it is not installed",
        "failed": None,
    }


def case(name: str, *rows: dict[str, Any], higher_is_better: bool = True) -> dict[str, Any]:
    return {
        "case": name,
        "title": f"what {name} measures",
        "unit": "items/s" if higher_is_better else "ms",
        "higher_is_better": higher_is_better,
        "rows": list(rows),
    }


def run_on(processor: str, load: float = 0.1) -> dict[str, Any]:
    return {
        "date": "2030-01-01",
        "machine": {"processor": processor, "cores": 2, "platform": "Linux", "load_1_min": load},
        "own": {"python": "CPython 3.12.1", "packages": {"pypeln": "1.0"}},
        "old": None,
    }


P1 = case(
    "P1",
    row("pypeln", "pypeln", 4e6, 2e6, 3e6),
    row("Pool chunk 1", "peer", 1e3),
    row("Pool chunk 64", "peer", 1.5e6),
    row("by hand", "ceiling", 6e6),
    row("pypeln 0.4.9", "pypeln 0.4.9"),
)


def test_the_pages_show_what_the_committed_file_says() -> None:
    for path, text in publish.drawn(results.load(publish.RESULTS)).items():
        assert path.read_text(encoding="utf-8") == text, f"{path.name}: run python benchmarks/publish.py"


def test_the_check_of_the_command_finds_a_page_that_differs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "docs" / "images").mkdir(parents=True)
    for page in ("README.md", "docs/benchmarks.md"):
        (tmp_path / page).write_text(f"before\n{publish.BEGIN}old\n{publish.END}after\n")
    monkeypatch.setattr(publish, "ROOT", tmp_path)
    file = tmp_path / "results.json"
    results.update(file, run_on("A"), [P1])
    arguments = ["--results", str(file)]
    assert publish.main([*arguments, "--check"]) == 1
    assert "old" in (tmp_path / "README.md").read_text()
    assert publish.main(arguments) == 0
    assert publish.main([*arguments, "--check"]) == 0
    page = (tmp_path / "README.md").read_text()
    assert page.startswith("before\n") and page.endswith("after\n")
    assert "what P1 measures" in page and "old" not in page.replace("pypeln", "")


def test_the_short_table_names_the_best_library_and_leaves_out_what_did_not_run() -> None:
    line = short_table([P1]).splitlines()[2]
    assert [cell.strip() for cell in line.split("|")[1:-1]] == [
        "what P1 measures",
        "**3.00M items/s**",
        "1.50M items/s (Pool chunk 64)",
        "6.00M items/s",
        "-",
    ]


def test_the_full_table_has_medians_half_the_spread_and_the_ratio_to_the_best_library() -> None:
    lines = table(columns_of(P1)).splitlines()
    assert lines[2] == "| pypeln | **3.00M ±33 %** (2.00x) |"
    assert not any(line.startswith("| pypeln 0.4.9") for line in lines)


def test_where_less_is_better_the_ratio_is_turned_round() -> None:
    start = case("P5", row("pypeln", "pypeln", 10), row("Pool", "peer", 20), higher_is_better=False)
    (column,) = columns_of(start)
    assert column.ratio(column.row("pypeln"), column.row("Pool")) == 2


def test_sizes_of_a_case_share_a_table(tmp_path: Path) -> None:
    file = tmp_path / "results.json"
    sizes = [case(f"P1-1E{power}", row("pypeln", "pypeln", power)) for power in (4, 5)]
    results.update(file, run_on("A"), sizes)
    text = full_tables(results.load(file))
    assert "| items/s | 10⁴ elements | 10⁵ elements |" in text
    assert "| pypeln | **4.00** | **5.00** |" in text


def test_a_busy_machine_is_named_as_one(tmp_path: Path) -> None:
    file = tmp_path / "results.json"
    results.update(file, run_on("A", load=3.2), [P1])
    assert "BUSY machine with load 3.2" in full_tables(results.load(file))


def test_a_case_that_is_run_again_replaces_itself_and_keeps_its_own_machine(tmp_path: Path) -> None:
    file = tmp_path / "results.json"
    results.update(file, run_on("A"), [P1, case("P5")])
    results.update(file, run_on("B"), [case("P5"), case("T1")])
    answer = results.load(file)
    machines = [answer["runs"][one["run"]]["machine"]["processor"] for one in answer["cases"]]
    assert [one["case"] for one in answer["cases"]] == ["P1", "P5", "T1"]
    assert machines == ["A", "B", "B"]
    results.update(file, run_on("C"), [P1])
    assert [run["machine"]["processor"] for run in results.load(file)["runs"]] == ["B", "C"]


def test_cases_of_another_machine_are_added_from_its_file(tmp_path: Path) -> None:
    file, other = tmp_path / "results.json", tmp_path / "other.json"
    results.update(file, run_on("A"), [P1])
    results.update(other, run_on("B"), [case("W-P1")])
    results.add(file, results.load(other))
    answer = results.load(file)
    assert [answer["runs"][one["run"]]["machine"]["processor"] for one in answer["cases"]] == ["A", "B"]


def test_the_chart_is_well_formed_and_has_both_themes() -> None:
    picture = chart([P1, case("P9", row("pypeln", "pypeln", 1))], "where & when")
    texts = [node.text for node in ElementTree.fromstring(picture).iter("{http://www.w3.org/2000/svg}text")]
    assert "2.00x" in texts and "P1" in texts and "where & when" in texts
    assert "P9" not in texts  # nothing to compare with
    assert "prefers-color-scheme:dark" in picture


def faults_table(*arguments: str | Path) -> int:
    command = [sys.executable, BENCHMARKS / "faults" / "table.py", *arguments]
    return subprocess.run(command, capture_output=True, check=False).returncode


def test_the_page_on_reliability_shows_the_faults_that_were_committed(tmp_path: Path) -> None:
    assert faults_table("--check") == 0, "run python benchmarks/faults/table.py"
    page = tmp_path / "page.md"
    page.write_text("before\n<!-- faults table: begin -->\nold\n<!-- faults table: end -->\nafter\n")
    assert faults_table("--page", page, "--check") == 1
    assert faults_table("--page", page) == 0
    assert faults_table("--page", page, "--check") == 0
    assert page.read_text().startswith("before\n") and "| worker killed while" in page.read_text()
    page.write_text("no marks\n")
    assert faults_table("--page", page) == 2
