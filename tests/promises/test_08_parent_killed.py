"""Workers go when their parent is killed, whatever they are doing, and take all shared memory with them."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest
from support.fronts import METHODS
from support.notes import wait_until
from support.pipeline_program import pipeline_program
from support.process_table import is_alive, state

BUSY = {
    "asleep": "time.sleep(1000)",
    "computing": "[None for _ in iter(int, 1)]",
    "deaf": "[signal.signal(n, signal.SIG_IGN) for n in (signal.SIGTERM, signal.SIGHUP, signal.SIGIO)]\n"
    "    time.sleep(1000)",
    "with children": "os.fork() or time.sleep(0.01)\n    time.sleep(1000)",
}


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("busy", BUSY)
def test_promise_08_workers_die_with_a_parent_that_is_killed(busy: str, method: str, tmp_path: Path) -> None:
    if method != "fork" and busy != "deaf":
        pytest.skip("how workers start matters to how they notice, not to what they were doing")
    body = f"""
def f(x):
    say(os.getpid())
    {BUSY[busy]}
"""
    body += "\nlist(pr.map(f, range(10), workers=3, maxsize=1))"
    shared = set(Path("/dev/shm").iterdir())
    with pipeline_program(tmp_path, body, method) as running:
        pids = {int(running.wait_for_line()) for _ in range(3)}
        assert all(is_alive(pid) for pid in pids)
        running.signal(signal.SIGKILL)
        wait_until(lambda: not any(is_alive(pid) for pid in pids), "the workers have gone with their parent")
    assert [path for path in set(Path("/dev/shm").iterdir()) - shared if "pypeln" in path.name] == []


def test_promise_08_workers_that_wait_die_with_a_parent_that_is_killed(tmp_path: Path) -> None:
    """In the queue, with nothing to do: some for elements, some for room."""
    body = """
def nothing():
    yield from range(4)
    while True:
        time.sleep(0.01)
def f(x):
    say(os.getpid())
    return x
stage = pr.map(f, pr.map(f, nothing(), workers=2), workers=2, maxsize=1)
elements = stage.to_iterable(maxsize=1)
next(elements)
time.sleep(1000)
"""
    with pipeline_program(tmp_path, body) as running:
        for _ in range(5):
            running.wait_for_line()
        workers = set(running.workers)
        assert len(workers) == 4
        running.signal(signal.SIGKILL)
        wait_until(
            lambda: not any(is_alive(pid) for pid in workers), "the workers have gone with their parent"
        )


def test_promise_08_two_runs_and_a_child_of_the_user_do_not_keep_each_others_workers(tmp_path: Path) -> None:
    """A fork inherits what its parent has open, also that by which workers of other runs notice its end."""
    body = """
def f(x):
    say(os.getpid())
    if x == 0:
        time.sleep(1000)
    return x
threads = [threading.Thread(target=list, args=(pr.map(f, [0] * 10, workers=2),)) for _ in range(2)]
for thread in threads:
    thread.start()
child = os.fork()
if child == 0:
    time.sleep(1000)
say("child", child)
"""
    with pipeline_program(tmp_path, body) as running:
        lines = [running.wait_for_line() for _ in range(5)]
        workers = {int(line) for line in lines if not line.startswith("child")}
        child = next(int(line.split()[1]) for line in lines if line.startswith("child"))
        assert len(workers) == 4
        running.signal(signal.SIGKILL)
        wait_until(
            lambda: not any(is_alive(pid) for pid in workers), "the workers have gone with their parent"
        )
        assert state(child) == "S"
