"""Compares pypeln with its peers: `python benchmarks/run.py --help`."""

from __future__ import annotations

import argparse
import json
import sys
from typing import Any

from cases import MODULES, load_case
from harness import processes
from harness.environment import describe_machine
from harness.report import data, table
from harness.rounds import Interpreters, run_case

OLD_VERSION = "0.4.9"


def main(arguments: list[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    try:
        own, old = _check_interpreters(options.old_python)
    except processes.RunFailed as error:
        print(f"run.py: {error}", file=sys.stderr)
        return 2
    machine = describe_machine()
    print(_heading(machine, own, old, options.repeats, options.quick), flush=True)
    cases = [load_case(name) for name in options.cases]
    known = {contender.name for case in cases for contender in case.contenders}
    if unknown := set(options.contenders or ()) - known:
        print(
            f"run.py: no contender {unknown.pop()!r}, there are: {', '.join(sorted(known))}", file=sys.stderr
        )
        return 2
    interpreters = Interpreters(
        sys.executable, own["packages"], options.old_python, old["packages"] if old else {}
    )
    measured, status = [], 0
    for case in cases:
        rows = run_case(
            case,
            interpreters,
            only=options.contenders,
            repeats=options.repeats,
            quick=options.quick,
            timeout_s=options.timeout,
            progress=_show_progress,
        )
        _show_progress("")
        print(f"\n{table(case, rows)}", flush=True)
        for failure in [row.failed for row in rows if row.failed]:
            print(f"run.py: {failure}", file=sys.stderr)
            status = 1
        measured.append(data(case, rows))
    if options.json:
        answer = {"machine": machine, "own": own, "old": old, "quick": options.quick, "cases": measured}
        with open(options.json, "w", encoding="utf-8") as file:
            json.dump(answer, file, indent=1)
    return status


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description="Compare pypeln with its peers, side by side.")
    parser.add_argument(
        "--cases", type=_case_names, default=list(MODULES), help=f"some of {','.join(MODULES)} (default: all)"
    )
    parser.add_argument(
        "--contenders",
        type=lambda text: text.split(","),
        metavar="NAME,...",
        help="only these (default: all)",
    )
    parser.add_argument(
        "--repeats", type=_positive, default=5, help="fresh processes per contender (default: 5)"
    )
    parser.add_argument(
        "--quick",
        action="store_true",
        help="a few elements, once: shows that all works, says nothing of speed",
    )
    parser.add_argument(
        "--old-python", metavar="PATH", help=f"an interpreter with pypeln {OLD_VERSION} installed"
    )
    parser.add_argument("--json", metavar="FILE", help="also write every sample there")
    parser.add_argument(
        "--timeout",
        type=_positive,
        default=60,
        help="seconds after which a contender has failed (default: 60)",
    )
    return parser


def _case_names(text: str) -> list[str]:
    names = text.upper().split(",")
    for name in names:
        if name not in MODULES:
            raise argparse.ArgumentTypeError(f"there is no case {name!r}, choose from {','.join(MODULES)}")
    return names


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{number} is not a positive number")
    return number


def _check_interpreters(old_python: str | None) -> tuple[dict[str, Any], dict[str, Any] | None]:
    """Describe both interpreters; raises RunFailed where one would run another pypeln than intended."""
    own = processes.describe(sys.executable)
    if own["unfit"]:
        raise processes.RunFailed(own["unfit"])
    if own["packages"]["pypeln"] == OLD_VERSION:
        raise processes.RunFailed(
            f"{sys.executable} has pypeln {OLD_VERSION}: pass it as --old-python and use one with this pypeln"
        )
    if old_python is None:
        return own, None
    old = processes.describe(old_python)
    if old["unfit"] or old["packages"]["pypeln"] != OLD_VERSION:
        found = old["unfit"] or f"it has {old['packages']['pypeln']}"
        raise processes.RunFailed(
            f"--old-python {old_python} must have pypeln {OLD_VERSION} installed: {found}"
        )
    return own, old


def _heading(
    machine: dict[str, Any], own: dict[str, Any], old: dict[str, Any] | None, repeats: int, quick: bool
) -> str:
    packages = ", ".join(f"{name} {version}" for name, version in own["packages"].items() if version)
    lines = [
        f"{machine['processor']}, {machine['cores']} cores, load {machine['load_1_min']}",
        f"{machine['platform']}",
        f"{own['python']}: {packages}",
    ]
    if old is not None:
        lines.append(f"{old['python']}: pypeln {old['packages']['pypeln']} (0.4.9's own environment)")
    lines.append(f"{repeats} fresh processes per contender, interleaved; x: times as good, above 1 is better")
    if quick:
        lines.append("QUICK: too few elements to say anything about speed")
    return "\n".join(lines)


def _show_progress(text: str) -> None:
    if sys.stderr.isatty():
        print(f"\r\x1b[K{text}", end="", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
