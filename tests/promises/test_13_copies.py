"""A forked copy of a running pipeline raises, and does the original no harm."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import pytest

from pypeln import ForkedRunError, io, pr, sync, th


def same(x: Any) -> Any:
    return x


async def same_async(x: Any) -> Any:
    return x


SHAPES = {
    "pr": lambda: pr.map(same, range(1000), workers=2, maxsize=2),
    "th": lambda: th.map(same, range(1000), workers=2, maxsize=2),
    "io": lambda: io.map(same_async, range(1000), workers=2, maxsize=2),
    "mixed": lambda: th.map(same, io.map(same, pr.map(same, range(1000), maxsize=2), maxsize=2), maxsize=2),
    "ordered": lambda: pr.ordered(pr.map(same, range(1000), workers=2, maxsize=2)),
    "with sync": lambda: sync.map(same, pr.map(same, range(1000), workers=2, maxsize=2)),
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
