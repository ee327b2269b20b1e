"""Workers go when their parent is killed, whatever they are doing, and take all shared memory with them."""

from __future__ import annotations

import signal
import time
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
for thread in threads:  # CPython 3.12.0 to 3.12.2 do not fork after the end of the main thread
    thread.join()
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


def users_of_memory(inodes: set[str]) -> list[str]:
    """Processes that have some of these segments mapped."""
    users = []
    for entry in Path("/proc").iterdir():
        try:
            mapped = (entry / "maps").read_text() if entry.name.isdigit() else ""
        except OSError:
            continue
        if any("memfd:pypeln" in line and line.split()[4] in inodes for line in mapped.splitlines()):
            users.append(entry.name)
    return users


@pytest.mark.parametrize("method", METHODS)
def test_promise_08_no_memory_is_left_by_a_parent_that_is_killed(method: str, tmp_path: Path) -> None:
    body = """
elements = pr.map(asleep, (bytes(100_000) for _ in itertools.count()), workers=2, maxsize=4).to_iterable()
threading.Thread(target=next, args=(elements,), daemon=True).start()
time.sleep(1000)
"""
    with pipeline_program(tmp_path, body, method) as running:
        for _ in range(2):
            running.wait_for_line()
        maps = Path(f"/proc/{running.process.pid}/maps").read_text().splitlines()
        inodes = {line.split()[4] for line in maps if "memfd:pypeln" in line}
        assert len(inodes) == 3  # the queues' slots, and the arenas of two queues
        assert len(users_of_memory(inodes)) == 3
        running.signal(signal.SIGKILL)
        wait_until(lambda: not users_of_memory(inodes), "all shared memory is gone")


def test_promise_08_workers_are_gone_within_a_second_of_their_parent(tmp_path: Path) -> None:
    """The quickest of several, because a machine that is busy with other things is no fault of ours."""

    def quickest(folder: Path) -> float:
        folder.mkdir()
        with pipeline_program(folder, "list(pr.map(asleep, range(10), workers=2))") as running:
            for _ in range(2):
                running.wait_for_line()
            workers = set(running.workers)
            assert len(workers) == 2
            began = time.monotonic()
            running.signal(signal.SIGKILL)
            wait_until(lambda: not any(is_alive(pid) for pid in workers), "the workers have gone")
            return time.monotonic() - began

    assert min(quickest(tmp_path / str(number)) for number in range(3)) < 1
