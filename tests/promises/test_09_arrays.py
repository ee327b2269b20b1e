"""Arrays that somebody keeps lie in the memory of a queue, and neither stop what passes by nor cost more than
themselves."""

from __future__ import annotations

import ctypes
import gc
import os
from typing import Any

import numpy as np
import pytest
from support.process_table import open_fds, shared_mappings

from pypeln import io, pr, th

MIB = 1 << 20
BUDGET = 8 * MIB


def array_of(number: int) -> Any:
    """A MiB for most; the last ones are as large as a queue's budget allows."""
    nbytes = MIB if number < 30 else BUDGET - MIB // 2
    return np.full(nbytes // 8, number, np.float64)


async def array_of_async(number: int) -> Any:
    return array_of(number)


def same(x: Any) -> Any:
    return x


STAGES = {
    "pr": lambda: pr.map(array_of, range(36), workers=2),
    "pr, passed on": lambda: pr.map(same, pr.map(array_of, range(36), workers=2)),
    "pr, one slot": lambda: pr.map(array_of, range(36), workers=2, maxsize=1),
    "th into pr": lambda: pr.map(same, th.map(array_of, range(36)), workers=2),
    "io into pr": lambda: pr.map(same, io.map(array_of_async, range(36)), workers=2),
    "pr into io": lambda: io.map(same, pr.map(array_of, range(36), workers=2)),
    "ordered": lambda: pr.ordered(pr.map(array_of, range(36), workers=2)),
}


@pytest.mark.parametrize("stage", STAGES)
def test_promise_09_arrays_that_are_kept_do_not_stop_larger_ones(
    stage: str, start_method: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They may be held where they arrived, in pieces between which nothing large finds room."""
    monkeypatch.setenv("PYPELN_QUEUE_BYTES", str(BUDGET))
    kept = list(STAGES[stage]())
    assert sorted(array[0] for array in kept) == list(range(36))
    assert all((array == array[0]).all() for array in kept)


class Keeps:
    """A function that keeps every second array, in its own process."""

    def __init__(self) -> None:
        self.kept: list[Any] = []

    def __call__(self, array: Any) -> Any:
        if array[0] % 2 == 0:
            self.kept.append((array[0], array))
        for number, each in self.kept:
            assert (each == number).all()
        return array


def test_promise_09_arrays_that_a_worker_keeps_do_not_stop_larger_ones(
    start_method: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYPELN_QUEUE_BYTES", str(BUDGET))
    stage = pr.map(Keeps(), pr.map(array_of, range(36), workers=2), workers=2)
    assert sorted(array[0] for array in stage) == list(range(36))


def shared_bytes() -> int:
    """How much of the shared memory that this process maps has pages, whoever has touched them."""
    page, found = os.sysconf("SC_PAGESIZE"), 0
    mincore = ctypes.CDLL(None, use_errno=True).mincore
    for line in shared_mappings():
        start, end = (int(number, 16) for number in line.split()[0].split("-"))
        resident = (ctypes.c_ubyte * ((end - start) // page))()
        assert mincore(ctypes.c_void_p(start), ctypes.c_size_t(end - start), resident) == 0
        found += page * sum(resident)
    return found


def test_promise_08_an_array_that_outlives_its_run_keeps_no_descriptor_and_only_its_own_memory(
    fork: None,
) -> None:
    def make(number: int) -> Any:
        return np.full(MIB // 4 // 8, number, np.float64)

    list(pr.map(make, range(3)))
    gc.collect()
    fds, mappings, kept = open_fds(), len(shared_mappings()), []
    for number in range(20):
        kept.append(list(pr.map(make, range(number, number + 40)))[20])
    assert open_fds() == fds
    assert all((array == number + 20).all() for number, array in enumerate(kept))
    assert shared_bytes() < 20 * MIB  # 20 arrays of a quarter, not 20 queues of ten
    del kept[:]
    gc.collect()
    assert len(shared_mappings()) == mappings


def test_promise_08_of_the_arrays_of_a_run_that_is_over_each_gives_its_memory_back(fork: None) -> None:
    def make(number: int) -> Any:
        return np.full(MIB // 8, number, np.float64)

    gc.collect()
    before = shared_bytes()
    kept = list(pr.map(make, range(20)))
    assert shared_bytes() - before > 10 * MIB
    del kept[:-1]
    gc.collect()
    assert shared_bytes() - before < 3 * MIB
    assert (kept[-1] == 19).all()
