"""Worker processes that die, and are replaced: every result exactly once, and every account exact."""

from __future__ import annotations

import contextlib
import ctypes
import multiprocessing
import os
import random
import signal
import struct
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import pypeln as pl
from pypeln import Failure, WorkerDied, pr

N = 12


class Once:
    """Dies, in its own way, the first so many times that it meets an element."""

    def __init__(self, folder: Path, how: str, element: int = 5, times: int = 1) -> None:
        self.folder, self.how, self.element, self.times = folder, how, element, times

    def __call__(self, x: int) -> None:
        if x != self.element:
            return
        for number in range(self.times):
            try:
                (self.folder / str(number)).touch(exist_ok=False)
            except FileExistsError:
                continue
            self.die()

    def die(self) -> None:
        if self.how == "killed":
            os.kill(os.getpid(), signal.SIGKILL)
        elif self.how == "left":
            os._exit(3)
        elif self.how == "segfault":
            signal.signal(signal.SIGSEGV, signal.SIG_DFL)
            ctypes.string_at(0)
        else:
            raise SystemExit(4)


class Step:
    """The function of each operator, which dies once before, or amid, what it does."""

    def __init__(self, operator: str, once: Once) -> None:
        self.operator, self.once = operator, once

    def __call__(self, x: int) -> Any:
        if self.operator == "flat_map":
            return self.children(x)
        self.once(x)
        return True if self.operator == "filter" else [x]

    def children(self, x: int) -> Iterator[Any]:
        for i in range(4):
            if i == 2:
                self.once(x)
            yield x, i


def results(operator: str) -> list[Any]:
    each: dict[str, Callable[[int], list[Any]]] = {
        "map": lambda x: [[x]],
        "filter": lambda x: [x],
        "flat_map": lambda x: [(x, i) for i in range(4)],
        "each": lambda x: [],
    }
    return [result for x in range(N) for result in each[operator](x)]


def check_account(stage: Any) -> None:
    before = None
    for stats in stage.pipeline_stats():
        ended = stats.emitted + stats.filtered + stats.failed + stats.timed_out + stats.lost
        assert stats.taken == ended, stats
        assert before is None or before.sent == stats.taken, (before, stats)
        before = stats


@pytest.mark.parametrize("how", ["killed", "left", "segfault", "exits"])
@pytest.mark.parametrize("operator", ["map", "filter", "flat_map", "each"])
def test_promise_04_the_element_in_hand_is_executed_again(
    fork: None, tmp_path: Path, operator: str, how: str
) -> None:
    step = Step(operator, Once(tmp_path, how))
    stage = getattr(pr, operator)(step, range(N), workers=2, on_worker_death="restart")
    ordered = pr.ordered(stage)
    assert list(ordered) == results(operator)
    stats = stage.stats()
    assert (stats.taken, stats.emitted, stats.lost, stats.restarts, stats.retried) == (N, N, 0, 1, 1)
    check_account(ordered)


def test_promise_04_however_workers_start(start_method: str, tmp_path: Path) -> None:
    step = Step("flat_map", Once(tmp_path, "killed", times=2))
    stage = pr.flat_map(step, range(N), workers=2, on_worker_death="restart")
    assert list(pr.ordered(stage)) == results("flat_map")
    assert stage.stats().restarts == 2


@pytest.mark.parametrize("operator", ["map", "flat_map"])
@pytest.mark.parametrize("on_error", [None, "raise", "skip", "collect", "function"])
def test_promise_04_an_element_that_kills_every_worker(
    fork: None, tmp_path: Path, operator: str, on_error: str | None
) -> None:
    """Given to three, and then treated as the policy says. Children that were sent stay sent."""
    step = Step(operator, Once(tmp_path, "killed", times=1000))
    answer: Any = (lambda error, x: [("instead", x)]) if on_error == "function" else on_error
    stage = getattr(pr, operator)(
        step, range(N), workers=2, on_worker_death="restart", retries=2, on_error=answer
    )
    ordered = pr.ordered(stage)
    if on_error in (None, "raise"):
        with pytest.raises(WorkerDied) as caught:
            list(ordered)
        assert caught.value.elements == ((5,),)
        assert caught.value.exitcode == -signal.SIGKILL
    else:
        found = list(ordered)
        out = [(5, 0), (5, 1)] if operator == "flat_map" else []
        position = 4 * 5 if operator == "flat_map" else 5
        middle = found[position : len(found) - (N - 6) * (4 if operator == "flat_map" else 1)]
        assert middle[: len(out)] == out
        if on_error == "skip":
            assert middle == out
        elif on_error == "function":
            assert middle[len(out) :] == ([("instead", 5)] if operator == "flat_map" else [[("instead", 5)]])
        else:
            (failure,) = middle[len(out) :]
            assert isinstance(failure, Failure)
            assert isinstance(failure.error, WorkerDied)
            assert (failure.item, failure.attempts) == (5, 3)
        check_account(ordered)
    assert stage.stats().lost >= 1
    assert len(list(tmp_path.iterdir())) == 3


