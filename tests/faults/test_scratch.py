"""What is used again while it still waits in a queue arrives as it was."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from pypeln import pr


def test_an_array_that_f_uses_as_scratch_arrives_as_it_was(fork: None) -> None:
    """The worker overwrites it while its last contents still wait in the queue."""
    scratch = np.zeros(100_000)

    def fill(x: int) -> Any:
        scratch[:] = x
        return scratch

    for maxsize in (0, 1, 4):
        got = list(pr.map(fill, range(50), maxsize=maxsize).to_iterable(maxsize=maxsize))
        assert [(array.min(), array.max()) for array in got] == [(x, x) for x in range(50)]


@pytest.mark.parametrize("size", [10, 100_000])
def test_a_buffer_that_a_source_uses_again_arrives_as_it_was(size: int, fork: None) -> None:
    def buffers() -> Iterator[Any]:
        buffer = np.zeros(size)
        for x in range(50):
            buffer[:] = x
            yield buffer

    sums = list(pr.map(lambda array: float(array.sum()), buffers()))
    assert sums == [float(x) * size for x in range(50)]


def test_a_list_that_f_uses_again_arrives_as_it_was(fork: None) -> None:
    kept: list[int] = []

    def append(x: int) -> list[int]:
        kept.append(x)
        return kept

    assert list(pr.map(append, range(20))) == [list(range(x + 1)) for x in range(20)]
