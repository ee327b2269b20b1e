"""Arrays through shared memory by hand: a few slots that are used again, their numbers sent through pipes.

It is the ceiling of copying arrays: one size and type known beforehand, one worker, a copy on each way in.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from multiprocessing import Pipe, Process
from multiprocessing.connection import Connection
from multiprocessing.sharedctypes import RawArray
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]

# Enough that the parent can fill one while the worker works on another and a third is read.
SLOTS = 4


def _work(f: Callable[[Array], Array], connection: Connection, given: list[Array], back: list[Array]) -> None:
    for slot in iter(connection.recv, None):
        np.copyto(back[slot], f(given[slot]))
        connection.send(slot)


def _exchange(
    source: Iterator[Array], connection: Connection, given: list[Array], back: list[Array]
) -> Iterator[Array]:
    in_flight = 0
    free = list(range(SLOTS))
    while True:
        while free:
            array = next(source, None)
            if array is None:
                break
            slot = free.pop()
            np.copyto(given[slot], array)
            connection.send(slot)
            in_flight += 1
        if not in_flight:
            return
        slot = connection.recv()
        in_flight -= 1
        # The consumer must be done with the view before it asks for the next.
        yield back[slot]
        free.append(slot)


@contextmanager
def reused_slots_map(
    f: Callable[[Array], Array], source: Iterable[Array], workers: int, nbytes: int
) -> Iterator[Iterable[Array]]:
    """Yield views of the results of `f`, valid until the next is asked for. Needs the start method fork."""
    if workers != 1:
        raise ValueError(f"reused_slots_map has one worker, not {workers}")

    def slots() -> list[Any]:
        return [np.frombuffer(RawArray("b", nbytes), dtype=np.float32) for _ in range(SLOTS)]

    given, back = slots(), slots()
    ours, theirs = Pipe()
    process = Process(target=_work, args=(f, theirs, given, back), daemon=True)
    process.start()
    yield _exchange(iter(source), ours, given, back)
    ours.send(None)
    process.join()
