"""Ctrl-C, SIGTERM, SIGKILL and the interpreter's exit: what is seen from outside."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest
from process_table import is_alive, state
from program import Program
from support.notes import wait_until

METHODS = ["fork", "forkserver", "spawn"]

# f says where it is and then takes for ever; `stuck` computes, `asleep` waits.
HEAD = """
import asyncio, itertools, multiprocessing, os, signal, sys, threading, time
from pypeln import io, pr, sync, th

def say(*words):
    os.write(1, (" ".join(map(str, words)) + "\\n").encode())

def asleep(x):
    say("in f", os.getpid())
    time.sleep(1000)

def naps(x):
    say("in f", os.getpid())
    while True:
        time.sleep(0.01)

async def asleep_async(x):
    say("in f", os.getpid())
    await asyncio.sleep(1000)

def same(x):
    return x

def main(method):
    multiprocessing.set_start_method(method)
    {body}

if __name__ == "__main__":
    main({method!r})
"""

PIPELINES = {
    "processes": ("pr.map(asleep, range(10), workers=2)", 2),
    "processes behind a slow source": ("pr.map(same, map(naps, range(10)), workers=2)", 1),
    "threads": ("th.map(naps, range(10), workers=2)", 2),
    "tasks": ("io.map(asleep_async, range(10), workers=2)", 2),
    "sync": ("sync.map(asleep, range(10))", 1),
    "mixed": ("th.map(same, io.map(asleep_async, pr.map(same, th.map(same, range(10))), workers=1))", 1),
    "ordered": ("pr.ordered(pr.map(asleep, range(10), workers=2))", 2),
}


def program(folder: Path, body: str, method: str = "fork") -> Program:
    indented = "\n    ".join(body.strip().splitlines())
    return Program(folder, HEAD.format(body=indented, method=method))


def assert_one_traceback_of_the_consumer(stderr: str) -> None:
    assert stderr.count("Traceback (most recent call last)") == 1, stderr
    assert stderr.splitlines().count("KeyboardInterrupt") == 1, stderr
    assert "in main" in stderr


@pytest.mark.parametrize("pipeline", PIPELINES)
def test_ctrl_c_is_a_keyboard_interrupt_in_the_consumer(pipeline: str, tmp_path: Path) -> None:
    text, lines = PIPELINES[pipeline]
    with program(tmp_path, f"list({text})") as running:
        for _ in range(lines):
            assert running.wait_for_line().startswith("in f")
        running.press_ctrl_c()
        code, output = running.end()
        assert code == -signal.SIGINT
        assert output == ""
        assert_one_traceback_of_the_consumer(running.stderr)


@pytest.mark.parametrize("method", ["forkserver", "spawn"])
@pytest.mark.parametrize("pipeline", ["processes", "mixed"])
def test_ctrl_c_is_the_same_however_workers_start(pipeline: str, method: str, tmp_path: Path) -> None:
    text, lines = PIPELINES[pipeline]
    with program(tmp_path, f"list({text})", method) as running:
        for _ in range(lines):
            assert running.wait_for_line().startswith("in f")
        running.press_ctrl_c()
        code, output = running.end()
        assert code == -signal.SIGINT
        assert output == ""
        assert_one_traceback_of_the_consumer(running.stderr)


@pytest.mark.parametrize("front_end", ["pr", "th", "io"])
def test_ctrl_c_is_noticed_in_a_stream_that_never_pauses(front_end: str, tmp_path: Path) -> None:
    """`deque` and its like take element after element without running a line of Python."""
    body = f"""
import collections
def note(x):
    if x == 10_000:
        say("in f")
    return x
collections.deque({front_end}.map(note, itertools.count()), maxlen=0)
"""
    with program(tmp_path, body) as running:
        assert running.wait_for_line() == "in f"
        running.press_ctrl_c()
        code, _ = running.end()
        assert code == -signal.SIGINT
        assert_one_traceback_of_the_consumer(running.stderr)


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_ctrl_c_while_workers_start_is_silent_too(method: str, tmp_path: Path) -> None:
    """Interpreters that only just start know nothing of pypeln yet, and would print a traceback of their own.

    Children of a fork server are out of reach: nothing of ours runs there before the main module is imported.
    """
    body = """
say("starting")
for _ in pr.map(same, itertools.count(), workers=8, maxsize=1):
    pass
