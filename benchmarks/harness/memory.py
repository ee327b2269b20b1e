"""How much memory a pipeline holds: this process, those it started and what they share. Linux only."""

from __future__ import annotations

import os
from pathlib import Path

PROC = Path("/proc")


def tree_mib() -> float:
    """Memory of this process and of all below it, in MiB; what they share is counted once.

    Shared memory counts from when it is reserved, whether or not anybody has touched it yet.
    """
    private = shared = 0
    files: dict[tuple[int, int], int] = {}
    for pid in _tree(os.getpid()):
        try:
            usage = _proportional_kib(pid)
            _add_shared_files(pid, files)
        except (FileNotFoundError, ProcessLookupError):
            continue  # it has ended
        shared += usage["Pss_Shmem"]
        private += usage["Pss"] - usage["Pss_Shmem"]
    return private / 2**10 + max(shared / 2**10, sum(files.values()) / 2**20)


def _tree(pid: int) -> list[int]:
    pids = [pid]
    for parent in pids:  # grows while it is walked
        for children in PROC.glob(f"{parent}/task/*/children"):
            try:
                pids += map(int, children.read_text().split())
            except (FileNotFoundError, ProcessLookupError):
                pass
    return pids


def _proportional_kib(pid: int) -> dict[str, int]:
    lines = (PROC / str(pid) / "smaps_rollup").read_text().splitlines()[1:]
    return {name.rstrip(":"): int(amount) for name, amount, _ in map(str.split, lines)}


def _add_shared_files(pid: int, files: dict[tuple[int, int], int]) -> None:
    """Note the bytes that each open file in memory (a memfd, one in /dev/shm) takes, by its identity."""
    for entry in os.scandir(PROC / str(pid) / "fd"):
        try:
            target = os.readlink(entry.path)
            if target.startswith(("/memfd:", "/dev/shm/")):
                status = os.stat(entry.path)
                files[status.st_dev, status.st_ino] = status.st_blocks * 512
        except FileNotFoundError:
            continue  # closed meanwhile
