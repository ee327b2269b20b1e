"""What processes that are not forked have to be sent: lambdas, closures, classes of a function."""

from __future__ import annotations

import dataclasses
import multiprocessing
import os
from collections.abc import Iterator

import pytest
from support.fronts import METHODS, start_method

from pypeln import pr


@pytest.fixture(params=METHODS)
def method(request: pytest.FixtureRequest) -> Iterator[str]:
    with start_method(request.param):
        yield request.param


def test_closures_over_closures(method: str) -> None:
    base = [10]

    def add(x: int) -> int:
        def inner(y: int) -> int:
            return x + y + base[0]

        return inner(1)

    assert sorted(pr.map(add, range(3))) == [11, 12, 13]


def test_f_may_use_classes_that_no_module_has(method: str) -> None:
    @dataclasses.dataclass
    class Point:
        x: int

        def doubled(self) -> Point:
            return Point(self.x * 2)

    assert list(pr.map(lambda x: Point(x).doubled().x, [3])) == [6]


def test_callbacks_that_are_lambdas(method: str) -> None:
    stage = pr.map(lambda x, base: x + base, [1], on_start=lambda: {"base": 1}, on_done=lambda base: None)
    assert list(stage) == [2]


def test_a_source_that_is_a_process_may_be_a_closure(method: str) -> None:
    class Source:
        def __iter__(self) -> Iterator[int]:
            return iter([os.getpid()])

    (pid,) = pr.from_iterable(Source(), use_thread=False)
    assert pid != os.getpid()


def test_a_source_in_a_thread_need_not_be_sent_anywhere(method: str) -> None:
    assert sorted(pr.map(abs, (x for x in [1, 2]))) == [1, 2]


def test_a_function_that_cannot_be_sent_is_an_error_before_anything_runs(method: str) -> None:
    if method == "fork":
        pytest.skip("a fork is sent nothing")
    lock = multiprocessing.get_context("fork").RLock()._semlock  # type: ignore[attr-defined]
    with pytest.raises((TypeError, RuntimeError, AttributeError), match=r"pickle|SemLock|spawn"):
        list(pr.map(lambda x: lock, [1]))


def test_the_start_method_of_multiprocessing_is_followed(method: str) -> None:
    def command_line(x: int) -> str:
        with open("/proc/self/cmdline", "rb") as file:
            return file.read().replace(b"\0", b" ").decode()

    (command,) = pr.map(command_line, [1])
    if method == "fork":
        assert command == command_line(0)
    else:
        assert ("forkserver" in command) == (method == "forkserver")
        assert ("spawn_main" in command) == (method == "spawn")
