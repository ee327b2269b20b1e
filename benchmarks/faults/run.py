"""Strikes pypeln and its peers with the same faults: `python benchmarks/faults/run.py --help`."""

from __future__ import annotations

import argparse
import json
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path
from typing import Any

from injected import FAULTS
from job import Fault
from outcomes import Outcome, judge
from peers import CONTENDERS, OLD_VERSION
from peers.contender import Contender
from supervise import run_once, versions
from table import markdown

RESULTS = Path(__file__).resolve().parent / "results.json"


def main(arguments: list[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    own = versions(sys.executable)
    old = versions(options.old_python) if options.old_python else {"contenders": {}}
    results = _earlier(options.json, options.fresh)
    results["python"] = own["python"]
    cells = results["cells"]
    todo = []
    for contender in CONTENDERS:
        if options.contenders and contender.name not in options.contenders:
            continue
        is_old = contender.version == OLD_VERSION
        python, found = (str(options.old_python), old) if is_old else (sys.executable, own)
        if contender.package is not None:
            if contender.name not in found["contenders"]:
                print(f"run.py: {contender.name} is not there, left out", file=sys.stderr)
                continue
            results["versions"][contender.name] = found["contenders"][contender.name]
        todo += [
            (contender, fault, python)
            for fault in FAULTS
            if (not options.faults or fault.name in options.faults)
            and contender.kind in fault.kinds
            and (contender.times_out or not fault.needs_timeout)
            and not (options.missing and contender.name in cells.get(fault.name, {}))
        ]
    with ThreadPoolExecutor(options.at_once) as threads:
        outcomes = threads.map(lambda task: _strike(task, options.watchdog), todo)
        for (contender, fault, _), outcome in zip(todo, outcomes, strict=True):
            cells.setdefault(fault.name, {})[contender.name] = asdict(outcome)
            _show(contender, fault, outcome)
            # Now, not at the end: a comparison takes minutes, and what was seen stays true if it is stopped.
            options.json.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    print(markdown(results))
    return 0


def _strike(task: tuple[Contender, Fault, str], watchdog_s: float) -> Outcome:
    contender, fault, python = task
    return judge(fault, run_once(python, contender.name, fault, watchdog_s))


def _show(contender: Contender, fault: Fault, outcome: Outcome) -> None:
    seconds = "" if outcome.seconds is None else f"{outcome.seconds:.2f} s"
    print(
        f"{contender.name:22} {fault.name:22} {outcome.word:10} {seconds:>8}  {outcome.detail}",
        file=sys.stderr,
        flush=True,
    )


def _earlier(path: Path | None, fresh: bool) -> dict[str, Any]:
    if path is not None and path.exists() and not fresh:
        results = json.loads(path.read_text(encoding="utf-8"))
        assert isinstance(results, dict)
        return results
    return {"python": "", "versions": {}, "cells": {}}


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__.partition(":")[0])
    parser.add_argument(
        "--contenders", type=_names([contender.name for contender in CONTENDERS]), metavar="NAME,..."
    )
    parser.add_argument("--faults", type=_names([fault.name for fault in FAULTS]), metavar="NAME,...")
    parser.add_argument(
        "--old-python", metavar="PATH", help=f"an interpreter with pypeln {OLD_VERSION} installed"
    )
    parser.add_argument(
        "--watchdog", type=float, default=20, help="seconds after which a run has hung (default: 20)"
    )
    parser.add_argument("--at-once", type=int, default=2, help="runs at the same time (default: 2)")
    parser.add_argument(
        "--json",
        type=Path,
        default=RESULTS,
        metavar="FILE",
        help="keeps the results; cells that are not run again stay as they are (default: results.json here)",
    )
    parser.add_argument("--missing", action="store_true", help="run only what has no result yet")
    parser.add_argument("--fresh", action="store_true", help="forget earlier results")
    return parser


def _names(known: list[str]) -> Any:
    def parse(text: str) -> list[str]:
        names = text.split(",")
        for name in names:
            if name not in known:
                raise argparse.ArgumentTypeError(f"there is no {name!r}, choose from {', '.join(known)}")
        return names

    return parse


if __name__ == "__main__":
    sys.exit(main())
