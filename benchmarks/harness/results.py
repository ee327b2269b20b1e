"""The file that keeps what was measured: runs, each with its versions and machine, and their cases."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any


def load(path: str | Path) -> dict[str, Any]:
    """Return what the file holds: `runs`, and `cases` that name the run they are from by its place."""
    answer = json.loads(Path(path).read_text(encoding="utf-8"))
    assert isinstance(answer, dict)
    return answer


def update(path: str | Path, run: dict[str, Any], cases: list[dict[str, Any]]) -> None:
    """Put the cases of a run in the place of those of the same names; others stay as they are.

    Ratios are taken within a case, so a case is never made of several runs.
    """
    add(path, {"runs": [run], "cases": [{**case, "run": 0} for case in cases]})


def add(path: str | Path, other: dict[str, Any]) -> None:
    """Put the cases of another file in the place of those of the same names, or behind the others."""
    kept = load(path) if Path(path).exists() else {"runs": [], "cases": []}
    runs = [*kept["runs"], *other["runs"]]
    new = {case["case"]: {**case, "run": case["run"] + len(kept["runs"])} for case in other["cases"]}
    merged = [new.pop(case["case"], case) for case in kept["cases"]] + list(new.values())
    used = sorted({case["run"] for case in merged})
    answer = {
        "runs": [runs[number] for number in used],
        "cases": [{**case, "run": used.index(case["run"])} for case in merged],
    }
    Path(path).write_text(_written(answer), encoding="utf-8")


def _written(answer: dict[str, Any]) -> str:
    """JSON with a line for each run and for each row, so that a change of one is a change of one line."""
    runs = ",\n".join(f"  {json.dumps(run)}" for run in answer["runs"])
    cases = ",\n".join(_case(case) for case in answer["cases"])
    return f'{{"runs": [\n{runs}\n],\n"cases": [\n{cases}\n]}}\n'


def _case(case: dict[str, Any]) -> str:
    head = json.dumps({key: value for key, value in case.items() if key != "rows"})
    rows = ",\n".join(f"   {json.dumps(_short(row))}" for row in case["rows"])
    return f'  {head[:-1]}, "rows": [\n{rows}\n  ]}}'


def _short(value: Any) -> Any:
    """Floats with five significant digits: the rest is noise."""
    if isinstance(value, float):
        return float(f"{value:.5g}")
    if isinstance(value, dict):
        return {key: _short(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_short(item) for item in value]
    return value
