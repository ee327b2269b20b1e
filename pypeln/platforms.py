"""What differs from machine to machine. What pypeln lacks on a platform is refused by name, before anything
starts, and never done by halves.

Code that only runs where it was not refused begins with `if sys.platform == "win32": raise AssertionError`,
so that type checkers hold everything else to what Windows has.
"""

from __future__ import annotations

import os
import sys


def usable_cpus() -> int:
    """How many CPUs this process may use: in a container or under `taskset`, fewer than the machine has."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def refuse_on_windows(what: str) -> None:
    """Nothing, but on Windows an error.

    Args:
        what: What is refused, as the subject of a sentence.

    Raises:
        NotImplementedError: This is Windows.
    """
    if sys.platform == "win32":
        raise NotImplementedError(
            f"{what} cannot be had on Windows yet: pypeln runs stages of threads (th) and sync stages there. "
            "docs/platforms.md says what is missing; WSL has all of it"
        )
