"""Many elements through processes that are killed all the time, and every result exactly once."""

from __future__ import annotations

import os
import random
import signal
import sys
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
import system
from support.watchdog import Watchdog, descendants

import pypeln as pl

# No result for so long is a hang.
WATCHDOG_S = 120.0
# An element is in a worker's hands when that is killed, and may be so again; never so often by chance.
RETRIES = 1000


class Payload(NamedTuple):
    """What the three stages do, and whether a result is what it must be."""

    first: Callable[[int], Any]
    second: Callable[[Any], Iterator[Any]]
    third: Callable[[Any], Any]
    is_intact: Callable[[int, int, Any], bool]


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


def is_merged(x: int, i: int, checksum: int) -> bool:
    """Whether `merged` has made it."""
    return checksum == zlib.crc32(b"%d %d" % (x, i))


def filled(x: int) -> tuple[int, Any]:
    """The number and an array of it: half a kilobyte, which lies in a slot, to 33, which lie in a block."""
    return x, np.full(64 + x % 4096, x)


def slices(element: tuple[int, Any]) -> Iterator[tuple[int, int, Any]]:
    """None to four views of the array."""
    x, array = element
    for i in range(x % 5):
        yield x, i, array[i::5]


def doubled(part: tuple[int, int, Any]) -> tuple[int, int, Any]:
    """The slice, times two."""
    x, i, array = part
    if not (array == x).all():
        raise ValueError(f"slice {i} of {x} has changed on its way: {array}")
    return x, i, array * 2


def is_doubled(x: int, i: int, array: Any) -> bool:
    """Whether `doubled` has made it."""
    return len(array) == len(range(i, 64 + x % 4096, 5)) and bool((array == 2 * x).all())


PAYLOADS = {
    "tuples": Payload(marked, children, merged, is_merged),
    "arrays": Payload(filled, slices, doubled, is_doubled),
}


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
            workers = sorted(descendants(os.getpid()).keys() - self._spared)
            if workers:
                self.kills += system.send(self._random.choice(workers), signal.SIGKILL)


def run(elements: int, kind: str, pause_s: float, seed: int, workers: int = 2) -> int:
    """One long run; prints its figures.

    Args:
        elements: How many.
        kind: Of `PAYLOADS`.
        pause_s: The mean time between two kills.
        seed: For the choice of whom to kill.
        workers: Of each stage.

    Returns:
        The exit code: 0 when every result came exactly once.
    """
    watchdog = Watchdog()
    options: dict[str, Any] = {"workers": workers, "on_worker_death": "restart", "retries": RETRIES}
    payload = PAYLOADS[kind]
    first = pl.pr.map(payload.first, range(elements), maxsize=100, **options)
    second = pl.pr.flat_map(payload.second, first, maxsize=100, **options)
    third = pl.pr.map(payload.third, second, **options)
    killer = Killer(pause_s, seed)
    seen = bytearray(5 * elements)
    wrong = 0
    began = time.monotonic()
    killer.start(set(descendants(os.getpid())))
    try:
        watchdog.arm(WATCHDOG_S, f"long-kill with seed {seed}")
        for number, (x, i, proof) in enumerate(third):
            if number % 10_000 == 0:
                watchdog.arm(WATCHDOG_S, f"long-kill with seed {seed} after {number} results")
            wrong += not payload.is_intact(x, i, proof)
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
        f"{elements} elements ({kind}), {sum(expected)} results: {missing} missing, {extra} extra, "
        f"{wrong} corrupted; {killer.kills} kills, restarts and retries {stats}, {seconds:.1f} s"
    )
    return 1 if missing or extra or wrong else 0


if __name__ == "__main__":
    sys.exit("start it with run.py --long-kill")
