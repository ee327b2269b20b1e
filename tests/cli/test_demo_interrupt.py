"""`pypeln demo` that does not get to its end: Ctrl-C, and a worker that is killed."""

from __future__ import annotations

import os
import re
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

if sys.platform == "win32":
    pytest.skip("Ctrl-C reaches a process group on POSIX only", allow_module_level=True)

WATCHDOG_S = 60
# A shell shows both as 130. CPython ends by the signal itself, though the exception was caught, when that
# came in an `exec` of a string, such as makes a named tuple in a module that is being imported.
INTERRUPTED = (130, -signal.SIGINT)
AT_THE_START = rb"\] 0/"
IN_THE_MIDDLE = rb"\] [1-9]\d*/"


class Demo:
    """A demo on a terminal, over more files than it can parse before it is stopped."""

    def __init__(self, environment: dict[str, str], *words: str) -> None:
        self._terminal, end = os.openpty()
        self.process = subprocess.Popen(
            [sys.executable, "-m", "pypeln", "demo", "--files", "100000", "--workers", "2", *words],
            cwd=environment["TMPDIR"],  # not where the sources are
            env=environment,
            stdout=subprocess.PIPE,
            stderr=end,
            start_new_session=True,  # a process group, to which Ctrl-C goes as a whole
        )
        os.close(end)
        self.group = self.process.pid
        self._written = b""
        self._watchdog = threading.Timer(WATCHDOG_S, self._kill_group)
        self._watchdog.start()

    def _kill_group(self) -> None:
        if self.group_is_alive():
            os.killpg(self.group, signal.SIGKILL)

    def group_is_alive(self) -> bool:
        try:
            os.killpg(self.group, 0)
        except ProcessLookupError:
            return False
        return True

    def _read(self) -> bool:
        try:
            piece = os.read(self._terminal, 4096)
        except OSError:  # EIO: every process that had the terminal has ended
            piece = b""
        self._written += piece
        return bool(piece)

    def wait_for(self, pattern: bytes) -> None:
        """Wait until a pattern was written to the terminal."""
        while not re.search(pattern, self._written):
            assert self._read(), f"ended before it wrote {pattern!r}: {self._written!r}"

    def end(self) -> tuple[int, str, str]:
        """Wait for the end: the exit code, what stdout got, and the terminal's last line."""
        while self._read():
            pass
        assert self.process.stdout is not None
        with self.process.stdout as stdout:
            output = stdout.read().decode()
        return self.process.wait(), output, self._written.decode().split("\r")[-2].strip()

    def close(self) -> None:
        self._watchdog.cancel()
        self._watchdog.join()
        self._kill_group()
        os.close(self._terminal)

    @property
    def written(self) -> str:
        return self._written.decode()


@pytest.fixture
def demos(environment: dict[str, str]) -> Iterator[list[Demo]]:
    started: list[Demo] = []
    yield started
    for demo in started:
        demo.close()


def assert_group_ends(demo: Demo) -> None:
    """The helpers of multiprocessing end by themselves, once they see that the main process has."""
    deadline = time.monotonic() + WATCHDOG_S
    while demo.group_is_alive():
        assert time.monotonic() < deadline, "a process of the demo is still alive"
        time.sleep(0.01)


@pytest.mark.parametrize("moment", [AT_THE_START, IN_THE_MIDDLE], ids=["at the start", "in the middle"])
def test_ctrl_c_is_one_line_and_leaves_nothing(
    moment: bytes, environment: dict[str, str], temporary_folder: Path, demos: list[Demo]
) -> None:
    demo = Demo(environment)
    demos.append(demo)
    demo.wait_for(moment)
    os.killpg(demo.group, signal.SIGINT)
    code, output, line = demo.end()
    assert code in INTERRUPTED
    assert (output, line) == ("", "pypeln demo: interrupted")
    assert "Traceback" not in demo.written
    assert_group_ends(demo)
    assert list(temporary_folder.iterdir()) == []


def test_ctrl_c_leaves_an_existing_database_as_it_was(
    environment: dict[str, str], tmp_path: Path, temporary_folder: Path, demos: list[Demo]
) -> None:
    path = tmp_path / "demo.sqlite"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE other (x)")
        connection.execute("INSERT INTO other VALUES (1)")
        connection.commit()
    before = path.read_bytes()
    demo = Demo(environment, "--database", str(path))
    demos.append(demo)
    demo.wait_for(IN_THE_MIDDLE)
    os.killpg(demo.group, signal.SIGINT)
    assert demo.end()[0] in INTERRUPTED
    assert_group_ends(demo)
    assert path.read_bytes() == before
    assert sorted(tmp_path.iterdir()) == sorted([path, temporary_folder])


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="finds the workers in /proc")
def test_a_killed_worker_is_one_line_that_names_its_stage(
    environment: dict[str, str], temporary_folder: Path, demos: list[Demo]
) -> None:
    demo = Demo(environment)
    demos.append(demo)
    demo.wait_for(IN_THE_MIDDLE)
    children = [
        int(child)
        for listing in Path(f"/proc/{demo.process.pid}/task").glob("*/children")
        for child in listing.read_text().split()
    ]
    assert children
    os.kill(children[-1], signal.SIGKILL)
    code, output, line = demo.end()
    assert (code, output) == (1, "")
    assert line.startswith("pypeln demo: error: ")
    assert "flat_map(parse)" in line
    assert "SIGKILL" in line
    assert "Traceback" not in demo.written
    assert_group_ends(demo)
    assert list(temporary_folder.iterdir()) == []
