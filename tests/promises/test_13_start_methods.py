"""Processes are started as multiprocessing was told to, and any function reaches them."""

from __future__ import annotations

import functools
import multiprocessing
from pathlib import Path
from typing import Any

import pytest

from pypeln import pr


def power(base: int, exponent: int) -> int:
    return base**exponent


class Adder:
    def __init__(self, n: int) -> None:
        self.n = n

    def add(self, x: int) -> int:
        return x + self.n

    def __call__(self, x: int) -> int:
        return x + self.n


FUNCTIONS: list[tuple[Any, list[Any], list[Any]]] = [
    (str, [1, 2], ["1", "2"]),
    (max, [[1, 3], [2, 5]], [3, 5]),
    (len, ["ab", "c"], [1, 2]),
    (int, ["1", "2"], [1, 2]),
    (functools.partial(power, exponent=2), [2, 3], [4, 9]),
    (functools.partial(power, 2), [2, 3], [4, 8]),
    (functools.partial(max, 2), [1, 3], [2, 3]),
    (Adder(1).add, [1, 2], [2, 3]),
    (Adder(1), [1, 2], [2, 3]),
    (lambda x: x + 1, [1, 2], [2, 3]),
    (" {} ".format, [1, 2], [" 1 ", " 2 "]),
]


@pytest.mark.parametrize(("f", "given", "expected"), FUNCTIONS)
def test_promise_13_any_callable_will_do(front: Any, f: Any, given: list[Any], expected: list[Any]) -> None:
    assert sorted(front.map(f, given, workers=1)) == expected


def test_promise_13_any_callable_will_do_however_workers_start(start_method: str) -> None:
    """All in one pipeline: each is a stage of its own that must reach its worker."""
    if start_method == "fork":
        pytest.skip("a fork has it as it is")
    for f in (str, functools.partial(power, exponent=2), Adder(1).add, lambda x: x + 1):
        assert sorted(pr.map(f, [2, 3])) == [f(2), f(3)]


def closure_over(n: int) -> Any:
    def add(x: int) -> int:
        return x + n

    return add


def test_promise_13_closures_and_callbacks_reach_spawned_workers(start_method: str) -> None:
    stage = pr.map(
        lambda x, y: closure_over(y)(x), range(3), on_start=lambda: {"y": 10}, on_done=lambda: None
    )
    assert sorted(stage) == [10, 11, 12]


def test_promise_13_a_pipeline_follows_the_start_method_of_the_program(start_method: str) -> None:
    def command_line(_: int) -> bytes:
        return Path("/proc/self/cmdline").read_bytes()

    (worker,) = pr.map(command_line, [0])
    mine = Path("/proc/self/cmdline").read_bytes()
    assert multiprocessing.get_start_method() == start_method
    assert (worker == mine) == (start_method == "fork")
    assert (b"forkserver" in worker) == (start_method == "forkserver")
