"""Chaos: pipelines of random shape under random faults, and every element, process and byte accounted for.

    python tests/chaos/run.py --seconds 60                      as many runs as fit
    python tests/chaos/run.py --repeat 1234 --weather kills     one of them again
    python tests/chaos/run.py --long-kill 100000                many elements under SIGKILL, with restart
    python tests/chaos/run.py --long-kill 100000 --payload arrays

Each run follows from a number: the stages, the elements, what goes wrong. When it goes wrong does not, so
that a run may have to be repeated several times (`--times`).
"""

from __future__ import annotations

import argparse
import multiprocessing
import sys
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import long_kill
import shapes
from monitor import Monitor, Outcome

METHODS = {"fork": 0.7, "forkserver": 0.15, "spawn": 0.15}
COLUMNS = ("elements", "kills", "stops", "interrupts", "parent kills", "left", "restarts", "retries")
FAILURES = (
    "hang",
    "lost",
    "duplicated",
    "corrupted",
    "disorder",
    "leak",
    "swallowed",
    "unexpected",
    "noise",
    "crash",
    "stats",
)


class Totals:
    """The figures of all runs, by weather. Used by several threads."""

    def __init__(self) -> None:
        self.rows: dict[str, Counter[str]] = {weather: Counter() for weather in shapes.WEATHERS}
        self.failed = 0
        self.slowest = 0.0, ""
        self.orphans_s = 0.0
        self._lock = threading.Lock()

    def add(self, weather: str, outcome: Outcome, which: str) -> None:
        """One more run, and the options that say which."""
        with self._lock:
            row = self.rows[weather]
            row["runs"] += 1
            row.update(outcome.counts)
            row.update(problem.partition(":")[0] for problem in outcome.problems)
            self.failed += bool(outcome.problems)
            self.slowest = max(self.slowest, (outcome.seconds, which))
            self.orphans_s = max(self.orphans_s, outcome.orphans_s)

    def __str__(self) -> str:
        total = sum(self.rows.values(), Counter())
        columns = ["runs", *COLUMNS, *FAILURES]
        widths = [max(len(column), 7) for column in columns]
        lines = [
            "  ".join(
                ["weather".ljust(9), *(f"{column:>{w}}" for column, w in zip(columns, widths, strict=True))]
            )
        ]
        for name, row in [*self.rows.items(), ("all", total)]:
            if row:
                cells = (f"{row[column]:>{w}}" for column, w in zip(columns, widths, strict=True))
                lines.append("  ".join([name.ljust(9), *cells]))
        lines.append("the slowest run took {:.1f} s: {}".format(*self.slowest))
        if total["parent kills"]:
            lines.append(f"after the death of a program its workers were gone within {self.orphans_s:.3f} s")
        return "\n".join(lines)


class Chaos:
    """Runs, side by side, until the time is over."""

    def __init__(self, seed: int, methods: list[str], weather: str | None) -> None:
        self.totals = Totals()
        self._seed = seed
        self._methods = methods
        self._weather = weather
        self._lock = threading.Lock()

    def run_for(self, seconds: float, jobs: int) -> None:
        """As many runs as fit into this time."""
        over_at = time.monotonic() + seconds
        with ThreadPoolExecutor(jobs) as threads:
            for done in [threads.submit(self._work, over_at) for _ in range(jobs)]:
                done.result()

    def _work(self, over_at: float) -> None:
        began = time.monotonic()
        seconds = over_at - began
        shares = {method: METHODS[method] for method in self._methods}
        for method in self._methods:
            # The time, not the runs, is what is dealt out: what starts slowly has fewer.
            until = min(over_at, time.monotonic() + seconds * shares[method] / sum(shares.values()))
            with Monitor(method) as monitor:
                while time.monotonic() < until:
                    with self._lock:
                        self._seed += 1
                        seed = self._seed
                    self.run_one(monitor, seed)

    def run_one(self, monitor: Monitor, seed: int) -> Outcome:
        """One run, counted, and told of when something is wrong."""
        outcome = monitor.run(seed, self._weather)
        drawn = shapes.scenario_of(seed, monitor.method, self._weather).weather
        weather = f" --weather {self._weather}" if self._weather else ""
        which = f"--repeat {seed}{weather} --start-method {monitor.method}"
        self.totals.add(drawn, outcome, which)
        if outcome.problems:
            with self._lock:
                print(f"\nFAILED ({drawn}): repeat with", file=sys.stderr)
                print(f"    python tests/chaos/run.py {which}", file=sys.stderr)
                for problem in outcome.problems[:5]:
                    print("  " + problem[:6000].replace("\n", "\n    "), file=sys.stderr, flush=True)
        return outcome


def main() -> int:
    """The command line; the exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=60, help="how long to go on")
    parser.add_argument("--seed", type=int, default=None, help="where the numbers of the runs begin")
    parser.add_argument("--start-method", choices=[*METHODS, "all"], default="all")
    parser.add_argument("--weather", choices=list(shapes.WEATHERS), help="only this kind of fault")
    parser.add_argument("--jobs", type=int, default=2, help="programs that run side by side")
    parser.add_argument("--repeat", type=int, metavar="SEED", help="one run again")
    parser.add_argument("--times", type=int, default=1, help="how often to repeat it")
    parser.add_argument("--show", action="store_true", help="print what the repeated run is")
    parser.add_argument(
        "--long-kill", type=int, nargs="?", const=100_000, metavar="N", help="so many elements"
    )
    parser.add_argument("--payload", choices=list(long_kill.PAYLOADS), default="tuples", help="of these")
    parser.add_argument(
        "--pause", type=float, default=0.03, help="seconds between two of its kills, on average"
    )
    arguments = parser.parse_args()
    methods = list(METHODS) if arguments.start_method == "all" else [arguments.start_method]
    seed = arguments.seed if arguments.seed is not None else time.time_ns() % 1_000_000_000
    if arguments.long_kill is not None:
        multiprocessing.set_start_method(methods[0])
        return long_kill.run(arguments.long_kill, arguments.payload, arguments.pause, seed)
    chaos = Chaos(seed, methods, arguments.weather)
    if arguments.repeat is not None:
        with Monitor(methods[0]) as monitor:
            for _ in range(arguments.times):
                if arguments.show:
                    scenario = shapes.scenario_of(arguments.repeat, methods[0], arguments.weather)
                    print(scenario)
                chaos.run_one(monitor, arguments.repeat)
    else:
        print(f"seed {seed}", flush=True)
        chaos.run_for(arguments.seconds, arguments.jobs)
    print(chaos.totals)
    return 1 if chaos.totals.failed else 0


if __name__ == "__main__":
    sys.exit(main())
