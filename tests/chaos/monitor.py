"""Drives a runner from outside: asks for runs, kills, stops and interrupts processes, and watches over it.

From outside, because whoever kills and stops must not be what is killed and stopped.
"""

from __future__ import annotations

import dataclasses
import json
import os
import random
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from types import TracebackType
from typing import Any

import shapes
import system
from work import STACKS_SIGNAL

# A run that takes longer hangs. Most take a tenth of a second; machines of others are slow at times.
WATCHDOG_S = 60.0
# How long the processes of a killed program may take to go; they are promised to be gone within a second.
ORPHANS_S = 20.0
# How long all stacks may take to be written.
STACKS_S = 1.5


@dataclasses.dataclass
class Outcome:
    """What became of one run.

    Attributes:
        problems: What is wrong with it; each begins with its kind.
        counts: What happened in it, by name.
        seconds: How long it took.
    """

    problems: list[str] = dataclasses.field(default_factory=list)
    counts: Counter[str] = dataclasses.field(default_factory=Counter)
    seconds: float = 0.0
    orphans_s: float = 0.0


class Monitor:
    """A runner, and what is done to it. Used in a `with` block.

    Arguments:
        method: How its processes are started.
    """

    def __init__(self, method: str) -> None:
        self.method = method
        self._folder = Path(tempfile.mkdtemp(prefix="chaos-"))
        self._runner: subprocess.Popen[bytes] | None = None
        self._helpers: set[int] = set()
        self._lines = b""
        self._read_stderr = 0

    def __enter__(self) -> Monitor:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._runner is not None:
            self._end_runner()
        shutil.rmtree(self._folder, ignore_errors=True)

    def run(self, seed: int, weather: str | None) -> Outcome:
        """Run one scenario, and do to it what it says."""
        outcome = Outcome()
        scenario = shapes.scenario_of(seed, self.method, weather)
        if self._runner is None:
            self._start_runner()
        notes = Path(tempfile.mkdtemp(dir=self._folder))
        load = [_busy() for _ in range(2)] if scenario.weather == "load" else []
        began = time.monotonic()
        try:
            self._tell({"seed": seed, "weather": weather, "folder": str(notes)})
            _Run(self, scenario, outcome).drive()
        finally:
            for process in load:
                process.kill()
                process.wait()
            shutil.rmtree(notes, ignore_errors=True)
        outcome.seconds = time.monotonic() - began
        noise = self.stderr_since()
        if noise and scenario.weather != "small" and not outcome.problems:
            outcome.problems.append(f"noise: {noise}")
        return outcome

    @property
    def pid(self) -> int:
        """The runner's."""
        assert self._runner is not None
        return self._runner.pid

    @property
    def helpers(self) -> set[int]:
        """What multiprocessing keeps running beside it."""
        return self._helpers

    def event(self, wait_s: float) -> dict[str, Any] | None:
        """The next thing that the runner says; None when it is silent, `{"event": "gone"}` when dead."""
        assert self._runner is not None and self._runner.stdout is not None
        give_up_at = time.monotonic() + wait_s
        while b"\n" not in self._lines:
            left = give_up_at - time.monotonic()
            if left < 0 or not select.select([self._runner.stdout], [], [], left)[0]:
                return {"event": "gone"} if self._runner.poll() is not None else None
            data = os.read(self._runner.stdout.fileno(), 1 << 16)
            if not data:
                return {"event": "gone"}
            self._lines += data
        line, _, self._lines = self._lines.partition(b"\n")
        event: dict[str, Any] = json.loads(line)
        return event

    def stderr_since(self) -> str:
        """What the runner and its workers have written since the last call."""
        path = self._folder / "stderr"
        with path.open("rb") as file:
            file.seek(self._read_stderr)
            data = file.read()
        self._read_stderr += len(data)
        return data.decode(errors="replace").strip()

    def stacks(self) -> str:
        """Where every process stands."""
        what = system.describe(self.pid)
        self.stderr_since()
        for pid in system.session_of(self.pid).keys() - self._helpers:
            system.send(pid, signal.SIGCONT)
            system.send(pid, STACKS_SIGNAL)
        time.sleep(STACKS_S)
        return f"{what}\n{self.stderr_since()}"

    def end_runner(self) -> None:
        """Kill it with all that it has started; the next run gets a new one."""
        if self._runner is not None:
            self._end_runner()

    def _start_runner(self) -> None:
        self._lines = b""
        stderr = self._folder / "stderr"
        self._read_stderr = 0
        with stderr.open("wb") as file:
            self._runner = subprocess.Popen(
                [sys.executable, str(Path(__file__).with_name("runner.py")), self.method],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=file,
                start_new_session=True,
            )
        if self.event(WATCHDOG_S) != {"event": "ready"}:
            raise RuntimeError(f"the runner does not start:\n{self.stderr_since()}")
        self._helpers = system.session_of(self.pid).keys() - {self.pid}

    def _end_runner(self) -> None:
        assert self._runner is not None
        system.kill_session(self._runner.pid)
        self._runner.wait()
        for pipe in (self._runner.stdin, self._runner.stdout):
            assert pipe is not None
            try:
                pipe.close()
            except BrokenPipeError:
                pass
        self._runner = None

    def _tell(self, what: dict[str, Any]) -> None:
        assert self._runner is not None and self._runner.stdin is not None
        self._runner.stdin.write(json.dumps(what).encode() + b"\n")
        self._runner.stdin.flush()


