"""Starts the fresh processes of a benchmark and reads what they measured."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from pathlib import Path
from typing import Any

CHILD = Path(__file__).resolve().parent.parent / "child.py"


class RunFailed(Exception):
    """A fresh process failed, ran too long or gave wrong results."""


def describe(python: str) -> dict[str, Any]:
    """Return what the interpreter `python` is and has installed, see `environment.describe_interpreter`."""
    return _answer([python, str(CHILD), "--describe"], timeout_s=60, what=f"{python} --describe")


def measure(
    python: str, case: str, contender: str, *, workers: int, items: int, timeout_s: float
) -> dict[str, Any]:
    """Run one contender once in a fresh process of `python` and return its sample.

    Raises:
        RunFailed: when the process fails or is not done after `timeout_s` seconds; it is then killed with
            everything that it started.
    """
    command = [python, str(CHILD), "--case", case, "--contender", contender]
    command += ["--workers", str(workers), "--items", str(items)]
    return _answer(command, timeout_s, what=f"{case}, {contender}, workers={workers}, items={items}")


def _answer(command: list[str], timeout_s: float, what: str) -> dict[str, Any]:
    # PYTHONPATH would put a source tree before the installed package.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    with subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
        start_new_session=True,
    ) as process:
        try:
            output, errors = process.communicate(timeout=timeout_s)
        except subprocess.TimeoutExpired:
            _kill_session(process)
            raise RunFailed(f"{what}: not done after {timeout_s:.0f} s, killed") from None
        except BaseException:
            _kill_session(process)
            raise
    if process.returncode != 0:
        raise RunFailed(f"{what}: exit status {process.returncode}\n{errors.strip()}")
    try:
        # A contender may print; the sample is the last line.
        answer = json.loads(output.splitlines()[-1])
    except (IndexError, ValueError):
        raise RunFailed(f"{what}: no sample in its output {output[-500:]!r}") from None
    assert isinstance(answer, dict)
    return answer


def _kill_session(process: subprocess.Popen[str]) -> None:
    # A contender's own workers hold the output pipes open: killing only the leader would leave us reading.
    if hasattr(os, "killpg"):
        os.killpg(process.pid, signal.SIGKILL)
    else:
        process.kill()
