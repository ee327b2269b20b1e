"""Runs one contender once and prints what it measured as one line of JSON: the fresh process of a run.

Started by `harness.processes`, with the interpreter whose packages the contender is to use.
"""

from __future__ import annotations

import argparse
import importlib
import json
import sys

from cases import load_case
from harness.case import Role
from harness.environment import describe_interpreter, require_installed
from harness.resources import cpu_seconds, peak_rss_mib


def measure_once(case_name: str, contender_name: str, workers: int, items: int) -> dict[str, object]:
    case = load_case(case_name)
    contender = case.contender(contender_name)
    for package in contender.packages:
        importlib.import_module(package)
    if contender.role in (Role.PYPELN, Role.OLD):
        require_installed("pypeln")
        for front_end in ("process", "thread", "task"):
            importlib.import_module(f"pypeln.{front_end}")
    sample = case.measure(case, contender, items, workers)
    return {
        "value": sample.value,
        "extra": sample.extra,
        "cpu_s": cpu_seconds(),
        "peak_rss_mib": peak_rss_mib(),
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--describe", action="store_true", help="print what this interpreter has installed")
    parser.add_argument("--case")
    parser.add_argument("--contender")
    parser.add_argument("--workers", type=int)
    parser.add_argument("--items", type=int)
    options = parser.parse_args()
    if options.describe:
        answer = describe_interpreter()
    else:
        answer = measure_once(options.case, options.contender, options.workers, options.items)
    print(json.dumps(answer))
    return 0


if __name__ == "__main__":
    sys.exit(main())
