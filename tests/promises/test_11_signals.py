"""Ctrl-C and SIGTERM, as seen from outside of the program."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest
from support.fronts import METHODS
from support.notes import wait_until
from support.pipeline_program import PIPELINES, pipeline_program
from support.program import Program


def assert_one_traceback_of_the_consumer(stderr: str) -> None:
    assert stderr.count("Traceback (most recent call last)") == 1, stderr
    assert stderr.splitlines().count("KeyboardInterrupt") == 1, stderr
    assert "in main" in stderr


@pytest.mark.parametrize("pipeline", PIPELINES)
def test_promise_11_ctrl_c_is_a_keyboard_interrupt_in_the_consumer(pipeline: str, tmp_path: Path) -> None:
    text, lines = PIPELINES[pipeline]
    with pipeline_program(tmp_path, f"list({text})") as running:
        for _ in range(lines):
            assert running.wait_for_line().startswith("in f")
        running.press_ctrl_c()
        code, output = running.end()
        assert code == -signal.SIGINT
        assert output == ""
        assert_one_traceback_of_the_consumer(running.stderr)


@pytest.mark.parametrize("method", ["forkserver", "spawn"])
@pytest.mark.parametrize("pipeline", ["processes", "mixed"])
def test_promise_11_ctrl_c_is_the_same_however_workers_start(
    pipeline: str, method: str, tmp_path: Path
) -> None:
    text, lines = PIPELINES[pipeline]
    with pipeline_program(tmp_path, f"list({text})", method) as running:
        for _ in range(lines):
            assert running.wait_for_line().startswith("in f")
        running.press_ctrl_c()
        code, output = running.end()
        assert code == -signal.SIGINT
        assert output == ""
        assert_one_traceback_of_the_consumer(running.stderr)


@pytest.mark.parametrize("front_end", ["pr", "th", "io"])
def test_promise_11_ctrl_c_is_noticed_in_a_stream_that_never_pauses(front_end: str, tmp_path: Path) -> None:
    """`deque` and its like take element after element without running a line of Python."""
    body = f"""
import collections
def note(x):
    if x == 10_000:
        say("in f")
    return x
collections.deque({front_end}.map(note, itertools.count()), maxlen=0)
"""
    with pipeline_program(tmp_path, body) as running:
        assert running.wait_for_line() == "in f"
        running.press_ctrl_c()
        code, _ = running.end()
        assert code == -signal.SIGINT
        assert_one_traceback_of_the_consumer(running.stderr)


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_promise_11_ctrl_c_while_workers_start_is_silent_too(method: str, tmp_path: Path) -> None:
    """Interpreters that only just start know nothing of pypeln yet, and would print a traceback of their own.

    Children of a fork server are out of reach: nothing of ours runs there before the main module is imported.
    """
    body = """
say("starting")
for _ in pr.map(same, itertools.count(), workers=8, maxsize=1):
    pass
"""
    with pipeline_program(tmp_path, body, method) as running:
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


def test_promise_11_ctrl_c_in_a_running_loop(tmp_path: Path) -> None:
    body = """
async def wait():
    await io.map(asleep_async, pr.map(same, range(10)), workers=2)
asyncio.run(wait())
"""
    with pipeline_program(tmp_path, body) as running:
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
def test_promise_11_a_program_goes_on_after_ctrl_c(pipeline: str, tmp_path: Path) -> None:
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
    with pipeline_program(tmp_path, body) as running:
        for _ in range(lines):
            assert running.wait_for_line().startswith("in f")
        running.press_ctrl_c()
        assert running.wait_for_line() == "interrupted [] []"
        assert running.end() == (0, "[0, 1, 2]\n")
        assert running.stderr == ""


def test_promise_11_a_handler_of_the_user_for_ctrl_c_is_called_and_obeyed(tmp_path: Path) -> None:
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
    with pipeline_program(tmp_path, body) as running:
        assert [running.wait_for_line(), running.wait_for_line()] == ["in f", "in f"]
        running.press_ctrl_c()
        assert running.wait_for_line() == "handled"
        (tmp_path / "released").touch()
        assert running.end() == (0, "[0, 1]\n")
        assert running.stderr == ""


@pytest.mark.parametrize("pipeline", ["processes", "threads", "tasks", "mixed"])
def test_promise_11_sigterm_ends_the_program_as_always(pipeline: str, tmp_path: Path) -> None:
    text, lines = PIPELINES[pipeline]
    with pipeline_program(tmp_path, f"list({text})") as running:
        for _ in range(lines):
            running.wait_for_line()
        running.signal(signal.SIGTERM)
        assert running.end() == (-signal.SIGTERM, "")
        assert running.stderr == ""


@pytest.mark.parametrize("method", METHODS)
def test_promise_11_workers_keep_the_disposition_of_sigterm(method: str, tmp_path: Path) -> None:
    body = """
say(list(pr.map(lambda _: signal.getsignal(signal.SIGTERM) is signal.SIG_DFL, [0])))
say(list(pr.map(lambda _: signal.pthread_sigmask(signal.SIG_BLOCK, []), [0])))
"""
    with pipeline_program(tmp_path, body, method) as running:
        assert running.wait_for_line() == "[True]"
        assert running.wait_for_line() == "[set()]"
        assert running.end() == (0, "")
