"""Run the real C core under Relacy, a checker of the C11 memory model, and let it notice mistakes.

    python tests/models/mutate.py            ten thousand schedules, and mistakes of each kind
    python tests/models/mutate.py --orders   no swapped steps, each of which is compiled anew: in .ci/run
    python tests/models/mutate.py --full     ten times the schedules, all mistakes, all verdicts

Relacy runs threads in schedules that it chooses, and lets a load see every value that the C11 orders allow,
not only those that this machine's processor does.  The choice is pseudo-random with fixed seeds: a run has
the same outcome everywhere.  What it cannot show: a seq_cst load always sees the last seq_cst store, and no
load sees a store of the future.

Mistakes are of two kinds: a memory order that is weakened (all of them, see weak_orders.py for those that
nothing can notice), and steps that are swapped or left out (c_mutations.py
and holding_mutations.py).

Exit code 1 when a check fails on the core as it is, when a mistake survives, or, with --full, when
weak_orders.py excuses a mistake that is noticed.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from c_mutations import MUTATIONS, Mutation
from holding_mutations import HOLDING
from tools import install
from weak_build import Site, compile_check, copy_sources
from weak_orders import EQUIVALENT, TOGETHER

CHECKS = ["arena", "holding", "lease", "park", "ring"]

LOOKED_AT_BY = {
    "ring.c": ["ring", "lease"],
    "ring_repair.c": ["ring", "lease"],
    "ring_wait.c": ["ring", "lease"],
    "ring_words.h": ["ring", "lease"],
    "park.c": ["park", "ring"],
    "park.h": ["park", "ring"],
    "window.h": ["park"],
    "arena.c": ["arena"],
    "arena_chunks.c": ["arena"],
    "arena_chunks.h": ["arena"],
    "arena_repair.c": ["arena"],
    "holding.c": ["holding"],
}

WATCHDOG_S = 600


def run_check(program: Path, schedules: int, weakened: list[tuple[Site, str]]) -> tuple[bool, str]:
    """Whether the check passes, and its last line."""
    orders = [text for site, order in weakened for text in (str(site.number), order)]
    ran = subprocess.run(
        [str(program), str(schedules), *orders], stdout=subprocess.PIPE, text=True, timeout=WATCHDOG_S
    )
    lines = ran.stdout.strip().splitlines()
    return ran.returncode == 0, lines[-1].removeprefix("FAILED ") if lines else f"exit code {ran.returncode}"


class Report:
    """Counts, and prints what deserves it."""

    def __init__(self, verbose: bool) -> None:
        self.verbose = verbose
        self.noticed = self.excused = self.wrong = 0

    def mistake(self, name: str, said: str | None, excuse: str | None = None) -> None:
        if said is not None and excuse is None:
            self.noticed += 1
            word, why = "noticed ", said
        elif said is not None:
            self.wrong += 1
            word, why = "EXCUSED though noticed ", said
        elif excuse is not None:
            self.excused += 1
            word, why = "excused ", excuse
        else:
            self.wrong += 1
            word, why = "SURVIVED", ""
        if self.verbose or word.isupper() or word.startswith("EXCUSED"):
            print(f"{word} {name}: {why}", flush=True)


def excuse_for(name: str) -> str | None:
    return next((rule.why for rule in EQUIVALENT if re.search(rule.pattern, name)), None)


def first_failure(
    folder: Path, checks: list[str], schedules: int, weakened: list[tuple[Site, str]]
) -> str | None:
    for check in checks:
        passed, said = run_check(folder / check, schedules, weakened)
        if not passed:
            return said
    return None


def weaken_orders(
    folder: Path, sites: list[Site], schedules: int, full: bool, pool: ThreadPoolExecutor, report: Report
) -> None:
    # That nothing notices a mistake takes all schedules to find out: only --full asks again.
    single = [
        (site, order)
        for site in sites
        if site.file in LOOKED_AT_BY
        for order in site.weaker
        if full or excuse_for(f"{site} -> {order}") is None
    ]

    def fails(job: tuple[Site, str]) -> str | None:
        return first_failure(folder, LOOKED_AT_BY[job[0].file], schedules, [job])

    # The same operation may stand twice in a function: an excuse holds when one of them is not noticed.
    found: dict[str, list[str | None]] = {}
    for (site, order), said in zip(single, pool.map(fails, single), strict=True):
        found.setdefault(f"{site} -> {order}", []).append(said)
    for name, all_said in found.items():
        for said in sorted(all_said, key=lambda said: said is None):
            report.mistake(name, said, None if said is not None and None in all_said else excuse_for(name))

    for group in TOGETHER:
        weakened = [
            (site, order)
            for pattern, order in group.weakened
            for site in sites
            if re.search(pattern, str(site))
        ]
        report.mistake(
            f"together: {group.name}", first_failure(folder, list(group.checks), schedules, weakened)
        )


def swap_steps(scratch: Path, schedules: int, full: bool, pool: ThreadPoolExecutor, report: Report) -> None:
    chosen = [mutation for mutation in [*MUTATIONS, *HOLDING] if full or mutation.short]

    def fails(mutation: Mutation) -> str | None:
        folder = Path(tempfile.mkdtemp(dir=scratch))
        copy_sources(folder, [(mutation.file, mutation.old, mutation.new)])
        # What runs for a second is compiled in half of the time.
        passed, said = run_check(compile_check(mutation.check, folder, "-O0"), schedules, [])
        return None if passed else said

    for mutation, said in zip(chosen, pool.map(fails, chosen), strict=True):
        report.mistake(f"{mutation.file}: {mutation.name}", said)


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--full", action="store_true", help="more schedules, all swapped steps, all verdicts")
    parser.add_argument("--orders", action="store_true", help="no swapped steps")
    arguments = parser.parse_args()
    install("relacy-dev", "/usr/include/relacy/relacy.hpp")
    schedules = 100_000 if arguments.full else 10_000
    # Mistakes are noticed within a few hundred schedules, or a few thousand for the rare ones.
    of_mutants = 5_000 if arguments.full else 2_000
    start = time.monotonic()
    report = Report(verbose=arguments.full)
    with tempfile.TemporaryDirectory() as scratch, ThreadPoolExecutor(os.cpu_count()) as pool:
        folder = Path(scratch, "core")
        sites = copy_sources(folder, [])
        list(pool.map(lambda check: compile_check(check, folder), CHECKS))
        for check, (passed, said) in zip(
            CHECKS, pool.map(lambda check: run_check(folder / check, schedules, []), CHECKS), strict=True
        ):
            verdict = f"passed {check}: {schedules} schedules" if passed else f"FAILED {check}: {said}"
            print(verdict, flush=True)
            report.wrong += not passed
        print(f"compiled and checked after {time.monotonic() - start:.0f} s", flush=True)
        weaken_orders(folder, sites, of_mutants, arguments.full, pool, report)
        print(f"orders weakened after {time.monotonic() - start:.0f} s", flush=True)
        if not arguments.orders:
            swap_steps(Path(scratch), of_mutants, arguments.full, pool, report)
    print(f"mistakes: {report.noticed} noticed, {report.excused} that nothing can notice, ", end="")
    print(f"{report.wrong} wrong; {time.monotonic() - start:.0f} s")
    return 1 if report.wrong else 0


if __name__ == "__main__":
    sys.exit(main())
