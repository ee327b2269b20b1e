"""What `pypeln.pin` locks, and when it lets go: with a stand-in for CUDA that notes what it is asked."""

from __future__ import annotations

import gc
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import pypeln as pl
from pypeln import budget, pr

MIB = 1 << 20


def same(x: Any) -> Any:
    return x


class Cuda:
    """What it has been asked to lock, by address, and is still to keep so."""

    def __init__(self, status: int = 0) -> None:
        self.status = status
        self.locked: dict[int, int] = {}

    def is_available(self) -> bool:
        return True

    def cudart(self) -> Cuda:
        return self

    def cudaHostRegister(self, address: int, nbytes: int, flags: int) -> int:
        assert flags == 1
        if self.status == 0:
            self.locked[address] = nbytes
        return self.status

    def cudaHostUnregister(self, address: int) -> None:
        del self.locked[address]


def pinned(monkeypatch: pytest.MonkeyPatch, cuda: Cuda, value: Any) -> Any:
    """The value, after `pin` with a torch that has this CUDA."""
    with monkeypatch.context() as patch:
        patch.setitem(sys.modules, "torch", SimpleNamespace(cuda=cuda))
        return pl.pin(value)


def address(array: Any) -> int:
    return int(array.__array_interface__["data"][0])


def covers(cuda: Cuda, array: Any) -> bool:
    return any(start <= address(array) < start + nbytes for start, nbytes in cuda.locked.items())


def test_the_first_call_locks_what_the_queue_may_use_and_the_end_unlocks_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    cuda = Cuda()
    with pl.memory(32 * MIB):
        stage = iter(pr.map(same, (np.full(50_000, float(number)) for number in range(6))))
    for array in stage:
        assert pinned(monkeypatch, cuda, array) is array
        assert list(cuda.locked.values()) == [8 * MIB]
        assert covers(cuda, array)
    assert len(cuda.locked) == 1  # the last array is still there
    del stage, array
    gc.collect()
    assert cuda.locked == {}


def test_large_elements_lie_in_a_part_of_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(budget, "of_each_queue", lambda run, queues: budget.Share(8 * MIB, 24 * MIB))
    cuda = Cuda()
    kept = []
    for array in pr.map(same, (np.full(900_000, number, dtype=np.float32) for number in range(3))):
        kept.append(pinned(monkeypatch, cuda, array))
        assert covers(cuda, array)
    assert sorted(cuda.locked.values()) == [8 * MIB, 24 * MIB]
    assert [array[0] for array in kept] == [0, 1, 2]


def test_after_the_run_only_what_is_left_is_locked(monkeypatch: pytest.MonkeyPatch) -> None:
    cuda = Cuda()
    kept = list(pr.map(same, (np.full(50_000, float(number)) for number in range(3))))
    pinned(monkeypatch, cuda, kept)
    assert list(cuda.locked.values()) == [512 << 10] * 3
    assert all(covers(cuda, array) for array in kept)
    del kept
    gc.collect()
    assert cuda.locked == {}


# In an interpreter of its own: there the collector comes to the arena before what else would let go of it.
GARBAGE = """
import gc
import numpy as np
from pypeln import pr
from pypeln._core.arena import arena_at

if __name__ == "__main__":
    locked, circle = {}, []
    (array,) = pr.map(abs, [np.ones(50_000)])
    address = array.__array_interface__["data"][0]
    arena = arena_at(address)
    arena.lock(address, lambda: (locked.__setitem__, locked.__delitem__))
    circle += [arena, circle, {"circle": circle}]
    del array, arena
    gc.collect()
    assert len(locked) == 1
    del circle
    gc.collect()
    assert not locked
"""


def test_what_is_garbage_in_a_circle_is_unlocked_too(tmp_path: Path) -> None:
    program = tmp_path / "garbage.py"
    program.write_text(GARBAGE)
    done = subprocess.run(
        [sys.executable, str(program)], stderr=subprocess.PIPE, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_what_cannot_be_locked_is_an_error_that_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    cuda = Cuda(status=2)
    (array,) = pr.map(same, [np.ones(50_000)])
    with pytest.raises(RuntimeError, match=r"could not lock 524288 bytes.*\(error 2\).*pypeln\.memory"):
        pinned(monkeypatch, cuda, array)
    cuda.status = 0
    assert pinned(monkeypatch, cuda, array) is array and covers(cuda, array)