class _Run:
    """One run: its faults from outside, and its end."""

    def __init__(self, monitor: Monitor, scenario: shapes.Scenario, outcome: Outcome) -> None:
        self.monitor = monitor
        self.scenario = scenario
        self.outcome = outcome
        self._random = random.Random(scenario.seed + 1)
        self._left = scenario.faults
        self._killed: set[int] = set()
        self._continue_at: dict[int, float] = {}
        self._next_fault = float("inf")

    def drive(self) -> None:
        """Until it has ended."""
        over_at = time.monotonic() + WATCHDOG_S
        while True:
            now = time.monotonic()
            if now > over_at:
                self.outcome.counts["hangs"] += 1
                self.outcome.problems.append(f"hang: {self.monitor.stacks()}")
                self.monitor.end_runner()
                return
            event = self.monitor.event(max(0.0, min(self._next(), over_at) - now))
            if event is None:
                self._continue_stopped()
                if time.monotonic() >= self._next_fault and not self._fault():
                    return
                continue
            if event["event"] == "started":
                self._plan_fault()
                continue
            self._continue_stopped(all_of_them=True)
            if event["event"] == "gone":
                self.outcome.problems.append(f"crash: the program is gone: {self.monitor.stderr_since()}")
                self.monitor.end_runner()
            else:
                self._judge(event)
            return

    def _next(self) -> float:
        return min(self._next_fault, *self._continue_at.values(), float("inf"))

    def _plan_fault(self) -> None:
        if self._left <= 0:
            self._next_fault = float("inf")
            return
        self._left -= 1
        self._next_fault = time.monotonic() + self._random.expovariate(1 / self.scenario.pace_s)

    def _fault(self) -> bool:
        """One fault; whether the program lives on."""
        weather, counts = self.scenario.weather, self.outcome.counts
        if weather == "parent":
            self._kill_parent()
            return False
        if weather == "interrupt":
            counts["interrupts"] += 1
            if self._random.random() < 0.5:
                os.killpg(self.monitor.pid, signal.SIGINT)
            else:
                system.send(self.monitor.pid, signal.SIGINT)
        elif weather == "kills":
            victim = self._victim()
            if victim and system.send(victim, signal.SIGKILL):
                self._killed.add(victim)
                counts["kills"] += 1
            elif not victim:
                self._left += 1  # none has started yet
        elif weather == "stops":
            victim = self.monitor.pid if self._random.random() < 0.25 else self._victim()
            if victim and victim not in self._continue_at and system.send(victim, signal.SIGSTOP):
                self._continue_at[victim] = time.monotonic() + 10 ** self._random.uniform(-3, -0.7)
                counts["stops"] += 1
        self._plan_fault()
        return True

    def _victim(self) -> int:
        workers = system.workers_of(self.monitor.pid, self.monitor.helpers)
        return self._random.choice(workers) if workers else 0

    def _continue_stopped(self, all_of_them: bool = False) -> None:
        now = time.monotonic()
        for pid, moment in list(self._continue_at.items()):
            if all_of_them or now >= moment:
                del self._continue_at[pid]
                system.send(pid, signal.SIGCONT)

    def _kill_parent(self) -> None:
        leader = self.monitor.pid
        segments = system.segments_of(leader)
        system.send(leader, signal.SIGKILL)
        began = time.monotonic()
        self.outcome.counts["parent kills"] += 1
        while True:
            left = system.session_of(leader)
            passed = time.monotonic() - began
            if not left:
                break
            if passed > ORPHANS_S:
                self.outcome.problems.append(
                    f"leak: after the death of the program: {system.describe(leader)}"
                )
                break
            time.sleep(0.005)
        self.outcome.orphans_s = passed
        holders = system.who_maps(segments)
        if holders:
            self.outcome.problems.append(f"leak: shared memory after the death of the program: {holders}")
        noise = self.monitor.stderr_since()
        if (
            noise and self.monitor.method == "fork"
        ):  # otherwise there may be interpreters that only just start
            self.outcome.problems.append(f"noise: {noise}")
        self.monitor.end_runner()

    def _judge(self, event: dict[str, Any]) -> None:
        outcome = self.outcome
        outcome.problems += event["problems"]
        outcome.counts["elements"] += event["got"]
        outcome.counts[event["ended"]] += 1
        outcome.counts.update(event["counts"])
        died = event["died"]
        if died is not None:
            outcome.counts["deaths told"] += 1
            if self.scenario.weather == "kills" and died[2] not in self._killed:
                outcome.problems.append(
                    f"unexpected: WorkerDied{tuple(died)}, but killed were {self._killed}"
                )
        if event["problems"]:
            # What it has left behind is not to become the next run's.
            self.monitor.end_runner()


def _busy() -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-S", "-c", "while True: pass"])
