"""A worker process that dies, wherever it is just then, is an error that says who and how; never a hang."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from process_table import children, state, wait_until_blocked
from support.notes import wait_until

from pypeln import WorkerDied, io, pr, sync, th

DEADLY = 20


def be_killed() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def be_terminated() -> None:
    os.kill(os.getpid(), signal.SIGTERM)


def leave_without_a_word() -> None:
    os._exit(0)


def leave_with_a_code() -> None:
    os._exit(3)


def sys_exit() -> None:
    sys.exit()


def sys_exit_with_a_code() -> None:
    sys.exit(4)


ENDINGS = {
    be_killed: -signal.SIGKILL,
    be_terminated: -signal.SIGTERM,
    leave_without_a_word: 0,
    leave_with_a_code: 3,
    sys_exit: 0,
    sys_exit_with_a_code: 4,
}


class DieAt:
    """A function that dies at one element."""

    def __init__(self, ending: Callable[[], None]) -> None:
        self.ending = ending

    def __call__(self, x: int) -> int:
        if x == DEADLY:
            self.ending()
        return x


def same(x: Any) -> Any:
    return x


def endless() -> Iterator[int]:
    yield from iter(int, 1)


async def same_async(x: Any) -> Any:
    return x


@pytest.mark.parametrize("ending", ENDINGS, ids=lambda ending: ending.__name__)
def test_its_error_names_stage_worker_pid_exit_code_and_element(
    ending: Callable[[], None], fork: None
) -> None:
    assert_death_is_told(ending)


def test_its_error_is_the_same_however_it_was_started(start_method: str) -> None:
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


def behind_a_full_queue(f: Any) -> Any:
    return pr.map(same, pr.map(f, range(1000), maxsize=1), maxsize=1)


def in_front_of_a_full_queue(f: Any) -> Any:
    return pr.map(f, pr.map(same, range(100_000), maxsize=1), maxsize=1)


def between_threads(f: Any) -> Any:
    return th.map(same, pr.map(f, th.map(same, range(1000), maxsize=1), maxsize=1), maxsize=1)


def between_tasks(f: Any) -> Any:
    return io.map(same_async, pr.map(f, io.map(same_async, range(1000), maxsize=1), maxsize=1), maxsize=1)


def before_a_sync_stage(f: Any) -> Any:
    return sync.map(same, pr.map(f, range(1000)))


def before_ordered(f: Any) -> Any:
    return pr.ordered(pr.map(f, range(1000), workers=3))


def as_each(f: Any) -> Any:
    return pr.each(f, range(1000), workers=2)


def as_filter(f: Any) -> Any:
    return pr.filter(f, range(1000), workers=2, maxsize=1)


def as_flat_map(f: Any) -> Any:
    return pr.flat_map(lambda x: [f(x)], range(1000), workers=2, maxsize=1)


def in_a_source(f: Any) -> Any:
    return pr.from_iterable((f(x) for x in range(1000)), use_thread=False)


SHAPES = [
    behind_a_full_queue,
    in_front_of_a_full_queue,
    between_threads,
    between_tasks,
    before_a_sync_stage,
    before_ordered,
    as_each,
    as_filter,
    as_flat_map,
    in_a_source,
]


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.__name__)
def test_it_is_noticed_in_every_pipeline(shape: Callable[[Any], Any], fork: None) -> None:
    with pytest.raises(WorkerDied):
        list(shape(DieAt(be_killed)))
    assert children() == set()


@pytest.mark.parametrize("moment", ["on_start", "on_done"])
def test_it_is_noticed_outside_of_elements(moment: str, fork: None) -> None:
    with pytest.raises(WorkerDied) as caught:
        list(pr.map(same, range(10), workers=2, **{moment: be_killed}))
    assert caught.value.elements == ()


def worker_pid(_: Any) -> int:
    return os.getpid()


def test_it_is_noticed_while_it_waits_for_an_element(start_method: str) -> None:
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


def test_it_is_noticed_while_it_waits_for_room(fork: None, tmp_path: Path) -> None:
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


def test_a_stopped_worker_is_not_taken_for_dead(fork: None) -> None:
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


def test_a_stopped_worker_that_is_killed_is_dead(start_method: str) -> None:
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


def test_all_workers_may_die_at_once(fork: None) -> None:
    def die(x: int) -> None:
        be_killed()

    with pytest.raises(WorkerDied):
        list(pr.map(die, range(100), workers=4, maxsize=1))
    assert children() == set()


def test_a_grandchild_that_outlives_the_worker_hides_nothing(fork: None, tmp_path: Path) -> None:
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


def test_the_next_run_is_untouched(fork: None) -> None:
    stage = pr.map(DieAt(be_killed), range(10 * DEADLY), workers=2)
    for _ in range(3):
        with pytest.raises(WorkerDied):
            list(stage)
    assert sorted(pr.map(same, range(100), workers=2)) == list(range(100))
