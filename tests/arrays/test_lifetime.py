"""Blocks are given back when the last view is gone, and never before."""

from __future__ import annotations

import ctypes
import gc
import os
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.copies import copies
from support.notes import wait_until

import pypeln as pl
from pypeln import io, pr, th

N = 20_000
MIB = 1 << 20


def filled(number: int, n: int = N) -> np.ndarray:
    return np.full(n, number, dtype=np.float32)


def same(x: Any) -> Any:
    return x


def arenas_of(elements: Any) -> Any:
    """The arenas of a run that has begun, as long as it lasts and views on them."""
    (run,) = [each for each in gc.get_objects() if type(each).__name__ == "Wiring" and each.queues]
    return run.arenas


def blocks_in_use(arenas: Any) -> int:
    return sum(arena.usage()["blocks"] for arena in arenas)


def test_blocks_are_back_when_the_last_view_is_gone() -> None:
    elements = iter(pr.map(same, pr.map(same, [filled(i) for i in range(8)])))
    first = next(elements)
    arenas = arenas_of(elements)
    kept = [first[3:], *(each[:1] for each in elements)]
    del first
    assert blocks_in_use(arenas) == 8
    assert [float(each[0]) for each in kept] == list(range(8))
    del kept[3:]
    assert blocks_in_use(arenas) == 3
    kept.clear()
    assert blocks_in_use(arenas) == 0


def test_views_outlive_the_run_and_the_pipeline() -> None:
    stage = pr.map(same, [filled(i) for i in range(4)])
    kept = list(stage)
    del stage
    gc.collect()
    assert [set(each.tolist()) for each in kept] == [{0.0}, {1.0}, {2.0}, {3.0}]
    kept[0][:] = 9
    assert (kept[1] == 1).all()


def test_views_outlive_a_run_that_is_left_early() -> None:
    elements = iter(pr.map(same, (filled(i) for i in range(10_000))))
    kept = [next(elements) for _ in range(4)]
    elements.close()
    assert [set(each.tolist()) for each in kept] == [{0.0}, {1.0}, {2.0}, {3.0}]


def die_holding(x: Any) -> Any:
    kept.append(x)
    if x[0] == 5 and not os.path.exists(died):
        open(died, "w").close()
        os.kill(os.getpid(), signal.SIGKILL)
    return x * 1


kept: list[Any] = []
died = ""


def test_blocks_are_back_when_a_worker_dies_that_held_them(tmp_path: Path) -> None:
    global died
    died = str(tmp_path / "died")
    stage = pr.map(same, (filled(i) for i in range(40)))
    elements = iter(pr.map(die_holding, stage, on_worker_death="restart"))
    values = [float(next(elements)[0])]
    arenas = arenas_of(elements)
    for each in elements:
        values.append(float(each[0]))
        # Nothing is held while the worker is replaced: what is held at a fork stays.
        del each
    assert sorted(values) == list(range(40)) and os.path.exists(died)
    assert blocks_in_use(arenas) == 0


@pytest.mark.parametrize("calls", [pr, th, io], ids=["pr", "th", "io"])
def test_a_consumer_that_keeps_everything_never_stops_the_pipeline(calls: Any) -> None:
    """60 MB through 8 MiB: it is copied out of what is there for elements on their way."""
    with pl.memory(4 * 8 * MIB):
        stage = calls.map(same, pr.map(same, (filled(i, MIB // 4) for i in range(60))))
        got = list(stage)
    assert [set(each.tolist()) for each in got] == [{float(i)} for i in range(60)]
    assert sum(each.get("copied_out", 0) for each in copies(stage)) > 0


def test_a_worker_that_keeps_everything_never_stops_the_pipeline() -> None:
    hoard: list[Any] = []

    def keep(x: Any) -> float:
        hoard.append(x)
        assert all((each == i).all() for i, each in enumerate(hoard))
        return float(x[0])

    with pl.memory(3 * 8 * MIB):
        assert list(pr.map(keep, pr.map(same, (filled(i, MIB // 4) for i in range(40))))) == list(range(40))


def test_small_arrays_that_are_kept_leave_room_for_large_ones() -> None:
    """One array in sixteen is kept, one in each chunk of memory, so that no run of chunks stays free."""

    def pairs() -> Any:
        for i in range(400):
            yield filled(i, 16_000) if i % 4 else filled(i, 3 * MIB // 4)

    with pl.memory(2 * 32 * MIB):
        kept = [a for i, a in enumerate(pr.map(same, pairs())) if i % 4 == 0 or a[0] % 16 == 1]
    assert len(kept) == 125
    for a in kept:
        assert (a == a[0]).all()


def test_what_is_larger_than_a_half_goes_through_although_arrays_are_kept() -> None:
    with pl.memory(2 * 16 * MIB):
        kept = list(pr.map(same, [filled(1, MIB // 2), *(filled(i, 7 * MIB // 4) for i in range(6))]))
    assert [float(a[-1]) for a in kept] == [1, 0, 1, 2, 3, 4, 5]


def test_a_forked_copy_of_the_consumer_leaves_the_blocks_alone() -> None:
    elements = iter(pr.map(same, [filled(i) for i in range(4)]))
    first = next(elements)
    arenas = arenas_of(elements)
    pid = os.fork()
    if pid == 0:
        del first
        gc.collect()
        os._exit(0)
    os.waitpid(pid, 0)
    rest = list(elements)
    assert blocks_in_use(arenas) == 4
    assert (first == 0).all() and len(rest) == 3


def test_freed_blocks_are_poisoned_on_request(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is kept is untouched by it; what somebody looked at without holding it would not be."""
    monkeypatch.setenv("PYPELN_POISON", "1")
    kept = []
    elements = iter(pr.map(lambda a: a * 1, (np.full(N, i % 100, "u1") for i in range(500))))
    for i in range(500):
        a = next(elements)
        assert (a == i % 100).all()
        if i % 10 == 0:
            kept.append(a)
    arenas = arenas_of(elements)
    memory = (ctypes.c_ubyte * N).from_address(a.ctypes.data)
    assert set(memory) == {99}
    del a
    wait_until(lambda: set(memory) == {0xDB}, "whoever lets go last overwrites it")
    assert [set(a.tolist()) for a in kept] == [{i % 100} for i in range(0, 500, 10)]
    elements.close()
    assert blocks_in_use(arenas) == len(kept)


def test_more_processes_than_can_hold_blocks_copy() -> None:
    from pypeln._core.arena import HOLDERS

    stage = pr.map(same, [filled(i) for i in range(2 * HOLDERS)], workers=HOLDERS + 3)
    assert sorted(float(a[0]) for a in stage) == list(range(2 * HOLDERS))
