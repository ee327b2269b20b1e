"""P3: arrays inside dicts and lists, and parts of arrays, through one process stage."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from cases.p3_contenders import Source, stages_case

Array = NDArray[np.float32]

KIB = 1024
FIELDS = 10
ARRAYS = 100
SIDE = 512
TRIMMED = 10


def dict_of_arrays(nbytes: int, number: float) -> dict[str, Array]:
    return {f"field{i}": np.full(nbytes // FIELDS // 4, number, dtype=np.float32) for i in range(FIELDS)}


def list_of_arrays(nbytes: int, number: float) -> list[Array]:
    return [np.full(nbytes // ARRAYS // 4, number, dtype=np.float32) for _ in range(ARRAYS)]


def square(nbytes: int, number: float) -> Array:
    return np.full((SIDE, nbytes // SIDE // 4), number, dtype=np.float32)


def row(nbytes: int, number: float) -> Array:
    return np.full(nbytes // 4, number, dtype=np.float32)


def pass_on(element: Any) -> Any:
    return element


def one_field(element: Any) -> Any:
    return element["field5"]


def every_second(a: Any) -> Any:
    return a[::2]


def inner(a: Any) -> Any:
    return a[TRIMMED:-TRIMMED]


def transposed(a: Any) -> Any:
    return a.T


DICTS = Source(dict_of_arrays, FIELDS * 100 * KIB, items=2_000, slow_items=200)
LISTS = Source(list_of_arrays, ARRAYS * 4 * KIB, items=2_000, slow_items=50)
ROWS = Source(row, 2**20, items=2_000, slow_items=200)
SQUARES = Source(square, 2**20, items=2_000, slow_items=200)

CASES = {
    case.name: case
    for case in (
        stages_case(
            "P3-DICT10",
            "dicts of ten float32 arrays of 100 KiB through one process stage, passed on",
            DICTS,
            [pass_on],
        ),
        stages_case(
            "P3-DICT10-FIELD",
            "dicts of ten float32 arrays of 100 KiB through one process stage, one array returned",
            DICTS,
            [one_field],
            result_share=1 / FIELDS,
            result_like=one_field,
        ),
        stages_case(
            "P3-LIST100",
            "lists of 100 float32 arrays of 4 KiB through one process stage, passed on",
            LISTS,
            [pass_on],
        ),
        stages_case(
            "P3-1M-EVERY2",
            "1 MiB float32 arrays through one process stage, a[::2]",
            ROWS,
            [every_second],
            result_share=1 / 2,
            result_like=every_second,
        ),
        stages_case(
            "P3-1M-INNER",
            f"1 MiB float32 arrays through one process stage, a[{TRIMMED}:-{TRIMMED}]",
            ROWS,
            [inner],
            result_share=1 - 2 * TRIMMED * 4 / 2**20,
            result_like=inner,
        ),
        stages_case(
            "P3-1M-T",
            "1 MiB float32 arrays of 512 x 512 through one process stage, a.T",
            SQUARES,
            [transposed],
            result_like=transposed,
        ),
    )
}