def test_promise_04_two_elements_that_kill_one_after_the_other(fork: None, tmp_path: Path) -> None:
    def deadly(x: int) -> int:
        if x in (3, 4, 9):
            os._exit(1)
        return x

    stage = pr.map(deadly, range(N), on_worker_death="restart", retries=1, on_error="skip")
    assert list(pr.ordered(stage)) == [x for x in range(N) if x not in (3, 4, 9)]
    assert (stage.stats().lost, stage.stats().restarts) == (3, 6)


def test_promise_04_deadly_elements_that_share_an_index(fork: None) -> None:
    """Where branches join, the results of one source element have the same index, and are handed on each."""

    def deadly(x: int) -> int:
        os._exit(1)

    def handler(error: Exception, x: int) -> int:
        return -x

    joined = pl.sync.concat([[3], [4]])
    stage = pr.map(deadly, joined, on_worker_death="restart", retries=0, on_error=handler)
    assert sorted(stage) == [-4, -3]
    assert (stage.stats().lost, stage.stats().restarts) == (2, 2)


def test_promise_04_a_failure_that_kills_whoever_hands_it_on_ends_the_run(fork: None) -> None:
    def deadly(x: int) -> int:
        os._exit(1)

    def handler(error: Exception, x: int) -> int:
        os._exit(2)

    stage = pr.map(deadly, range(3), on_worker_death="restart", retries=0, on_error=handler)
    with pytest.raises(WorkerDied, match="exited with code 2"):
        list(stage)


def test_promise_04_workers_that_never_come_to_work_end_the_run(fork: None) -> None:
    def on_start() -> None:
        os._exit(7)

    with pytest.raises(WorkerDied, match="exited with code 7") as caught:
        list(pr.map(abs, range(3), on_start=on_start, on_worker_death="restart"))
    assert any("processes in a row" in note for note in caught.value.__notes__)


def test_promise_04_on_start_runs_again(fork: None, tmp_path: Path) -> None:
    def on_start() -> dict[str, int]:
        return {"mine": os.getpid()}

    once = Once(tmp_path, "killed")

    def f(x: int, mine: int) -> bool:
        once(x)
        return mine == os.getpid()

    assert list(pr.map(f, range(N), on_start=on_start, on_worker_death="restart")) == [True] * N


def test_promise_04_a_worker_that_is_killed_while_it_waits(fork: None) -> None:
    go_on = threading.Event()

    def source() -> Iterator[int]:
        yield from range(3)
        go_on.wait()
        yield from range(3, 6)

    stage = pr.map(abs, source(), on_worker_death="restart")
    iterator = iter(stage)
    assert [next(iterator) for _ in range(3)] == [0, 1, 2]
    (worker,) = multiprocessing.active_children()
    worker.kill()
    go_on.set()
    assert list(iterator) == [3, 4, 5]
    stats = stage.stats()
    assert (stats.restarts, stats.retried, stats.emitted) == (1, 0, 6)


@pytest.mark.parametrize("kind", ["source", "ordered"])
def test_promise_04_what_has_a_state_of_its_own_is_not_restarted(fork: None, kind: str) -> None:
    def suicidal() -> Iterator[int]:
        yield 1
        os.kill(os.getpid(), signal.SIGKILL)

    if kind == "source":
        stage: Any = pr.map(abs, pr.from_iterable(suicidal(), use_thread=False), on_worker_death="restart")
        with pytest.raises(WorkerDied, match="from_iterable"):
            list(stage)
        return
    ordered = pr.ordered(pr.map(abs, iter(int, 1)))
    stage = pr.map(abs, ordered, on_worker_death="restart")
    iterator = iter(stage)
    next(iterator)
    before = {each.pid for each in multiprocessing.active_children() if "ordered" in each.name}
    (pid,) = before
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    with pytest.raises(WorkerDied, match="ordered"):
        for _ in iterator:
            pass


@pytest.mark.parametrize("seed", range(3))
def test_promise_04_random_kills(fork: None, seed: int) -> None:
    """Three stages of two processes, one of which is killed every few milliseconds.

    Not before it is about to work: one that never comes to that ends the run after a while, as it should.
    """
    chance = random.Random(seed)
    over = threading.Event()
    told, tells = os.pipe()
    os.set_blocking(told, False)
    working: set[int] = set()

    def tell() -> None:
        os.write(tells, struct.pack("i", os.getpid()))

    def kill() -> None:
        while not over.wait(chance.uniform(0, 0.03)):
            with contextlib.suppress(BlockingIOError):
                working.update(pid for (pid,) in struct.iter_unpack("i", os.read(told, 4096)))
            workers = [each for each in multiprocessing.active_children() if each.pid in working]
            if workers:
                chance.choice(workers).kill()

    options: dict[str, Any] = {
        "workers": 2,
        "on_start": tell,
        "on_worker_death": "restart",
        "retries": 100,
    }
    stage = pr.map(abs, range(20_000), **options)
    stage = pr.flat_map(twice, stage, **options)
    stage = pr.ordered(pr.map(str, stage, **options))
    killer = threading.Thread(target=kill)
    killer.start()
    try:
        found = list(stage)
    finally:
        over.set()
        killer.join()
        os.close(told)
        os.close(tells)
    assert found == [str(each) for x in range(20_000) for each in (x, -x)]
    check_account(stage)


def twice(x: int) -> list[int]:
    return [x, -x]