"""
    with program(tmp_path, body, method) as running:
        running.wait_for_line()
        helpers = 1 if method == "spawn" else 0  # the resource tracker
        wait_until(lambda: len(_group(running)) >= 1 + helpers + 3, "some workers are being started")
        running.press_ctrl_c()
        code, _ = running.end()
        assert code == -signal.SIGINT
        assert_one_traceback_of_the_consumer(running.stderr)


def _group(running: Program) -> list[int]:
    found = []
    for entry in Path("/proc").iterdir():
        try:
            fields = (entry / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if entry.name.isdigit() and int(fields[2]) == running.process.pid:
            found.append(int(entry.name))
    return found


def test_ctrl_c_in_a_running_loop(tmp_path: Path) -> None:
    body = """
async def wait():
    await io.map(asleep_async, pr.map(same, range(10)), workers=2)
asyncio.run(wait())
"""
    with program(tmp_path, body) as running:
        for _ in range(2):
            assert running.wait_for_line().startswith("in f")
        running.press_ctrl_c()
        code, output = running.end()
        assert code == -signal.SIGINT
        assert output == ""
        assert running.stderr.rstrip().endswith("KeyboardInterrupt"), running.stderr
        assert "Task exception was never retrieved" not in running.stderr
        assert "Task was destroyed" not in running.stderr


@pytest.mark.parametrize("pipeline", PIPELINES)
def test_a_program_goes_on_after_ctrl_c(pipeline: str, tmp_path: Path) -> None:
    text, lines = PIPELINES[pipeline]
    body = f"""
before = [signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM, signal.SIGCHLD, signal.SIGIO)]
try:
    list({text})
except KeyboardInterrupt:
    threads = [thread.name for thread in threading.enumerate() if "pypeln" in thread.name]
    say("interrupted", multiprocessing.active_children(), threads)
assert before == [signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM, signal.SIGCHLD, signal.SIGIO)]
assert signal.pthread_sigmask(signal.SIG_BLOCK, []) == set()
say(sorted(pr.map(same, range(3))))
"""
    with program(tmp_path, body) as running:
        for _ in range(lines):
            assert running.wait_for_line().startswith("in f")
        running.press_ctrl_c()
        assert running.wait_for_line() == "interrupted [] []"
        assert running.end() == (0, "[0, 1, 2]\n")
        assert running.stderr == ""


def test_a_handler_of_the_user_for_ctrl_c_is_called_and_obeyed(tmp_path: Path) -> None:
    """A handler that raises nothing must not end the run either."""
    body = """
signal.signal(signal.SIGINT, lambda *_: say("handled"))
release = os.environ["RELEASE"] = "released"
def wait_for_file(x):
    say("in f")
    while not os.path.exists(release):
        time.sleep(0.005)
    return x
say(sorted(pr.map(wait_for_file, range(2), workers=2)))
"""
    body = body.replace('"released"', repr(str(tmp_path / "released")))
    with program(tmp_path, body) as running:
        assert [running.wait_for_line(), running.wait_for_line()] == ["in f", "in f"]
        running.press_ctrl_c()
        assert running.wait_for_line() == "handled"
        (tmp_path / "released").touch()
        assert running.end() == (0, "[0, 1]\n")
        assert running.stderr == ""


@pytest.mark.parametrize("pipeline", ["processes", "threads", "tasks", "mixed"])
def test_sigterm_ends_the_program_as_always(pipeline: str, tmp_path: Path) -> None:
    text, lines = PIPELINES[pipeline]
    with program(tmp_path, f"list({text})") as running:
        for _ in range(lines):
            running.wait_for_line()
        running.signal(signal.SIGTERM)
        assert running.end() == (-signal.SIGTERM, "")
        assert running.stderr == ""


@pytest.mark.parametrize("method", METHODS)
def test_workers_keep_the_disposition_of_sigterm(method: str, tmp_path: Path) -> None:
    body = """
