"""What many threads may do at the same time, with the GIL and without it.

Under a free-threaded CPython (tests/freethreading/run.py) these threads run truly at once, and each of the
tests in several threads besides.
"""

from __future__ import annotations

import queue
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.markdown import ENVIRONMENT
from support.payloads import is_native

import pypeln as pl
from pypeln import io, pr, sync, th

THREADS = 6


def at_once(*functions: Callable[[], Any]) -> list[Any]:
    """Call each in a thread of its own, all let go together; what they returned. Raises what one raised."""
    results: list[Any] = [None] * len(functions)
    errors: list[BaseException] = []
    barrier = threading.Barrier(len(functions))

    def call(place: int, function: Callable[[], Any]) -> None:
        try:
            barrier.wait()
            results[place] = function()
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=call, args=each) for each in enumerate(functions)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]
    return results


def plus_one(x: int) -> int:
    return x + 1


def is_even(x: int) -> bool:
    return x % 2 == 0


@pytest.mark.parametrize("front", [th, io, sync, pr], ids=lambda front: front.__name__.rpartition(".")[2])
def test_one_stage_is_iterated_by_many_threads(front: Any) -> None:
    elements = range(3000)
    stage = elements | front.map(plus_one) | front.filter(is_even) | front.ordered()
    wanted = [x + 1 for x in elements if x % 2 == 1]
    for got in at_once(*[lambda: list(stage)] * (THREADS if front is not pr else 2)):
        assert got == wanted


def test_processes_are_started_by_many_threads() -> None:
    """A copy has the locks that other threads had at that moment, of streams for one."""

    def run() -> None:
        for _ in range(10):
            assert sorted(pr.map(plus_one, range(10), workers=2)) == list(range(1, 11))

    at_once(*[run] * 4)


def test_figures_are_read_while_runs_begin_and_end() -> None:
    stage = range(200) | th.map(plus_one, workers=2)
    over = threading.Event()

    def run() -> None:
        for _ in range(15):
            assert sum(stage) == sum(range(1, 201))

    def read() -> int:
        count = 0
        while not over.is_set():
            for figures in stage.pipeline_stats():
                assert 0 <= figures.emitted <= figures.taken <= 200
                count += 1
        return count

    def run_all() -> None:
        try:
            at_once(run, run, run)
        finally:
            over.set()

    at_once(run_all, read, read)
    assert stage.stats().emitted == 200


@pytest.mark.parametrize("maxsize", [0, 3])
@pytest.mark.parametrize("kind", [th.IterableQueue, pr.IterableQueue], ids=["threads", "processes"])
def test_many_threads_put_into_a_queue_and_take_from_it(kind: Any, maxsize: int) -> None:
    # Of a ProcessQueue all threads of a process have one number: claims are told apart by their slots alone.
    many = kind(maxsize=maxsize, total_sources=THREADS)
    each = 1000

    def put(first: int) -> None:
        for number in range(first, first + each):
            many.put((number, "x" * (number % 400)))
        many.close()

    def take() -> list[int]:
        return [number for number, text in many if len(text) == number % 400]

    putters = [lambda first=place * each: put(first) for place in range(THREADS)]
    results = at_once(*putters, *[take] * THREADS)
    taken = [number for got in results[THREADS:] for number in got]
    assert sorted(taken) == list(range(THREADS * each))


def test_arrays_are_let_go_in_other_threads_while_their_runs_end() -> None:
    """A block that is given back wakes who waits for room: also when there is nobody any more."""
    held: queue.SimpleQueue[Any] = queue.SimpleQueue()

    def run() -> None:
        try:
            for _ in range(5):
                made = (np.full(20_000, float(number)) for number in range(20))
                for number, array in enumerate(made | pr.map(np.negative) | pr.ordered()):
                    assert array[0] == -number
                    held.put(array)
        finally:
            held.put(None)

    def let_go() -> None:
        while held.get() is not None:
            pass

    at_once(run, run, let_go, let_go)


