"""Many elements through processes that are killed all the time, and every result exactly once."""

from __future__ import annotations

import os
import random
import signal
import sys
import threading
import time
import zlib
from collections.abc import Iterator
from typing import Any

import system
from support.watchdog import Watchdog

import pypeln as pl

# No result for so long is a hang.
WATCHDOG_S = 120.0
# An element is in a worker's hands when that is killed, and may be so again; never so often by chance.
RETRIES = 1000


def marked(x: int) -> tuple[int, int]:
    """The number with its checksum."""
    return x, zlib.crc32(b"%d" % x)


def children(element: tuple[int, int]) -> Iterator[tuple[int, int, int]]:
    """None to four, as the number says."""
    x, checksum = element
    for i in range(x % 5):
        yield x, i, checksum


def merged(child: tuple[int, int, int]) -> tuple[int, int, int]:
    """The number, the child's and what shows that neither has changed."""
    x, i, checksum = child
    if checksum != zlib.crc32(b"%d" % x):
        raise ValueError(f"{child} has changed on its way")
    return x, i, zlib.crc32(b"%d %d" % (x, i))


class Killer:
    """Kills worker processes of this program, one after the other, until it is told to stop."""

    def __init__(self, pause_s: float, seed: int) -> None:
        self.kills = 0
        self._pause_s = pause_s
        self._random = random.Random(seed)
        self._over = threading.Event()
        self._spared: set[int] = set()
        self._thread = threading.Thread(target=self._kill)

    def start(self, spared: set[int]) -> None:
        """Begin; these are no workers."""
        self._spared = spared
        self._thread.start()

    def stop(self) -> None:
        """Returns when nobody will be killed any more."""
        self._over.set()
        self._thread.join()

    def _kill(self) -> None:
        while not self._over.wait(self._random.expovariate(1 / self._pause_s)):
            workers = sorted(system.children_of(os.getpid()) - self._spared)
            if workers:
                self.kills += system.send(self._random.choice(workers), signal.SIGKILL)


def run(elements: int, pause_s: float, seed: int, workers: int = 2) -> int:
    """One long run; prints its figures.

    Args:
        elements: How many.
        pause_s: The mean time between two kills.
        seed: For the choice of whom to kill.
        workers: Of each stage.

    Returns:
        The exit code: 0 when every result came exactly once.
    """
    watchdog = Watchdog()
    options: dict[str, Any] = {"workers": workers, "on_worker_death": "restart", "retries": RETRIES}
    first = pl.pr.map(marked, range(elements), maxsize=100, **options)
    second = pl.pr.flat_map(children, first, maxsize=100, **options)
    third = pl.pr.map(merged, second, **options)
    killer = Killer(pause_s, seed)
    seen = bytearray(5 * elements)
    wrong = 0
    began = time.monotonic()
    killer.start(system.children_of(os.getpid()))
    try:
        watchdog.arm(WATCHDOG_S, f"long-kill with seed {seed}")
        for number, (x, i, checksum) in enumerate(third):
            if number % 10_000 == 0:
                watchdog.arm(WATCHDOG_S, f"long-kill with seed {seed} after {number} results")
            wrong += checksum != zlib.crc32(b"%d %d" % (x, i))
            place = 5 * x + i
            seen[place] = min(255, seen[place] + 1)
    finally:
        killer.stop()
        watchdog.disarm()
        watchdog.close()
    seconds = time.monotonic() - began
    expected = [i < x % 5 for x in range(elements) for i in range(5)]
    missing = sum(want and not have for want, have in zip(expected, seen, strict=True))
    extra = sum(have - want for want, have in zip(expected, seen, strict=True) if have > want)
    stats = [(each.name, each.restarts, each.retried) for each in third.pipeline_stats()]
    print(
        f"{elements} elements, {sum(expected)} results: {missing} missing, {extra} extra, {wrong} corrupted; "
        f"{killer.kills} kills, restarts and retries {stats}, {seconds:.1f} s"
    )
    return 1 if missing or extra or wrong else 0


if __name__ == "__main__":
    sys.exit("start it with run.py --long-kill")
