"""Kills and stops the processes of a pipeline at every fault point, and checks how the run ends.

    python tests/fault_points/run.py                     build with fault points, then the short form
    python tests/fault_points/run.py --package FOLDER    with a package that was built with them
    python tests/fault_points/run.py --fork              only with processes that are forked
    python tests/fault_points/run.py --long              every point with every start method

What is checked: with restart every result comes, once and in order, and each stage's account is exact;
without, the run ends with WorkerDied or is complete; a program that is killed leaves no process behind; a
process that is stopped is waited for, and the run goes on when it does. A point that is never hit is an
error.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
import uuid
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).resolve().parents[1])]

from support.variant import add_build_option, install_variant  # noqa: E402

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = Path(__file__).with_name("program.py")
WATCHDOG_S = 60

# Points that the death of a worker brings its parent to.
AFTER_DEATH = "f begun:worker:2:kill"


class Strike(NamedTuple):
    """One run of the program, and what happens in it."""

    start_method: str
    scenario: str
    point: str = ""
    who: str = "worker"
    hit: int = 1
    action: str = "kill"
    before: str = ""  # a strike that must come first

    def __str__(self) -> str:
        return (
            f"{self.start_method}, {self.scenario}: {self.action} {self.who} at '{self.point}' no. {self.hit}"
        )


class Report(NamedTuple):
    """How it ended."""

    strike: Strike
    struck: bool
    problem: str  # "" when it ended as it should
    hits: Counter[tuple[str, str]]


def declared_points() -> set[str]:
    """Every point that is marked somewhere in the sources."""
    marks = re.compile(r"""(?:PP_FAULT_POINT|\bfault_point)\(b?"([^"]+)"\)""")
    files = [*ROOT.glob("src_c/*.c"), *ROOT.glob("pypeln/**/*.py"), *ROOT.glob("pypeln/**/*.pyx")]
    return {name for file in files for name in marks.findall(file.read_text())}


def processes_with(token: str) -> Iterator[int]:
    """Who has the token in its environment, zombies excepted."""
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                if token.encode() in (entry / "environ").read_bytes():
                    yield int(entry.name)
            except OSError:  # gone, or not ours
                continue


