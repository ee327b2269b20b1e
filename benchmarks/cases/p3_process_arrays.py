"""P3: numpy arrays through process stages, passed on as they are or doubled, from 4 KiB to 500 MB."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from cases.p3_contenders import Source, mean_of_all, stages_case

Array = NDArray[np.float32]


def filled(nbytes: int, number: float) -> Array:
    return np.full(nbytes // 4, number, dtype=np.float32)


def pass_on(a: Any) -> Any:
    return a


def double(a: Any) -> Any:
    return a * 2


SIZES = {
    "4K": ("4 KiB", Source(filled, 2**12, items=50_000, slow_items=5_000)),
    "64K": ("64 KiB", Source(filled, 2**16, items=10_000, slow_items=1_000)),
    "1M": ("1 MiB", Source(filled, 2**20, items=2_000, slow_items=200)),
    "16M": ("16 MiB", Source(filled, 2**24, items=100, slow_items=20)),
    "500M": (
        "500 MB",
        Source(filled, 500_000_000, items=6, slow_items=3, distinct=2, quick_items=2, quick_nbytes=2**24),
    ),
}
# What the stages do: the end of a case's name, its title, the functions, by what all of them multiply.
ONE_STAGE = (
    ("", "through one process stage, passed on", [pass_on], 1),
    ("-X2", "through one process stage, a * 2", [double], 2),
)
CHAINS = (
    ("-X2-X2", "through two process stages, a * 2 in each", [double] * 2, 4),
    ("-PASS5", "through five process stages, passed on by each", [pass_on] * 5, 1),
)
CHAINED_SIZES = ("64K", "1M", "16M")

CASES = {
    f"P3-{label}{work}": stages_case(
        f"P3-{label}{work}",
        f"{size} float32 arrays {what}",
        source,
        stages,
        factor=factor,
        pool_chunks=(1, 64) if label == "4K" else (1,),
    )
    for label, (size, source) in SIZES.items()
    for work, what, stages, factor in (*ONE_STAGE, *(CHAINS if label in CHAINED_SIZES else ()))
}
CASES["P3-1M-SUM"] = stages_case(
    "P3-1M-SUM",
    "1 MiB float32 arrays through one process stage, passed on, all numbers added up by the consumer",
    SIZES["1M"][1],
    [pass_on],
    read=mean_of_all,
)
