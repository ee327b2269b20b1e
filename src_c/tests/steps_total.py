"""Runs every test_*_steps program of a build and prints what all of them have tried, as a table.

python src_c/tests/steps_total.py BUILD            what ctest tries
python src_c/tests/steps_total.py BUILD --all      every instruction, everywhere: minutes
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from pathlib import Path

COLUMNS = ("points", "stuck", "lost", "doubled", "leaked")
WHAT = {
    "test_kill_steps": "killed at an instruction of an operation",
    "test_rival_steps": "killed after a rival moved between instructions",
    "test_wait_steps": "killed while waiting or waking",
    "test_repair_steps": "killed while repairing rings, leases, blocks",
    "test_arena_steps": "killed in the arena, or while repairing it",
    "test_holding_steps": "killed while holding, lending, giving back",
    "test_stop_steps": "stopped at an instruction, continued later",
}


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("build", type=Path, help="build folder, made with -DPYPELN_TESTS=ON")
    parser.add_argument("--all", action="store_true", help="every instruction, everywhere")
    options = parser.parse_args()
    environment = os.environ | ({"PYPELN_STEPS_EVERY": "1"} if options.all else {})
    totals = [0] * len(COLUMNS)
    failed = False
    print(f"{'a process is':48}" + "".join(f"{column:>10}" for column in COLUMNS), flush=True)
    for name, what in WHAT.items():
        program = options.build / "src_c" / "tests" / name
        result = subprocess.run([program], env=environment, stdout=subprocess.PIPE, text=True)
        failed |= result.returncode != 0
        rows = [line.split() for line in result.stdout.splitlines() if line.startswith("total ")]
        if not rows:
            print(f"{what:48}  {result.stdout.strip() or 'failed'}")
            continue
        numbers = [int(number) for number in rows[0][1:]]
        totals = [total + number for total, number in zip(totals, numbers, strict=True)]
        print(f"{what:48}" + "".join(f"{number:>10}" for number in numbers), flush=True)
    print(f"{'total':48}" + "".join(f"{total:>10}" for total in totals))
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
