"""The end of the interpreter ends its runs first, and keeps its own exit code."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest
from support.pipeline_program import pipeline_program

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
