"""What Windows lacks is refused by name, and what is left needs nothing that it lacks."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

Runner = Callable[[str, str], "subprocess.CompletedProcess[str]"]

REFUSED = {
    "stages of processes": ("list(pr.map(str, [1]))", "of process workers"),
    "stages of tasks": ("list(io.map(str, [1]))", "of task workers"),
    "time-outs of threads": ("list(th.map(str, [1], timeout=1))", "the timeout of stage"),
    "queues between processes": ("pr.IterableQueue()", "a queue between processes"),
    "queues of tasks": ("io.IterableQueue()", "waking an event loop"),
    "namespaces": ("pr.Namespace()", "a Namespace"),
    "the diagnosis": ("os.environ['PYPELN_DEBUG'] = '5'\nlist(th.map(str, [1]))", "PYPELN_DEBUG"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_windows_lacks_is_refused_by_name(what: str, run_as: Runner) -> None:
    body, subject = REFUSED[what]
    result = run_as("windows", body)
    assert result.returncode == 1
    last = result.stderr.splitlines()[-1]
    assert last.startswith("NotImplementedError: ")
    assert subject in last and "cannot be had on Windows yet" in last


def test_threads_and_the_callers_own_need_nothing_that_windows_lacks(run_as: Runner) -> None:
    body = """
queue = th.IterableQueue()
for n in range(1000):
    queue.put(n)
queue.close()
stage = th.flat_map(lambda x: [x, x], sync.filter(lambda x: x % 2, queue), workers=3) | th.ordered
assert list(th.map(lambda x: x + 1, stage, workers=2) | sync.map(lambda x: x - 1)) != []
assert sorted(stage) == []
try:
    list(th.map(lambda x: 1 // x, [0]))
except ZeroDivisionError:
    print("done")
"""
    result = run_as("windows", body)
    assert (result.returncode, result.stdout, result.stderr) == (0, "done\n", "")


def test_the_smoke_test_of_wheels_knows_what_windows_lacks(run_as: Runner) -> None:
    smoke = Path(__file__).resolve().parents[1] / "wheel" / "smoke.py"
    result = run_as("windows", f"import runpy\nrunpy.run_path({str(smoke)!r}, run_name='__main__')")
    assert (result.returncode, result.stderr) == (0, "")
    checks = [line for line in result.stdout.splitlines() if line.startswith("ok: ")]
    assert checks[:4] == ["ok: each kind", "ok: all kinds", "ok: arrays", "ok: refusals"]