def test_arenas_are_looked_through_while_others_are_taken_into_use() -> None:
    """As by a thread that forks, or pins an array, while another starts a run."""
    from pypeln._core.arena import Arenas, arena_at

    for _ in range(5):
        over = threading.Event()

        def begin(over: threading.Event = over) -> None:
            try:
                for _ in range(10):
                    arenas = Arenas()
                    for _ in range(20):
                        arenas.create(1).adopt(0, 1)
            finally:
                over.set()

        def look(over: threading.Event = over) -> None:
            while not over.is_set():
                assert arena_at(0) is None

        at_once(begin, look, look)


def double_in_place(array: Any) -> Any:
    array *= 2
    return array


def test_an_array_that_another_thread_keeps_is_not_given_away() -> None:
    kept: list[Any] = []

    def keep(array: Any) -> Any:
        kept.append(array)
        return array

    made = (np.full(20_000, float(number)) for number in range(8))
    doubled = list(made | pr.map(np.negative) | th.map(keep, workers=2) | pr.map(double_in_place))
    assert sorted(array[0] for array in doubled) == [-2.0 * number for number in range(7, -1, -1)]
    assert sorted(array[-1] for array in kept) == [-1.0 * number for number in range(7, -1, -1)]


MANY_FIRST_ARRAYS = """
import threading
import numpy
from pypeln._core.codec import decode, encode

barrier = threading.Barrier(8)
good = []

def first():
    array = numpy.arange(5000)
    barrier.wait()
    good.append((decode(encode(array)) == array).all())

threads = [threading.Thread(target=first) for _ in range(8)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
assert len(good) == 8 and all(good), good
"""


def test_the_first_arrays_of_a_process_are_encoded_by_many_threads(tmp_path: Path) -> None:
    for _ in range(3):
        done = subprocess.run(
            [sys.executable, "-c", MANY_FIRST_ARRAYS],
            capture_output=True,
            text=True,
            cwd=tmp_path,
            env=ENVIRONMENT,
        )
        assert done.returncode == 0, done.stderr


def test_a_container_is_encoded_while_another_thread_changes_it() -> None:
    from pypeln._core.codec import decode, encode

    numbers: list[Any] = [[n, str(n)] for n in range(50)]
    table: dict[int, Any] = {n: (n, ["a" * n]) for n in range(50)}
    over = threading.Event()

    def change() -> None:
        n = 0
        while not over.is_set():
            n += 1
            numbers[n % len(numbers)] = [n, str(n)]
            numbers.append([n, str(n)])
            numbers.insert(n % 50, numbers.pop())
            if len(numbers) > 60:
                del numbers[20:30]
            table[n % 60] = (n, ["b" * (n % 60)])
            table.pop((n + 30) % 60, None)

    def look() -> None:
        try:
            for _ in range(3000):
                payload = encode(numbers)
                # CPython's pickle, to which what is not native goes, crashes on a list that changes.
                assert is_native(payload)
                for value in decode(payload):
                    assert value[1] == str(value[0])
                payload = encode(table)
                assert is_native(payload)
                for n, (text,) in decode(payload).values():
                    assert len(text) in (n, n % 60)
        finally:
            over.set()

    at_once(look, change)


def test_every_compiled_module_leaves_the_gil_off(tmp_path: Path) -> None:
    if not hasattr(sys, "_is_gil_enabled"):
        assert sys.version_info < (3, 13)
        return
    program = (
        "import sys, pkgutil, importlib, pypeln._core as core\n"
        "before = sys._is_gil_enabled()\n"
        "for module in pkgutil.iter_modules(core.__path__, 'pypeln._core.'):\n"
        "    importlib.import_module(module.name)\n"
        "    assert sys._is_gil_enabled() == before, module.name\n"
    )
    # Elsewhere: `-c` looks for modules in the current folder first, where the package may not be built.
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env=ENVIRONMENT,
    )
    assert done.returncode == 0, done.stderr
    assert pl.__version__
