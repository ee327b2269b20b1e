"""Shared memory is bounded by what somebody has said, or by what there is."""

from __future__ import annotations

import itertools
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.copies import copies
from support.notes import settled

import pypeln as pl
from pypeln import budget, pr

MIB = 1 << 20


def same(x: Any) -> Any:
    return x


def test_a_run_divides_its_memory_among_its_queues() -> None:
    with pl.memory(48 * MIB):
        stage = pr.map(same, pr.map(same, range(3)))
        assert list(stage) == [0, 1, 2]
    assert [each.capacity for each in stage.memory_stats()] == [8 * MIB] * 3


def test_a_run_has_the_memory_of_the_place_where_its_iterator_was_made() -> None:
    stage = pr.map(same, range(3))
    with pl.memory(8 * MIB):
        elements = stage.to_iterable()
    assert list(elements) == [0, 1, 2]
    assert [each.capacity for each in stage.memory_stats()] == [2 * MIB] * 2
    list(stage)
    assert stage.memory_stats()[0].capacity > 2 * MIB


def test_the_environment_says_what_a_run_may_take(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYPELN_MEMORY", str(16 * MIB))
    stage = pr.map(same, range(3))
    list(stage)
    assert [each.capacity for each in stage.memory_stats()] == [4 * MIB] * 2
    with pl.memory(32 * MIB):
        list(stage)
    assert stage.memory_stats()[0].capacity == 8 * MIB


def test_of_the_queue_it_says_what_is_on_its_way(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYPELN_QUEUE_BYTES", str(4 * MIB))
    stage = pr.map(same, range(3))
    list(stage)
    assert [each.capacity for each in stage.memory_stats()] == [4 * MIB] * 2


@pytest.mark.parametrize(
    ("name", "setting"),
    [("PYPELN_MEMORY", "1G"), ("PYPELN_MEMORY", "1048576"), ("PYPELN_QUEUE_BYTES", "-1")],
)
def test_a_setting_that_is_none_is_an_error_that_names_it(
    monkeypatch: pytest.MonkeyPatch, name: str, setting: str
) -> None:
    monkeypatch.setenv(name, setting)
    with pytest.raises(ValueError, match=name):
        list(pr.map(same, range(3)))


@pytest.mark.parametrize(
    ("nbytes", "error"), [("1G", TypeError), (True, TypeError), (1.5, TypeError), (MIB, ValueError)]
)
def test_memory_wants_a_number_of_bytes(nbytes: Any, error: type[Exception]) -> None:
    with pytest.raises(error, match="nbytes"), pl.memory(nbytes):
        pass


def test_too_many_queues_for_the_memory_are_an_error_before_the_first_element() -> None:
    with pl.memory(6 * MIB), pytest.raises(ValueError, match="4 queues between processes"):
        list(pr.map(same, pr.map(same, pr.map(same, range(3)))))


def test_by_default_a_quarter_of_the_memory_is_for_what_is_on_its_way(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("PYPELN_QUEUE_BYTES", raising=False)
    monkeypatch.setattr(budget, "available", lambda: 2 << 30)
    assert budget.of_each_queue(None, 1) == (512 * MIB, 0)
    assert budget.of_each_queue(None, 4) == (128 * MIB, 0)


@pytest.mark.parametrize(("queues", "for_large"), [(1, 4096), (2, 4096), (3, 2048), (6, 0), (12, 0)])
def test_by_default_half_of_the_memory_bounds_what_more_there_is_for_large_elements(
    monkeypatch: pytest.MonkeyPatch, queues: int, for_large: int
) -> None:
    monkeypatch.delenv("PYPELN_QUEUE_BYTES", raising=False)
    memory = 24 << 30
    monkeypatch.setattr(budget, "available", lambda: memory)
    share = budget.of_each_queue(None, queues)
    assert share.nbytes == (1 << 30 if queues <= 6 else memory // 4 // queues)
    assert share.for_large == for_large * MIB
    assert queues * (2 * share.nbytes + share.for_large) <= memory // 2


def test_what_somebody_has_said_has_no_more_for_large_elements(monkeypatch: pytest.MonkeyPatch) -> None:
    assert budget.of_each_queue(64 * MIB, 2) == (16 * MIB, 0)
    monkeypatch.setenv("PYPELN_QUEUE_BYTES", str(4 * MIB))
    assert budget.of_each_queue(None, 2) == (4 * MIB, 0)


@pytest.mark.parametrize("larger", [False, True], ids=["passed on", "computed"])
def test_elements_of_which_two_fill_a_queue_are_not_copied(
    monkeypatch: pytest.MonkeyPatch, larger: bool
) -> None:
    monkeypatch.setattr(budget, "of_each_queue", lambda run, queues: budget.Share(8 * MIB, 24 * MIB))
    n = 900_000  # floats, a little less than half of the 8 MiB
    # While a source that runs ahead finds no room, receivers copy: this one is two elements ahead at most.
    ahead = threading.Semaphore(2)

    def source() -> Iterator[Any]:
        for number in range(40):
            ahead.acquire()
            yield np.full(n, number, dtype=np.float32)

    stage = pr.map(lambda a: a + 1, source()) if larger else pr.map(same, source())
    for number, array in enumerate(stage):
        assert array[0] == array[-1] == number + larger
        ahead.release()
    assert copies(stage) == [{"copied_in": 40}, {}]


def test_large_elements_that_wait_for_a_slow_consumer_leave_room_for_what_is_held(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(budget, "of_each_queue", lambda run, queues: budget.Share(8 * MIB, 24 * MIB))
    stage = pr.map(same, (np.full(400_000, number, dtype=np.float32) for number in range(30)))
    for number, array in enumerate(stage):
        assert array[0] == array[-1] == number
        time.sleep(0.02)  # so that the source is as far ahead as it may
    assert copies(stage) == [{"copied_in": 30}, {}]


def test_a_container_with_less_memory_than_the_machine_counts(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    limit = tmp_path / "memory.max"
    monkeypatch.setattr(budget, "_CGROUP_LIMITS", (str(tmp_path / "none"), str(limit)))
    limit.write_text("max\n")
    machine = budget.available()
    limit.write_text("12345678\n")
    assert budget.available() == 12345678 < machine


def test_producers_wait_when_the_memory_is_spent() -> None:
    taken = 0

    def source() -> Any:
        nonlocal taken
        for number in itertools.count(1):
            taken = number
            yield np.zeros(MIB // 8 - 128)  # with its description, a MiB

    with pl.memory(2 * 16 * MIB):
        elements = pr.map(same, source(), maxsize=1000).to_iterable(maxsize=1000)
    next(elements)
    # 8 MiB for each of two queues, as much in reserve while something is held, and what is in hand.
    assert 8 <= settled(lambda: taken) <= 40
    elements.close()


def test_statistics_are_there_while_a_run_lasts_and_after_it() -> None:
    stage = pr.map(same, (np.zeros(MIB // 8) for _ in range(20)))
    assert stage.memory_stats() == []
    elements = iter(stage)
    kept = [next(elements)]
    live = stage.memory_stats()
    assert live[0].viewed.count >= 1 and live[0].blocks >= 1 and live[0].nbytes >= MIB
    kept += elements
    entered, left = stage.memory_stats()
    assert (entered.queue, left.queue) == ("from_iterable(generator) -> map(same)", "map(same) -> consumer")
    assert entered.copied == entered.copied_in == (20, 20 * MIB) and left.copied == (0, 0)
    assert left.lent == (20, 20 * MIB) and left.avoided.nbytes >= 20 * MIB
    assert entered.peak >= entered.nbytes >= 20 * MIB and entered.blocks == 20


def test_a_full_tmpfs_and_a_small_dev_shm_are_no_obstacle(tmp_path: Path) -> None:
    """The memory has no name in any file system. Where mounting is not allowed, /dev/shm is left as it is."""
    text = """
        import os, subprocess, sys
        import numpy as np
        from pypeln import pr
        if __name__ == "__main__":
            for got in pr.map(lambda a: a * 2, (np.ones(4 << 20) for _ in range(8))):
                assert (got == 2).all()
            print("done", os.statvfs("/dev/shm").f_blocks * os.statvfs("/dev/shm").f_frsize <= 1 << 20)
        """
    program = tmp_path / "program.py"
    program.write_text(textwrap.dedent(text))
    command = (
        "mount -t tmpfs -o size=1m tmpfs /dev/shm 2>/dev/null; "
        f"dd if=/dev/zero of=/dev/shm/full bs=64k 2>/dev/null; exec {sys.executable} {program}"
    )
    unshare = ["unshare", "--mount", "--map-root-user"]
    if subprocess.run([*unshare, "true"], capture_output=True).returncode:
        unshare = []
        command = f"exec {sys.executable} {program}"
    done = subprocess.run([*unshare, "sh", "-c", command], capture_output=True, text=True, timeout=100)
    assert done.stdout.startswith("done"), done.stderr
    assert not unshare or done.stdout == "done True\n"