def state_of(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (OSError, IndexError):
        return ""


def wait_until_gone(token: str) -> bool:
    give_up_at = time.monotonic() + WATCHDOG_S / 2
    while any(state_of(pid) not in ("Z", "X", "") for pid in processes_with(token)):
        if time.monotonic() > give_up_at:
            return False
        time.sleep(0.01)
    return True


def hit_counts(folder: Path) -> Counter[tuple[str, str]]:
    counts: Counter[tuple[str, str]] = Counter()
    for file in folder.iterdir():
        point, _, who = file.name.rpartition(".")
        counts[point, who] = file.stat().st_size
    return counts


def strike_once(package: Path, strike: Strike) -> Report:
    """Run the program with one strike, and judge it."""
    with tempfile.TemporaryDirectory() as scratch:
        hits = Path(scratch, "hits")
        hits.mkdir()
        token = f"PYPELN_FAULT_TOKEN={uuid.uuid4().hex}"
        plan = f"{strike.point}:{strike.who}:{strike.hit}:{strike.action}"
        environment = os.environ | {
            "PYTHONPATH": str(package),
            "PYPELN_FAULT_HITS": str(hits),
            "PYPELN_FAULT": ",".join(filter(None, (strike.before, plan if strike.point else ""))),
            **dict([token.split("=")]),
        }
        command = [sys.executable, str(PROGRAM), strike.start_method, strike.scenario, scratch]
        process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        try:
            problem = await_stopped(process, token, strike) if strike.action == "stop" else ""
            output, errors = process.communicate(timeout=WATCHDOG_S)
        except subprocess.TimeoutExpired:
            output, errors, problem = b"", b"", "it hangs"
        finally:
            if process.poll() is None:
                process.kill()
                process.communicate()
        if not wait_until_gone(token):
            problem = problem or "processes are left behind"
            for pid in processes_with(token):
                os.kill(pid, signal.SIGKILL)
        counts = hit_counts(hits)
        struck = counts[strike.point, strike.who] >= strike.hit
        if not problem:
            problem = judge(strike, struck, process.returncode, output, errors)
        return Report(strike, struck, problem, counts)


def await_stopped(process: subprocess.Popen[bytes], token: str, strike: Strike) -> str:
    """Let the run go on beside a process that has stopped itself, then continue that."""
    give_up_at = time.monotonic() + WATCHDOG_S
    while time.monotonic() < give_up_at and process.poll() is None:
        stopped = [pid for pid in processes_with(token) if state_of(pid) == "T"]
        if not stopped:
            time.sleep(0.01)
            continue
        # Long enough for whoever goes by the clock to lose patience.
        time.sleep(0.3)
        there = state_of(stopped[0]) == "T"
        if there:
            os.kill(stopped[0], signal.SIGCONT)
        return "" if there else "a stopped process was treated as dead"
    return ""


def judge(strike: Strike, struck: bool, code: int, output: bytes, errors: bytes) -> str:
    """What is wrong with how the program ended; "" when nothing is."""
    if struck and strike.who == "parent" and strike.action == "kill":
        return "" if code == -signal.SIGKILL else f"the program ended with {code}"
    if code != 0:
        return f"the program ended with {code}:\n{errors.decode(errors='replace')}"
    outcome = json.loads(output.decode().splitlines()[-1])
    problem = judge_outcome(strike, struck, outcome) or judge_accounts(strike, outcome)
    if not problem and outcome["children"]:
        problem = "children are left"
    return f"{problem}\n{outcome}\n{errors.decode(errors='replace')}" if problem else ""


def judge_outcome(strike: Strike, struck: bool, outcome: dict[str, Any]) -> str:
    from program import expected

    error = outcome.get("error")
    if strike.scenario == "broken":
        allowed = {"LookupError", "WorkerDied"} if struck and strike.action == "kill" else {"LookupError"}
        return "" if error in allowed else f"the error is {error}"
    if error is not None:
        # What `ordered` holds cannot be had again, so its worker is not replaced.
        final = strike.scenario == "raise" or "ordered" in outcome["message"]
        if error == "WorkerDied" and struck and strike.action == "kill" and final:
            return ""
        return f"the error is {error}: {outcome['message']}"
    return "" if outcome["results"] == expected() else "the results are wrong"


def judge_accounts(strike: Strike, outcome: dict[str, Any]) -> str:
    from program import CHILDREN, ELEMENTS

    complete = outcome.get("error") is None
    taken = {"map": ELEMENTS, "flat_map": ELEMENTS, "filter": ELEMENTS * CHILDREN}
    for stats in outcome["stats"]:
        ended = sum(stats[name] for name in ("emitted", "filtered", "failed", "timed_out", "lost"))
        wanted = next((n for name, n in taken.items() if stats["name"].startswith(name)), None)
        if complete and stats["taken"] != ended:
            return f"the account of {stats['name']} does not balance"
        if complete and wanted is not None and stats["taken"] != wanted:
            return f"{stats['name']} counts {stats['taken']} elements, not {wanted}"
    return ""


def plan_strikes(hits: dict[tuple[str, str], Counter[tuple[str, str]]], long: bool) -> list[Strike]:
    """What to try, from what undisturbed runs have hit."""
    strikes: list[Strike] = []
    for (method, scenario), counts in hits.items():
        for (point, who), count in sorted(counts.items()):
            if not point:
                continue
            first, middle = Strike(method, scenario, point, who), max(1, count // 2)
            if scenario == "raise" and who == "worker":
                strikes.append(first)
                strikes.append(first._replace(hit=middle, action="stop"))
            elif scenario == "raise":
                strikes.append(first._replace(hit=middle))
                if long:
                    strikes.append(first._replace(hit=middle, action="stop"))
            elif scenario == "restart" and who == "worker":
                nth = range(1, count + 1, max(1, count // 8)) if long else {1, middle, count}
                strikes += [first._replace(hit=n) for n in nth]
            elif point.startswith("error") or "late" in point:
                strikes.append(first)
    if not long:
        # A process that is spawned differs in how it begins and ends.
        own = ("process", "stage", "on_", "worker", "inlet", "outlets", "end", "f begun", "slot claimed")
        strikes = [each for each in strikes if each.start_method == "fork" or each.point.startswith(own)]
        strikes = [each for each in strikes if each.start_method == "fork" or each.hit == 1]
    return strikes


def after_death_strikes(
    method: str, counts: Counter[tuple[str, str]], seen: Counter[tuple[str, str]]
) -> list[Strike]:
    """At the points that are only passed after a death."""
    found = []
    for point, who in counts:
        if seen[point, who] == 0 and point:
            actions = ("kill",) if who == "worker" else ("kill", "stop")
            found += [Strike(method, "restart", point, who, 1, each, AFTER_DEATH) for each in actions]
    return found


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--package", type=Path, help="a folder with a pypeln that was built with fault points"
    )
    parser.add_argument("--fork", action="store_true", help="only with processes that are forked")
    parser.add_argument("--long", action="store_true", help="every point with every start method")
    parser.add_argument("--only", default="", help="only points whose name contains this")
    add_build_option(parser)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        if options.package is None:
            print("building pypeln with fault points", flush=True)
            options.package = Path(folder)
            install_variant(options.package, options.build_dir, PYPELN_FAULT_POINTS="ON", PYPELN_SANITIZE="")
        return run(options.package, options.fork, options.long, options.only)


def run(package: Path, fork: bool, long: bool, only: str) -> int:
    methods = ("fork",) if fork else ("fork", "forkserver", "spawn") if long else ("fork", "spawn")
    package = package.resolve()
    reports: list[Report] = []
    with ThreadPoolExecutor(os.cpu_count()) as pool:

        def strike_all(strikes: list[Strike]) -> list[Report]:
            found = list(pool.map(lambda each: strike_once(package, each), strikes))
            for report in found:
                if report.problem:
                    print(f"FAILED {report.strike}\n{report.problem}", flush=True)
            reports.extend(found)
            return found

        undisturbed = [Strike(method, scenario) for method in methods for scenario in ("raise", "restart")]
        undisturbed += [Strike("fork", "broken"), Strike("fork", "late")]
        hits = {
            (each.strike.start_method, each.strike.scenario): each.hits for each in strike_all(undisturbed)
        }
        strikes = plan_strikes(hits, long)
        for method in methods:
            (death,) = strike_all([Strike(method, "restart", "f begun", "worker", 2)])
            strikes += after_death_strikes(method, death.hits, hits[method, "restart"])
        strike_all([each for each in strikes if only in each.point])
    points = declared_points()
    every_hit: Counter[tuple[str, str]] = sum((report.hits for report in reports), Counter())
    never = sorted(points - {point for point, _ in every_hit})
    for point in never if not only else []:
        print(f"FAILED the fault point '{point}' was never hit")
    failed = sum(bool(report.problem) for report in reports)
    struck = sum(report.struck for report in reports if report.strike.point)
    print(
        f"{len(points)} fault points, {struck} strikes in {len(reports)} runs, "
        f"{failed} of which ended wrongly"
    )
    return 1 if failed or (never and not only) or not struck else 0


if __name__ == "__main__":
    sys.exit(main())
