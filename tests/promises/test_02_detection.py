"""The death of a worker is noticed at once, because the kernel says so."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.endings import DEADLY, DieAt, be_killed
from support.notes import wait_until
from support.process_table import children, state, wait_until_blocked

from pypeln import WorkerDied, pr


def worker_pid(_: Any) -> int:
    return os.getpid()


def test_promise_02_a_worker_may_die_while_it_waits_for_an_element(start_method: str) -> None:
    """The worker sleeps in the queue, and so does everybody else: nothing but its death can wake them."""
    over = threading.Event()

    def one_then_nothing() -> Iterator[int]:
        yield 0
        while not over.wait(0.01):
            pass

    pids = iter(pr.map(worker_pid, one_then_nothing()))
    pid = next(pids)
    wait_until_blocked(pid)
    os.kill(pid, signal.SIGKILL)
    with pytest.raises(WorkerDied) as caught:
        next(pids)
    over.set()
    assert caught.value.pid == pid
    assert caught.value.elements == ()


def test_promise_02_a_worker_may_die_while_it_waits_for_room(fork: None, tmp_path: Path) -> None:
    """Killed with an element that it could not put: the element is lost, and the error says which."""

    def note(x: int) -> int:
        (tmp_path / str(x)).touch()
        return os.getpid()

    pids = pr.map(note, range(1000)).to_iterable(maxsize=1, return_index=True)
    taken = [next(pids)]
    pid = taken[0].value
    wait_until((tmp_path / "2").exists, "f is called for element 2")  # element 1 fills the queue
    wait_until_blocked(pid)
    os.kill(pid, signal.SIGKILL)
    with pytest.raises(WorkerDied) as caught:
        taken += pids
    assert caught.value.elements == ((2,),)
    assert [element.index for element in taken] in ([(0,)], [(0,), (1,)])


def test_promise_02_a_stopped_worker_is_not_taken_for_dead(fork: None) -> None:
    """A stopped process may go on and write: nothing of its may be given to others while it can."""

    def stop_at(x: int) -> tuple[int, int]:
        if x == DEADLY:
            os.kill(os.getpid(), signal.SIGSTOP)
        return x, os.getpid()

    def wake() -> None:
        wait_until(lambda: bool(stopped()), "the worker has stopped")
        os.kill(stopped()[0], signal.SIGCONT)

    waker = threading.Thread(target=wake)
    waker.start()
    got = list(pr.map(stop_at, range(2 * DEADLY), workers=2, maxsize=1))
    waker.join()
    assert sorted(x for x, _ in got) == list(range(2 * DEADLY))


def test_promise_02_a_stopped_worker_that_is_killed_is_dead(start_method: str) -> None:
    def stop_then_kill() -> None:
        os.kill(os.getpid(), signal.SIGSTOP)

    def kill() -> None:
        wait_until(lambda: bool(stopped()), "the worker has stopped")
        os.kill(stopped()[0], signal.SIGKILL)

    killer = threading.Thread(target=kill)
    killer.start()
    with pytest.raises(WorkerDied) as caught:
        list(pr.map(DieAt(stop_then_kill), range(2 * DEADLY), workers=2, maxsize=1))
    killer.join()
    assert caught.value.exitcode == -signal.SIGKILL
    assert caught.value.elements == ((DEADLY,),)


def stopped() -> list[int]:
    return [pid for pid in children() if state(pid) == "T"]


def test_promise_02_a_grandchild_that_outlives_the_worker_hides_nothing(fork: None, tmp_path: Path) -> None:
    """It inherits the worker's pipes, so that their ends stay open; only the kernel says that it is dead."""
    orphan = tmp_path / "pid"

    def die_leaving_a_child(x: int) -> int:
        if x == DEADLY:
            pid = os.fork()
            if pid == 0:
                signal.pause()
            orphan.write_text(str(pid))
            be_killed()
        return x

    try:
        with pytest.raises(WorkerDied):
            list(pr.map(die_leaving_a_child, range(10 * DEADLY)))
        assert state(int(orphan.read_text())) == "S"
    finally:
        os.kill(int(orphan.read_text()), signal.SIGKILL)
