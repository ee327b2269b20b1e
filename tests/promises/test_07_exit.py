"""The end of the interpreter ends its runs first, and keeps its own exit code."""

from __future__ import annotations

import signal
import sys
from pathlib import Path

import pytest
from support.pipeline_program import pipeline_program
from support.program import Program

# CPython 3.12.0 to 3.12.2 start neither threads nor processes once the main thread has ended (gh-113964).
STARTS_LATE = not (3, 12) <= sys.version_info[:3] <= (3, 12, 2)

LIVE = {
    "processes": "pr.map(same, itertools.count(), workers=2, maxsize=1)",
    "threads": "th.map(same, itertools.count(), workers=2, maxsize=1)",
    "tasks": "io.map(same, itertools.count(), workers=2, maxsize=1)",
    "mixed": "th.map(same, io.map(same, pr.map(same, itertools.count(), maxsize=1), maxsize=1), maxsize=1)",
    "unbounded": "pr.map(same, itertools.count(), workers=2)",
}


@pytest.mark.parametrize("pipeline", LIVE)
@pytest.mark.parametrize("held", ["local", "global", "cycle"])
def test_promise_07_the_interpreter_may_exit_with_a_live_iterator(
    pipeline: str, held: str, tmp_path: Path
) -> None:
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
    with pipeline_program(tmp_path, body) as running:
        assert running.wait_for_line() == "leaving"
        assert running.end() == (0, "")
        assert running.stderr == ""


@pytest.mark.parametrize("pipeline", ["processes", "threads", "tasks", "mixed"])
def test_promise_07_sys_exit_with_a_live_iterator_keeps_its_code(pipeline: str, tmp_path: Path) -> None:
    with pipeline_program(
        tmp_path, f"for _ in {LIVE[pipeline]}:\n    say('leaving')\n    sys.exit(7)"
    ) as running:
        assert running.wait_for_line() == "leaving"
        assert running.end() == (7, "")
        assert running.stderr == ""


def test_promise_07_a_run_in_a_thread_that_is_a_daemon_ends_with_the_interpreter(tmp_path: Path) -> None:
    body = """
threading.Thread(target=list, args=(pr.map(asleep, range(10), workers=2),), daemon=True).start()
time.sleep(1000)
"""
    with pipeline_program(tmp_path, body) as running:
        running.wait_for_line()
        running.wait_for_line()
        running.press_ctrl_c()
        code, _ = running.end()
        assert code == -signal.SIGINT


@pytest.mark.parametrize("kind", ["pr", "th", "io"])
def test_promise_07_a_thread_that_is_a_daemon_starts_no_run_when_the_interpreter_ends(
    kind: str, tmp_path: Path
) -> None:
    """multiprocessing would wait for the workers of the second run, which does not end."""
    text = f"""
        import atexit, itertools, threading
        refused = threading.Event()
        atexit.register(refused.wait)  # registered first, called last: the thread has its time

        import multiprocessing, os
        from pypeln import io, pr, th

        def same(x):
            return x

        def serve():
            for _ in range(2):
                try:
                    for x in {kind}.map(same, itertools.count(), maxsize=1):
                        running.set()
                except RuntimeError as error:
                    os.write(1, f"{{error}}\\n".encode())
            refused.set()

        multiprocessing.set_start_method("fork")
        running = threading.Event()
        threading.Thread(target=serve, daemon=True).start()
        running.wait()
        """
    with Program(tmp_path, text) as running:
        assert running.wait_for_line() == "the pipeline was closed while it was being iterated"
        assert running.wait_for_line().startswith("the program has ended, and does not wait for this thread")
        assert running.end() == (0, "")
        assert running.stderr == ""


SAY_OUTCOME = """
def outcome(stage):
    before = len(os.listdir("/proc/self/fd"))
    try:
        say(sorted(stage))
    except RuntimeError as error:
        say(type(error).__name__, *error.__notes__)
    say(len(os.listdir("/proc/self/fd")) - before)
"""


def said(outcome: str) -> None:
    """What a program says of a pipeline with the elements 0 to 2 that starts something late."""
    if STARTS_LATE:
        assert outcome == "[0, 1, 2]"
    else:
        assert outcome.startswith(
            "RuntimeError the main thread has ended, and CPython 3.12.0 to 3.12.2 start"
        )


@pytest.mark.parametrize("kind", ["pr", "th", "io"])
def test_promise_07_a_thread_may_start_a_run_after_the_main_thread_has_ended(
    kind: str, tmp_path: Path
) -> None:
    body = f"""{SAY_OUTCOME}
def work():
    threading.main_thread().join()
    outcome({kind}.map(same, range(3), workers=2))
threading.Thread(target=work).start()
"""
    with pipeline_program(tmp_path, body) as running:
        said(running.wait_for_line())
        assert running.end() == (0, "0\n")
        assert running.stderr == ""


def test_promise_07_workers_are_replaced_after_the_main_thread_has_ended(tmp_path: Path) -> None:
    body = f"""{SAY_OUTCOME}
begun, ended, died = (os.path.join({str(tmp_path)!r}, name) for name in ("begun", "ended", "died"))
def wait_for(path):
    while not os.path.exists(path):
        time.sleep(0.001)
def dies_once(x):
    if x == 1 and not os.path.exists(died):
        open(begun, "w").close()
        wait_for(ended)
        open(died, "w").close()
        os.kill(os.getpid(), signal.SIGKILL)
    return x
def tell():
    threading.main_thread().join()
    open(ended, "w").close()
threading.Thread(target=tell).start()
stage = pr.map(dies_once, range(3), workers=2, on_worker_death="restart", retries=1)
threading.Thread(target=outcome, args=(stage,)).start()
wait_for(begun)
"""
    with pipeline_program(tmp_path, body) as running:
        said(running.wait_for_line())
        assert running.end()[0] == 0
        assert running.stderr == ""
