"""A forked copy of a running pipeline raises, and does the original no harm."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from pypeln import ForkedRunError, io, pr, sync, th


def same(x: Any) -> Any:
    return x


async def same_async(x: Any) -> Any:
    return x


def pair(x: int) -> list[int]:
    """While the first waits to be taken, the second lies in the consumer's process already."""
    return [2 * x, 2 * x + 1]


SHAPES = {
    "pr": lambda: pr.map(same, range(1000), workers=2, maxsize=2),
    "th": lambda: th.map(same, range(1000), workers=2, maxsize=2),
    "io": lambda: io.map(same_async, range(1000), workers=2, maxsize=2),
    "mixed": lambda: th.map(same, io.map(same, pr.map(same, range(1000), maxsize=2), maxsize=2), maxsize=2),
    "ordered": lambda: pr.ordered(pr.map(same, range(1000), workers=2, maxsize=2)),
    "with sync": lambda: sync.map(same, pr.map(same, range(1000), workers=2, maxsize=2)),
    "children": lambda: sync.flat_map(pair, pr.map(same, range(500), workers=2, maxsize=2)),
}


def in_a_fork(what: Callable[[], str]) -> str:
    """What a forked copy of this process has to say."""
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            os.close(reading)
            try:
                said = what()
            except BaseException as error:
                said = type(error).__name__
            os.write(writing, said.encode())
        finally:
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as pipe:
        said = pipe.read()
    os.waitpid(pid, 0)
    return said


@pytest.mark.parametrize("shape", SHAPES)
def test_promise_13_a_forked_copy_raises_and_the_original_goes_on(shape: str, fork: None) -> None:
    elements = iter(SHAPES[shape]())
    taken = [next(elements)]
    assert in_a_fork(lambda: str(next(elements))) == ForkedRunError.__name__
    taken.append(next(elements))
    assert in_a_fork(lambda: str(list(elements))) == ForkedRunError.__name__
    taken += elements
    assert sorted(taken) == list(range(1000))


@pytest.mark.parametrize("shape", SHAPES)
def test_promise_13_closing_or_dropping_a_forked_copy_does_no_harm(shape: str, fork: None) -> None:
    elements = iter(SHAPES[shape]())
    taken = [next(elements)]

    def close() -> str:
        elements.close()
        return "closed"

    def drop() -> str:
        nonlocal elements
        del elements
        return "dropped"

    assert in_a_fork(close) == "closed"
    assert in_a_fork(drop) == "dropped"
    taken += elements
    assert sorted(taken) == list(range(1000))


def test_promise_13_a_fork_of_a_fork_may_run_the_stage_anew(fork: None) -> None:
    stage = pr.map(same, range(100), workers=2, maxsize=2)
    elements = iter(stage)
    taken = [next(elements)]
    assert in_a_fork(lambda: str(sorted(stage) == list(range(100)))) == "True"
    taken += elements
    assert sorted(taken) == list(range(100))


def array_of(number: int) -> Any:
    return np.full(1 << 14, number, np.float64)


class Looker:
    """A forked copy of this process that looks at an array when it is told to."""

    def __init__(self, array: Any, number: int) -> None:
        reading, self._telling = os.pipe()
        self._pid = os.fork()
        if self._pid == 0:
            os.read(reading, 1)
            os._exit(0 if (array == number).all() else 1)
        os.close(reading)

    def sees_it(self) -> bool:
        os.write(self._telling, b"!")
        os.close(self._telling)
        return os.waitpid(self._pid, 0)[1] == 0


def test_promise_13_a_forked_copy_keeps_the_arrays_that_its_parent_had(fork: None) -> None:
    """Also when that has them no more, and others are received in their place."""
    lookers = []
    for count, array in enumerate(pr.map(array_of, range(200), maxsize=2)):
        if count % 20 == 0:
            lookers.append(Looker(array, count))
        del array
    assert sum(not looker.sees_it() for looker in lookers) == 0


class ForksAndPassesOn:
    """Looks at each array in a forked copy, after having passed it on to somebody who writes to it."""

    def __init__(self) -> None:
        self.lookers: list[Looker] = []

    def __call__(self, array: Any) -> Any:
        self.lookers.append(Looker(array, array[0]))
        return array

    def wait(self) -> None:
        assert sum(not looker.sees_it() for looker in self.lookers) == 0


def negated(array: Any) -> Any:
    np.negative(array, out=array)
    return array


def test_promise_13_what_a_forked_copy_may_look_at_is_passed_on_as_a_copy(fork: None) -> None:
    looks = ForksAndPassesOn()
    arrays = pr.map(array_of, range(1, 20))
    stage = pr.map(negated, pr.map(looks, arrays, on_done=looks.wait))
    assert sorted(array[5] for array in stage) == list(range(-19, 0))