say(list(pr.map(lambda _: signal.getsignal(signal.SIGTERM) is signal.SIG_DFL, [0])))
say(list(pr.map(lambda _: signal.pthread_sigmask(signal.SIG_BLOCK, []), [0])))
"""
    with program(tmp_path, body, method) as running:
        assert running.wait_for_line() == "[True]"
        assert running.wait_for_line() == "[set()]"
        assert running.end() == (0, "")


BUSY = {
    "asleep": "time.sleep(1000)",
    "computing": "[None for _ in iter(int, 1)]",
    "deaf": "[signal.signal(n, signal.SIG_IGN) for n in (signal.SIGTERM, signal.SIGHUP, signal.SIGIO)]\n"
    "    time.sleep(1000)",
    "with children": "os.fork() or time.sleep(0.01)\n    time.sleep(1000)",
}


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("busy", BUSY)
def test_workers_die_with_a_parent_that_is_killed(busy: str, method: str, tmp_path: Path) -> None:
    if method != "fork" and busy != "deaf":
        pytest.skip("how workers start matters to how they notice, not to what they were doing")
    body = f"""
def f(x):
    say(os.getpid())
    {BUSY[busy]}
"""
    body += "\nlist(pr.map(f, range(10), workers=3, maxsize=1))"
    shared = set(Path("/dev/shm").iterdir())
    with program(tmp_path, body, method) as running:
        pids = {int(running.wait_for_line()) for _ in range(3)}
        assert all(is_alive(pid) for pid in pids)
        running.signal(signal.SIGKILL)
        wait_until(lambda: not any(is_alive(pid) for pid in pids), "the workers have gone with their parent")
    assert [path for path in set(Path("/dev/shm").iterdir()) - shared if "pypeln" in path.name] == []


def test_workers_that_wait_die_with_a_parent_that_is_killed(tmp_path: Path) -> None:
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
    with program(tmp_path, body) as running:
        for _ in range(5):
            running.wait_for_line()
        workers = set(running.workers)
        assert len(workers) == 4
        running.signal(signal.SIGKILL)
        wait_until(
            lambda: not any(is_alive(pid) for pid in workers), "the workers have gone with their parent"
        )


def test_two_runs_and_a_child_of_the_user_do_not_keep_each_others_workers(tmp_path: Path) -> None:
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
    with program(tmp_path, body) as running:
        lines = [running.wait_for_line() for _ in range(5)]
        workers = {int(line) for line in lines if not line.startswith("child")}
        child = next(int(line.split()[1]) for line in lines if line.startswith("child"))
        assert len(workers) == 4
        running.signal(signal.SIGKILL)
        wait_until(
            lambda: not any(is_alive(pid) for pid in workers), "the workers have gone with their parent"
        )
        assert state(child) == "S"


LIVE = {
    "processes": "pr.map(same, itertools.count(), workers=2, maxsize=1)",
    "threads": "th.map(same, itertools.count(), workers=2, maxsize=1)",
    "tasks": "io.map(same, itertools.count(), workers=2, maxsize=1)",
    "mixed": "th.map(same, io.map(same, pr.map(same, itertools.count(), maxsize=1), maxsize=1), maxsize=1)",
    "unbounded": "pr.map(same, itertools.count(), workers=2)",
}


@pytest.mark.parametrize("pipeline", LIVE)
@pytest.mark.parametrize("held", ["local", "global", "cycle"])
def test_the_interpreter_may_exit_with_a_live_iterator(pipeline: str, held: str, tmp_path: Path) -> None:
    body = f"""
elements = iter({LIVE[pipeline]})
next(elements)
if {held!r} == "global":
    globals()["kept"] = elements
elif {held!r} == "cycle":
    cycle = [elements]
    cycle.append(cycle)
say("leaving")
"""
    with program(tmp_path, body) as running:
        assert running.wait_for_line() == "leaving"
        assert running.end() == (0, "")
        assert running.stderr == ""


@pytest.mark.parametrize("pipeline", ["processes", "threads", "tasks", "mixed"])
def test_sys_exit_with_a_live_iterator_keeps_its_code(pipeline: str, tmp_path: Path) -> None:
    with program(tmp_path, f"for _ in {LIVE[pipeline]}:\n    say('leaving')\n    sys.exit(7)") as running:
        assert running.wait_for_line() == "leaving"
        assert running.end() == (7, "")
        assert running.stderr == ""


def test_a_run_in_a_thread_that_is_a_daemon_ends_with_the_interpreter(tmp_path: Path) -> None:
    body = """
threading.Thread(target=list, args=(pr.map(asleep, range(10), workers=2),), daemon=True).start()
time.sleep(1000)
"""
    with program(tmp_path, body) as running:
        running.wait_for_line()
        running.wait_for_line()
        running.press_ctrl_c()
        code, _ = running.end()
        assert code == -signal.SIGINT
