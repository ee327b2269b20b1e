"""What the processes of one run tell each other: small files in a folder that an environment variable names.

Files, because whoever writes may be killed in the next instruction, and because no contender's own means of
communication may be needed to judge it.
"""

from __future__ import annotations

import os
import time
from pathlib import Path

VARIABLE = "PYPELN_FAULTS_MARKS"


def folder() -> Path:
    return Path(os.environ[VARIABLE])


def first(name: str, content: str = "", where: Path | None = None) -> bool:
    """Write the mark `name`; True for the only caller, in whatever process, that came first."""
    try:
        descriptor = os.open((where or folder()) / name, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    except FileExistsError:
        return False
    os.write(descriptor, content.encode())
    os.close(descriptor)
    return True


def exists(name: str) -> bool:
    return (folder() / name).exists()


def stamp(where: Path | None = None) -> None:
    """Note when the fault happened, unless it was noted before."""
    first("stamp", repr(time.monotonic()), where)


def stamped() -> float | None:
    """When the fault happened, on the monotonic clock that all processes share."""
    try:
        return float((folder() / "stamp").read_text())
    except (FileNotFoundError, ValueError):
        return None


def note_worker() -> None:
    """Note that this process executes elements."""
    first(f"worker-{os.getpid()}")


def workers() -> list[int]:
    """The processes, other than this one, that executed elements and are still there."""
    pids = [int(path.name.partition("-")[2]) for path in folder().glob("worker-*")]
    return sorted(pid for pid in pids if pid != os.getpid() and Path(f"/proc/{pid}").exists())


def note_bystander(pid: int) -> None:
    """Note a process that the fault itself started: nobody's leak."""
    first(f"bystander-{pid}")


def bystanders(where: Path) -> set[int]:
    """The processes noted by `note_bystander`."""
    return {int(path.name.partition("-")[2]) for path in where.glob("bystander-*")}
