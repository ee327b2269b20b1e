"""A line on a terminal that says how far the job is."""

from __future__ import annotations

import shutil
import time
from types import TracebackType
from typing import TextIO

_BAR_WIDTH = 30
_SECONDS_BETWEEN_DRAWS = 0.1  # more often cannot be read, and costs more than an element


class Progress:
    """Counts up to a total, and shows it on a line that is gone when the `with` block ends.

    Args:
        stream: The terminal.
        unit: What is counted, in the plural.
        shown: False counts and writes nothing.
    """

    def __init__(self, stream: TextIO, unit: str, shown: bool) -> None:
        self.total = 0
        self.done = 0
        self._stream = stream
        self._unit = unit
        self._shown = shown
        self._drawn_at = float("-inf")
        self._width = 0

    def __enter__(self) -> Progress:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._write("")

    def start(self, total: int) -> None:
        """Say how many there will be."""
        self.total = total
        self._draw()

    def advance(self) -> None:
        """Count one more."""
        self.done += 1
        if self.done == self.total or time.monotonic() - self._drawn_at >= _SECONDS_BETWEEN_DRAWS:
            self._draw()

    def _draw(self) -> None:
        self._drawn_at = time.monotonic()
        bar = ("#" * (_BAR_WIDTH * self.done // max(1, self.total))).ljust(_BAR_WIDTH, ".")
        self._write(f"[{bar}] {self.done}/{self.total} {self._unit}")

    def _write(self, text: str) -> None:
        if not self._shown or (not text and not self._width):
            return
        # A line that reaches the last column would scroll the terminal at each draw.
        text = text[: shutil.get_terminal_size().columns - 1]
        # Before the write: an interrupt can come right after it, and the line must be cleared then too.
        self._width = max(self._width, len(text))
        # Blanks, not an escape sequence: they clear the rest of the line on every terminal there is.
        self._stream.write("\r" + text.ljust(self._width) + ("" if text else "\r"))
        self._stream.flush()
