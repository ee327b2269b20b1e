"""`WorkerDied` says who died, how, and with what in hand."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable
from typing import Any

import pytest
from support.endings import DEADLY, ENDINGS, DieAt, be_killed, sys_exit
from support.process_table import children

from pypeln import WorkerDied, pr


def same(x: Any) -> Any:
    return x


@pytest.mark.parametrize("ending", ENDINGS, ids=lambda ending: ending.__name__)
def test_promise_03_a_death_names_stage_worker_pid_exit_code_and_element(
    ending: Callable[[], None], fork: None
) -> None:
    assert_death_is_told(ending)


def test_promise_03_a_death_is_told_alike_however_workers_start(start_method: str) -> None:
    assert_death_is_told(be_killed)
    assert_death_is_told(sys_exit)


def assert_death_is_told(ending: Callable[[], None]) -> None:
    with pytest.raises(WorkerDied, match=r"map\(DieAt\)") as caught:
        list(pr.map(DieAt(ending), range(10 * DEADLY), workers=2, maxsize=2))
    error = caught.value
    assert error.exitcode == ENDINGS[ending]
    assert error.stage == "map(DieAt)"
    assert error.worker in (0, 1)
    assert error.elements == ((DEADLY,),)
    assert f"pid {error.pid}" in str(error)
    assert children() == set()


@pytest.mark.parametrize("moment", ["on_start", "on_done"])
def test_promise_03_a_death_outside_of_elements_names_none(moment: str, fork: None) -> None:
    with pytest.raises(WorkerDied) as caught:
        list(pr.map(same, range(10), workers=2, **{moment: be_killed}))
    assert caught.value.elements == ()


def test_promise_03_the_element_in_flight_has_all_dimensions_of_its_index(fork: None) -> None:
    """A flat_map upstream adds one."""
    stage = pr.flat_map(lambda x: [x, x + 1, x + 2], range(0, 10 * DEADLY, 3))
    with pytest.raises(WorkerDied) as caught:
        list(pr.map(DieAt(be_killed), stage, maxsize=1))
    assert caught.value.elements == ((DEADLY // 3, DEADLY % 3),)


@pytest.mark.parametrize("workers", [1, 3])
def test_promise_03_the_worker_that_died_is_told_from_its_colleagues(workers: int, fork: None) -> None:
    pids: dict[int, int] = {}

    def tell(x: int, worker_info: Any) -> tuple[int, int]:
        if x == DEADLY:
            be_killed()
        return worker_info.index, os.getpid()

    with pytest.raises(WorkerDied) as caught:
        pids.update(pr.map(tell, itertools.count(), workers=workers, maxsize=1))
    assert caught.value.worker in range(workers)
    # The one that died may not have returned anything before.
    assert pids.get(caught.value.worker, caught.value.pid) == caught.value.pid
    others = {pid for index, pid in pids.items() if index != caught.value.worker}
    assert caught.value.pid not in others
    assert "SIGKILL" in str(caught.value)
