"""How functions tell a test what they did and wait for it, in whatever process, thread or loop they run.

Through files, because those reach every kind of worker under every start method.
"""

from __future__ import annotations

import ast
import asyncio
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any


class Journal:
    """Lines that any worker writes and the test reads.

    Arguments:
        path: Where; nothing is there yet.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        path.touch()

    def note(self, value: Any) -> None:
        """Write a literal: a number, a string, a tuple."""
        fd = os.open(self.path, os.O_WRONLY | os.O_APPEND)
        try:
            os.write(fd, f"{value!r}\n".encode())  # one write: lines of several writers do not mix
        finally:
            os.close(fd)

    def read(self) -> list[Any]:
        """All that was written so far."""
        return [ast.literal_eval(line) for line in self.path.read_text().splitlines()]


class Gate:
    """Holds whoever comes to it until the test opens it.

    A named pipe: opening it for reading waits until somebody has it open for writing.

    Arguments:
        path: Where; nothing is there yet.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._opened = path.with_suffix(".open")
        self._fd = -1
        os.mkfifo(path)

    def wait(self) -> None:
        """Return when the gate is open."""
        if not self._opened.exists():
            os.close(os.open(self.path, os.O_RDONLY))

    async def wait_async(self) -> None:
        """The same for a coroutine."""
        while not self._opened.exists():
            await asyncio.sleep(0.001)

    def open(self) -> None:
        """Let everybody through, from now on. Idempotent."""
        if self._fd < 0:
            self._opened.touch()
            self._fd = os.open(self.path, os.O_RDWR)  # unlike O_WRONLY this waits for nobody

    def close(self) -> None:
        """Free the descriptor."""
        self.open()
        os.close(self._fd)
        self._fd = -1


def wait_until(condition: Callable[[], bool], what: str) -> None:
    """Return when the condition holds; an error when that takes longer than any machine needs."""
    give_up_at = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < give_up_at, f"this never came true: {what}"
        time.sleep(0.001)


def settled(read: Callable[[], Any], quiet_s: float = 0.15) -> Any:
    """What `read` returns once it has returned the same for a while: for "and no more than that"."""
    value, since = read(), time.monotonic()
    while time.monotonic() - since < quiet_s:
        time.sleep(0.005)
        if (now := read()) != value:
            value, since = now, time.monotonic()
    return value
