"""How the results of a contender are taken, and what is noted meanwhile."""

from __future__ import annotations

import time
import traceback
from collections.abc import Iterator
from typing import Any

import marks
from job import Failed

LEAVE_AFTER = 5
READY_AFTER = 20
# A source that nobody reads from for so long has met a bound.
QUIET_S = 2.0
STALLED_AT_MOST_S = 30.0
MOST_NOTED = 200
MOST_TOLD = 4000

_taken = 0


def count_taken() -> None:
    """Count one element that was taken from the source; in the consumer's process, in any thread."""
    global _taken
    _taken += 1


class Notes:
    """What the consumer saw."""

    def __init__(self) -> None:
        self.delivered: list[int] = []
        self.failures: list[dict[str, str]] = []
        self.ended_by: dict[str, str] | None = None
        self.ahead: int | None = None

    def take(self, result: Any) -> None:
        if isinstance(result, Failed):
            self.failures.append(told(result.error))
        else:
            # Large results are told apart by their length.
            self.delivered.append(len(result) if isinstance(result, bytes) else result)

    def end(self, error: BaseException) -> None:
        self.ended_by = told(error)


def told(error: BaseException) -> dict[str, str]:
    """What an error is, in a line, and all that it tells, its causes and notes included."""
    # Some put a traceback in quotes before what they have to say.
    lines = [line for line in str(error).splitlines() if any(map(str.isalnum, line))] or [""]
    name = type(error).__name__
    if lines[0].startswith("Traceback"):
        lines.reverse()
    return {
        "type": name,
        "line": f"{name}: {lines[0]}"[:MOST_NOTED],
        "all": "".join(traceback.format_exception(error))[-MOST_TOLD:],
    }


def drain(results: Iterator[Any], notes: Notes) -> None:
    for result in results:
        notes.take(result)


def leave(results: Iterator[Any], notes: Notes) -> None:
    for result in results:
        notes.take(result)
        if len(notes.delivered) == LEAVE_AFTER:
            marks.stamp()
            return


def stall(results: Iterator[Any], notes: Notes) -> None:
    """Take one result, then wait until the source is not read any more, because of a bound or at its end."""
    marks.stamp()
    notes.take(next(results))
    give_up_at = time.monotonic() + STALLED_AT_MOST_S
    before, quiet_since = -1, time.monotonic()
    while time.monotonic() - quiet_since < QUIET_S:
        if time.monotonic() > give_up_at:
            marks.first("runaway")  # slowly, but it is still being read
            break
        if _taken != before:
            before, quiet_since = _taken, time.monotonic()
        time.sleep(0.05)
    notes.ahead = _taken


def until_ready(results: Iterator[Any], notes: Notes) -> None:
    """Take results, and say when the run is in full swing: whatever comes next comes from outside."""
    for result in results:
        notes.take(result)
        if len(notes.delivered) == READY_AFTER:
            marks.first("ready")


CONSUMERS = {
    "drain": drain,
    "leave": leave,
    "stall": stall,
    "interrupted": until_ready,
    "abandoned": until_ready,
}
