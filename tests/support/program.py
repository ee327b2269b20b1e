"""A Python program as a user starts it: its own session, so that Ctrl-C can be sent to all of it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import threading
from pathlib import Path
from types import TracebackType

from support.notes import wait_until
from support.process_table import descendants, is_alive

WATCHDOG_S = 30


class Program:
    """A running program. Leaving its `with` block kills what is left of it.

    Arguments:
        folder: Where its file is written.
        text: The program. What it prints on stdout is for `wait_for_line`.
    """

    def __init__(self, folder: Path, text: str) -> None:
        path = folder / "program.py"
        path.write_text(textwrap.dedent(text))
        self._stderr = folder / "stderr"
        with self._stderr.open("wb") as stderr:
            self.process = subprocess.Popen(
                [sys.executable, "-X", "faulthandler", str(path)],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=stderr,
                start_new_session=True,
            )
        self.workers: set[int] = set()
        self._watchdog = threading.Timer(WATCHDOG_S, self._kill, args=(signal.SIGABRT,))
        self._watchdog.start()

    def __enter__(self) -> Program:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._watchdog.cancel()
        self._watchdog.join()
        self._kill(signal.SIGKILL)
        self.process.wait()
        assert self.process.stdout is not None
        self.process.stdout.close()

    @property
    def stderr(self) -> str:
        """What it has written there."""
        return self._stderr.read_text(errors="replace")

    def wait_for_line(self) -> str:
        """The next line of stdout."""
        assert self.process.stdout is not None
        line = self.process.stdout.readline().decode().strip()
        assert line, f"ended, or closed its output:\n{self.stderr}"
        self.workers |= descendants(self.process.pid)
        return line

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the program alone."""
        self.process.send_signal(number)

    def press_ctrl_c(self) -> None:
        """SIGINT to everything it has started, as a terminal does."""
        os.killpg(self.process.pid, signal.SIGINT)

    def end(self) -> tuple[int, str]:
        """Wait until it and its workers have ended: exit code, and the rest of stdout."""
        assert self.process.stdout is not None
        output = self.process.stdout.read().decode()
        code = self.process.wait()
        assert code != -signal.SIGABRT, f"hung:\n{self.stderr}"
        wait_until(lambda: not any(is_alive(worker) for worker in self.workers), "its workers have ended")
        return code, output

    def _kill(self, number: signal.Signals) -> None:
        try:
            os.killpg(self.process.pid, number)
        except ProcessLookupError:
            pass
