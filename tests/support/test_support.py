"""The guards of the tests guard."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

from pypeln._core.memory import Segment
from support.leaks import Resources
from support.notes import Gate, Journal
from support.watchdog import command_line, descendants

TESTS = Path(__file__).resolve().parents[1]


def run_pytest(folder: Path, text: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run pytest over one file under the conftest of these tests."""
    (folder / "conftest.py").write_text((TESTS / "conftest.py").read_text())
    (folder / "test_it.py").write_text(text)
    path = os.pathsep.join([str(TESTS), *(each for each in sys.path if each)])
    return subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "-p",
            "no:cacheprovider",
            "--rootdir",
            str(folder),
            str(folder),
        ],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": path, **environment},
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_a_test_that_hangs_ends_with_the_stacks_of_all_its_processes(tmp_path: Path) -> None:
    hangs = """
import os, time

def test_hangs():
    if os.fork() == 0:
        the_child_hangs()
    the_parent_hangs()

def the_child_hangs():
    while True: time.sleep(1)

def the_parent_hangs():
    while True: time.sleep(1)
"""
    ended = run_pytest(tmp_path, hangs, PYPELN_TEST_WATCHDOG_S="1.5")
    assert ended.returncode < 0
    assert "watchdog: test_it.py::test_hangs has taken more than 1.5 s" in ended.stderr
    assert "in the_parent_hangs" in ended.stderr
    assert "in the_child_hangs" in ended.stderr


def test_a_test_that_leaves_something_behind_fails(tmp_path: Path) -> None:
    leaves = """
import os, subprocess, threading, time
import pytest

kept = []

def test_leaves_a_descriptor():
    kept.append(os.open("/dev/null", os.O_RDONLY))

def test_leaves_a_process():
    kept.append(subprocess.Popen(["sleep", "60"]))

def test_leaves_a_zombie():
    if os.fork() == 0:
        os._exit(0)

def test_leaves_nothing():
    os.close(os.open("/dev/null", os.O_RDONLY))

@pytest.mark.may_leak
def test_may():
    kept.append(os.open("/dev/null", os.O_RDONLY))
"""
    ended = run_pytest(tmp_path, leaves)
    assert "5 passed, 3 errors" in ended.stdout
    for what in ("descriptor", "process", "zombie"):
        assert f"ERROR test_it.py::test_leaves_a_{what}" in ended.stdout


def test_resources_tell_what_is_new() -> None:
    before = Resources()
    end = threading.Event()
    thread = threading.Thread(target=end.wait, name="the new one")
    thread.start()
    segment = Segment(4096)
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    left = "; ".join(before.left_since())
    assert "thread 'the new one'" in left
    assert f"process {child.pid} " in left
    assert f"descriptor {segment.fd} -> " in left
    assert "shared memory " in left
    assert "input()" in command_line(child.pid)
    end.set()
    thread.join()
    child.communicate(b"\n")
    del segment
    assert before.left_since() == []


def test_descendants_are_found_over_generations() -> None:
    program = "import subprocess, sys; subprocess.run([sys.executable, '-c', 'input()'])"
    child = subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE)
    while len(descendants(child.pid)) < 1:
        pass
    assert set(descendants(child.pid)) < set(descendants(os.getpid()))
    child.communicate(b"\n")


def test_a_gate_holds_until_it_is_opened_and_then_nobody(tmp_path: Path) -> None:
    gate, journal = Gate(tmp_path / "gate"), Journal(tmp_path / "journal")

    def pass_through() -> None:
        journal.note("came")
        gate.wait()
        journal.note("went")

    thread = threading.Thread(target=pass_through)
    thread.start()
    while journal.read() != ["came"]:
        pass
    gate.open()
    thread.join()
    assert journal.read() == ["came", "went"]
    gate.wait()
    gate.close()
