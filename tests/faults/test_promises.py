"""What a pipeline does with elements, sources and functions where it would be easy to get it wrong."""

from __future__ import annotations

import functools
import itertools
import multiprocessing
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.notes import settled

from pypeln import io, pr, sync, th

FRONT_ENDS = {"pr": pr, "th": th, "io": io, "sync": sync}


@pytest.fixture(params=FRONT_ENDS)
def front(request: pytest.FixtureRequest, fork: None) -> Any:
    return FRONT_ENDS[request.param]


def same(x: Any) -> Any:
    return x


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
def test_any_callable_will_do(front: Any, f: Any, given: list[Any], expected: list[Any]) -> None:
    assert sorted(front.map(f, given, workers=1)) == expected


def test_any_callable_will_do_however_workers_start(start_method: str) -> None:
    """All in one pipeline: each is a stage of its own that must reach its worker."""
    if start_method == "fork":
        pytest.skip("a fork has it as it is")
    for f in (str, functools.partial(power, exponent=2), Adder(1).add, lambda x: x + 1):
        assert sorted(pr.map(f, [2, 3])) == [f(2), f(3)]


def closure_over(n: int) -> Any:
    def add(x: int) -> int:
        return x + n

    return add


def test_closures_and_callbacks_reach_spawned_workers(start_method: str) -> None:
    stage = pr.map(
        lambda x, y: closure_over(y)(x), range(3), on_start=lambda: {"y": 10}, on_done=lambda: None
    )
    assert sorted(stage) == [10, 11, 12]


def test_an_array_that_f_uses_as_scratch_arrives_as_it_was(fork: None) -> None:
    """The worker overwrites it while its last contents still wait in the queue."""
    scratch = np.zeros(100_000)

    def fill(x: int) -> Any:
        scratch[:] = x
        return scratch

    for maxsize in (0, 1, 4):
        got = list(pr.map(fill, range(50), maxsize=maxsize).to_iterable(maxsize=maxsize))
        assert [(array.min(), array.max()) for array in got] == [(x, x) for x in range(50)]


@pytest.mark.parametrize("size", [10, 100_000])
def test_a_buffer_that_a_source_uses_again_arrives_as_it_was(size: int, fork: None) -> None:
    def buffers() -> Iterator[Any]:
        buffer = np.zeros(size)
        for x in range(50):
            buffer[:] = x
            yield buffer

    sums = list(pr.map(lambda array: float(array.sum()), buffers()))
    assert sums == [float(x) * size for x in range(50)]


def test_a_list_that_f_uses_again_arrives_as_it_was(fork: None) -> None:
    kept: list[int] = []

    def append(x: int) -> list[int]:
        kept.append(x)
        return kept

    assert list(pr.map(append, range(20))) == [list(range(x + 1)) for x in range(20)]


class Counted:
    """An endless source that knows how many elements were taken from it."""

    def __init__(self) -> None:
        self.taken = 0

    def __iter__(self) -> Iterator[int]:
        for x in itertools.count():
            self.taken = x + 1
            yield x


def taken_when_all_wait(source: Counted) -> int:
    """How many were taken when everybody waits for room."""
    return settled(lambda: source.taken)  # type: ignore[no-any-return]


def most_taken(stages: int, maxsize: int) -> int:
    """What fits in all queues, one in the hand of each worker and of the source, and one that was taken."""
    return 1 + maxsize * (stages + 1) + stages + 1


@pytest.mark.parametrize("maxsize", [1, 2, 5])
@pytest.mark.parametrize("kind", ["pr", "th", "io"])
def test_maxsize_is_exact_across_chained_stages(kind: str, maxsize: int, fork: None) -> None:
    calls = FRONT_ENDS[kind]
    source = Counted()
    stage: Any = source
    for _ in range(3):
        stage = calls.map(same, stage, maxsize=maxsize)
    elements = stage.to_iterable(maxsize=maxsize)
    next(elements)
    assert maxsize * 4 <= taken_when_all_wait(source) <= most_taken(3, maxsize)
    elements.close()


@pytest.mark.parametrize("kind", ["pr", "th", "io"])
def test_from_iterable_remembers_its_maxsize_behind_a_bar(kind: str, fork: None) -> None:
    calls = FRONT_ENDS[kind]
    source = Counted()
    elements = (source | calls.from_iterable(maxsize=3) | calls.map(same, maxsize=2)).to_iterable(maxsize=1)
    next(elements)
    assert taken_when_all_wait(source) <= most_taken(1, 3) + 3
    elements.close()


def test_ordered_streams_without_an_end(front: Any) -> None:
    """The first ones come out although there is no last one."""
    workers = 1 if front is sync else 3
    stage = front.map(same, itertools.count(), workers=workers)
    assert list(itertools.islice(front.ordered(stage), 5000)) == list(range(5000))


def test_ordered_streams_through_filter_and_flat_map(front: Any) -> None:
    workers = 1 if front is sync else 3
    stage = front.filter(lambda x: x % 3, itertools.count(), workers=workers)
    stage = front.flat_map(lambda x: [x] * (x % 4), stage, workers=workers)
    expected = itertools.chain.from_iterable([x] * (x % 4) for x in itertools.count() if x % 3)
    assert list(itertools.islice(front.ordered(stage), 3000)) == list(itertools.islice(expected, 3000))


def test_a_generator_is_closed_when_the_consumer_has_had_enough(front: Any, tmp_path: Path) -> None:
    closed = []

    def source() -> Iterator[int]:
        try:
            yield from itertools.count()
        finally:
            closed.append(True)

    for x in front.map(same, source(), maxsize=1):
        if x == 10:
            break
    assert closed == [True]


def test_a_pipeline_follows_the_start_method_of_the_program(start_method: str) -> None:
    def command_line(_: int) -> bytes:
        return Path("/proc/self/cmdline").read_bytes()

    (worker,) = pr.map(command_line, [0])
    mine = Path("/proc/self/cmdline").read_bytes()
    assert multiprocessing.get_start_method() == start_method
    assert (worker == mine) == (start_method == "fork")
    assert (b"forkserver" in worker) == (start_method == "forkserver")
