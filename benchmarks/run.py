"""Compares pypeln with its peers: `python benchmarks/run.py --help`."""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace
from datetime import date
from fnmatch import fnmatchcase
from math import inf
from time import perf_counter
from typing import Any

from cases import MODULES, load_case
from harness import processes, results
from harness.case import Case
from harness.environment import describe_machine
from harness.report import data, table
from harness.rounds import Interpreters, Rounds, Row, rows_of

OLD_VERSION = "0.4.9"
NO_TIME = "no time was left"


def main(arguments: list[str] | None = None) -> int:
    options = parse(arguments)
    try:
        own, old = _check_interpreters(options.old_python)
    except processes.RunFailed as error:
        print(f"run.py: {error}", file=sys.stderr)
        return 2
    machine = describe_machine()
    print(_heading(machine, own, old, options.repeats, options.quick), flush=True)
    cases = [load_case(name) for name in options.cases]
    if options.workers:
        cases = [replace(case, workers=options.workers) for case in cases]
    known = {contender.name for case in cases for contender in case.contenders}
    if unknown := set(options.contenders or ()) - known:
        print(
            f"run.py: no contender {unknown.pop()!r}, there are: {', '.join(sorted(known))}", file=sys.stderr
        )
        return 2
    interpreters = Interpreters(
        sys.executable, own["packages"], options.old_python, old["packages"] if old else {}
    )
    rounds = Rounds(
        interpreters,
        timeout_s=options.timeout,
        progress=_show_progress,
        at_once=machine["cores"] if options.quick else 1,
    )
    blocks = [(case, rows_of(case, only=options.contenders, quick=options.quick)) for case in cases]
    # Within a time, each round runs all cases, so that all of them get their share of it.
    together = [blocks] if options.minutes else [[block] for block in blocks]
    status = 0
    for some in together:
        measure_rounds(rounds, some, options.repeats, options.minutes)
        for case, rows in some:
            print(f"\n{table(case, rows)}", flush=True)
            for failure in [row.failed for row in rows if row.failed]:
                print(f"run.py: {failure}", file=sys.stderr)
                status = 1
    if options.json:
        run = {
            "date": date.today().isoformat(),
            "quick": options.quick,
            "machine": machine,
            "own": _versions(own),
            "old": old and _versions(old),
        }
        had_time = [block for block in blocks if any(row.not_run != NO_TIME for row in block[1])]
        results.update(options.json, run, [data(*block) for block in had_time])
    return status


def measure_rounds(
    rounds: Rounds, blocks: list[tuple[Case, list[Row]]], repeats: int, minutes: float | None
) -> None:
    """Run rounds of all `blocks`, as many as `repeats`, or fewer where another would not end in time.

    Cases for which there is no time even in the first round are marked as not run.
    """
    end = perf_counter() + 60 * minutes if minutes else inf
    longest_s = 0.0
    for number in range(1, repeats + 1):
        round_start = perf_counter()
        if round_start + longest_s > end:
            break
        for case, rows in blocks:
            if perf_counter() < end:
                rounds.add(case, rows, f"{number}/{repeats}")
            elif number == 1:
                for row in rows:
                    row.not_run = NO_TIME
        longest_s = max(longest_s, perf_counter() - round_start)
    _show_progress("")


def parse(arguments: list[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description="Compare pypeln with its peers, side by side.")
    parser.add_argument(
        "--cases",
        type=_case_names,
        default=list(MODULES),
        help=f"names, or patterns as P3-*, of {','.join(MODULES)} (default: all)",
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
        "--workers",
        type=lambda text: tuple(map(_positive, text.split(","))),
        metavar="1,2,...",
        help="these counts instead of those of each case",
    )
    parser.add_argument(
        "--minutes",
        type=float,
        metavar="M",
        help="all cases once, then again as long as a round still ends in this time, --repeats times at most",
    )
    parser.add_argument(
        "--quick",
        action="store_true",
        help="a few elements, several contenders at once: shows that all works, says nothing of speed",
    )
    parser.add_argument(
        "--old-python", metavar="PATH", help=f"an interpreter with pypeln {OLD_VERSION} installed"
    )
    parser.add_argument(
        "--json",
        metavar="FILE",
        help="also write every sample there; cases that are not run stay as they are",
    )
    parser.add_argument(
        "--timeout",
        type=_positive,
        default=60,
        help="seconds after which a contender has failed (default: 60)",
    )
    return parser.parse_args(arguments)


def _case_names(text: str) -> list[str]:
    names: dict[str, None] = {}  # in the order given, each once
    for pattern in text.upper().split(","):
        found = [name for name in MODULES if fnmatchcase(name, pattern)]
        if not found:
            raise argparse.ArgumentTypeError(f"there is no case {pattern!r}, choose from {','.join(MODULES)}")
        names.update(dict.fromkeys(found))
    return list(names)


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


def _versions(interpreter: dict[str, Any]) -> dict[str, Any]:
    """What is worth keeping: where an interpreter lies is nobody's business."""
    packages = {name: version for name, version in interpreter["packages"].items() if version}
    return {"python": interpreter["python"], "packages": packages}


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
