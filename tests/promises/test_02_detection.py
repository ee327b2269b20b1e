"""The death of a worker is noticed at once, because the kernel says so."""

from __future__ import annotations

import os
import select
import signal
import threading
import time
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.endings import DEADLY, DieAt, be_killed
from support.notes import wait_until
from support.process_table import children, state, wait_until_blocked

from pypeln import WorkerDied, pr
from pypeln.run import supervisor


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


class RecordingPoll:
    """`select.poll` that notes how it was asked and what it said."""

    def __init__(self, calls: list[tuple[set[int], float | None, set[int]]]) -> None:
        self._calls = calls
        self._poll = select.poll()
        self._fds: set[int] = set()

    def register(self, fd: int, events: int) -> None:
        self._fds.add(fd)
        self._poll.register(fd, events)

    def poll(self, timeout_ms: float | None = None) -> list[tuple[int, int]]:
        news = self._poll.poll(timeout_ms)
        self._calls.append((self._fds, timeout_ms, {fd for fd, _ in news}))
        return news


def test_promise_02_a_death_is_told_by_the_kernel_and_never_looked_for(
    start_method: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The supervisor sleeps without a time limit on one pidfd for each worker, and that is what wakes it."""
    if not hasattr(os, "pidfd_open"):
        pytest.skip("this Python has no pidfd_open")
    calls: list[tuple[set[int], float | None, set[int]]] = []
    pidfds: dict[int, int] = {}
    opened = os.pidfd_open

    def open_pidfd(pid: int, flags: int = 0) -> int:
        fd = opened(pid, flags)
        pidfds[pid] = fd
        return fd

    recording = types.SimpleNamespace(poll=lambda: RecordingPoll(calls), POLLIN=select.POLLIN)
    monkeypatch.setattr(supervisor, "select", recording)
    monkeypatch.setattr(os, "pidfd_open", open_pidfd)
    over = threading.Event()

    def one_then_nothing() -> Iterator[int]:
        yield 0
        while not over.wait(0.01):
            pass

    pids = iter(pr.map(worker_pid, one_then_nothing(), workers=2))
    pid = next(pids)
    for child in children():
        wait_until_blocked(child)
    before = len(calls)
    os.kill(pid, signal.SIGKILL)
    reader = threading.Thread(target=_ignore_death, args=(pids,))
    reader.start()
    wait_until(lambda: any(pidfds[pid] in news for *_, news in calls[before:]), "the pidfd tells")
    over.set()
    reader.join()
    for watched, timeout_ms, news in calls[before:]:
        assert timeout_ms is None
        assert set(pidfds.values()) <= watched
        if pidfds[pid] in news:  # the end of the report pipe may come first
            break


def _ignore_death(elements: Iterator[Any]) -> None:
    with pytest.raises(WorkerDied):
        list(elements)


def test_promise_02_a_death_is_noticed_in_less_than_100_ms(fork: None) -> None:
    """The quickest of several, because a machine that is busy with other things is no fault of ours."""

    def quickest() -> float:
        pids = iter(pr.map(worker_pid, iter(int, 1), maxsize=1))
        pid = next(pids)
        killed = time.monotonic()
        os.kill(pid, signal.SIGKILL)
        with pytest.raises(WorkerDied):
            list(pids)
        return time.monotonic() - killed

    assert min(quickest() for _ in range(10)) < 0.1
