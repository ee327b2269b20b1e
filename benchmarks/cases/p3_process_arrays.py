"""P3: numpy arrays through one process stage, passed on as they are or doubled, at three sizes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import cycle, islice
from typing import Any

import numpy as np
from numpy.typing import NDArray

from contenders.process_map import pool_map, pypeln_map
from contenders.reused_slots import reused_slots_map
from contenders.without_queue import plain_map
from harness.case import Case, Contender, Role, applying
from harness.measures import bandwidth

Array = NDArray[np.float32]

# As many as a source may have at hand; each is filled with its own number, by which results are told apart.
DISTINCT = 8


def pass_on(a: Array) -> Array:
    return a


def double(a: Array) -> Array:
    doubled: Array = a * np.float32(2)
    return doubled


def arrays_of(nbytes: int) -> Callable[[int], Iterator[Array]]:
    """A source of arrays that exist before they are asked for: making them is not what is measured."""

    def arrays(n: int) -> Iterator[Array]:
        made = [np.full(nbytes // 4, i, dtype=np.float32) for i in range(DISTINCT)]
        return islice(cycle(made), n)

    return arrays


def array_case(name: str, size: str, nbytes: int, f: Callable[[Array], Array], items: int) -> Case:
    factor = 2 if f is double else 1
    apply = applying(f, arrays_of(nbytes))
    slower = max(8, items // 10)
    contenders: tuple[Any, ...] = (
        Contender("pypeln", Role.PYPELN, items, apply(pypeln_map)),
        Contender("pypeln 0.4.9", Role.OLD, slower, apply(pypeln_map), packages=("numpy",)),
        Contender("Pool chunk 1", Role.PEER, slower, apply(pool_map, 1)),
        Contender("reused slots by hand", Role.CEILING, items, apply(reused_slots_map, nbytes)),
        Contender("plain map()", Role.REFERENCE, items, apply(plain_map)),
    )
    return Case(
        name=name,
        title=f"{size} float32 arrays through one process stage, {'a * 2' if factor == 2 else 'passed on'}",
        unit="GB/s",
        higher_is_better=True,
        workers=(1,),
        measure=bandwidth(nbytes),
        expected=lambda n: [float(i % DISTINCT * factor) for i in range(n)],
        contenders=contenders,
        quick_items=8,
    )


CASES = {
    case.name: case
    for size, label, nbytes, items in (
        ("64 KiB", "64K", 2**16, 10_000),
        ("1 MiB", "1M", 2**20, 2_000),
        ("16 MiB", "16M", 2**24, 100),
    )
    for case in (
        array_case(f"P3-{label}", size, nbytes, pass_on, items),
        array_case(f"P3-{label}-X2", size, nbytes, double, items),
    )
}
