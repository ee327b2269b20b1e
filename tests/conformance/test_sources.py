"""Where elements come from: iterables that are empty, endless or generators, and their end."""

from __future__ import annotations

import collections
import gc
import itertools
import threading
import weakref
from collections.abc import Iterator
from typing import Any

import pytest
from support.fronts import KINDS, short_name

import pypeln as pl

PAIRS = list(itertools.product(KINDS, repeat=2))


def pair_name(pair: tuple[Any, Any]) -> str:
    return "-".join(map(short_name, pair))


class Watched:
    """A generator that says whether it was closed."""

    def __init__(self, n: int | None = None, error_at: int = -1) -> None:
        self.closed = threading.Event()
        self.given = 0
        self._numbers = itertools.count() if n is None else range(n)
        self._error_at = error_at

    def numbers(self) -> Iterator[int]:
        try:
            for number in self._numbers:
                if number == self._error_at:
                    raise OSError("the source is gone")
                self.given += 1
                yield number
        finally:
            self.closed.set()


def test_an_empty_source_has_no_elements(every_front: Any) -> None:
    assert list(every_front.map(abs, [])) == []
    assert list(every_front.ordered(every_front.flat_map(range, every_front.filter(bool, iter(()))))) == []


@pytest.mark.parametrize(
    "make",
    [
        lambda: [0, 1, 2],
        lambda: (0, 1, 2),
        lambda: range(3),
        lambda: {0: "a", 1: "b", 2: "c"},
        lambda: iter([0, 1, 2]),
        lambda: (x for x in range(3)),
        lambda: collections.deque([0, 1, 2]),
        lambda: b"\0\1\2",
        lambda: map(int, "012"),
        lambda: type("Old", (), {"__getitem__": lambda self, i: [0, 1, 2][i]})(),
    ],
    ids=["list", "tuple", "range", "dict", "iterator", "generator", "deque", "bytes", "map", "getitem"],
)
def test_every_iterable_is_a_source(front: Any, make: Any) -> None:
    assert sorted(front.map(lambda x: x, make())) == [0, 1, 2]


def test_a_generator_is_closed_when_it_is_exhausted(front: Any) -> None:
    source = Watched(5)
    assert sorted(front.map(abs, source.numbers())) == [0, 1, 2, 3, 4]
    assert source.closed.is_set()


@pytest.mark.parametrize("maxsize", [0, 1])
def test_a_generator_is_closed_when_the_consumer_leaves(front: Any, maxsize: int) -> None:
    source = Watched()
    generator = source.numbers()
    for _ in front.map(abs, generator, workers=2, maxsize=maxsize):
        break
    del _
    assert source.closed.wait(10)
    assert generator.gi_frame is None


def test_a_generator_is_closed_when_f_fails(front: Any) -> None:
    source = Watched()
    generator = source.numbers()
    with pytest.raises(ZeroDivisionError):
        list(front.map(lambda x: 1 // (5 - x), generator))
    assert source.closed.is_set()


@pytest.mark.parametrize(
    "index", [(-1,), (), (1.0,), (True,), "ab", None, 3, [1], (1 << 64,), (0,) * 17], ids=repr
)
def test_an_element_whose_index_is_none_is_an_error(front: Any, index: Any) -> None:
    with pytest.raises(ValueError, match="item 1 of the source is an Element whose index is"):
        list(front.map(abs, [1, pl.Element(index, 2)]))


def test_an_error_of_the_source_arrives_as_it_is(front: Any) -> None:
    source = Watched(error_at=3)
    with pytest.raises(OSError, match="the source is gone"):
        list(front.map(abs, source.numbers()))
    assert source.closed.is_set()


def test_the_generators_that_f_returns_are_closed(front: Any, tmp_path: Any) -> None:
    closed = tmp_path / "closed"

    def endless(x: int) -> Iterator[int]:
        try:
            yield from itertools.count()
        finally:
            closed.touch()

    iterator = iter(front.flat_map(endless, [0], maxsize=1))
    assert next(iterator) == 0
    iterator.close()
    if front is not pl.pr:  # a process that works for a run that is over may be ended where it stands
        assert closed.exists()


@pytest.mark.parametrize("pair", PAIRS, ids=pair_name)
def test_an_endless_source_can_be_left(pair: tuple[Any, Any]) -> None:
    first, second = pair
    source = Watched()
    stage = second.map(lambda x: x + 1, first.map(lambda x: x + 1, source.numbers(), workers=2), workers=2)
    got = list(itertools.islice(stage, 100))
    assert len(set(got)) == 100
    assert min(got) >= 2
    assert source.closed.wait(10)


def test_break_in_a_for_loop_over_an_endless_source(every_front: Any) -> None:
    taken = 0
    for taken, _ in enumerate(every_front.map(abs, itertools.count(), workers=2, maxsize=2), 1):
        if taken == 20:
            break
    assert taken == 20


@pytest.mark.parametrize("pair", PAIRS, ids=pair_name)
def test_plain_iterables_in_between_are_sources_of_their_own(pair: tuple[Any, Any]) -> None:
    first, second = pair
    between = (x * 10 for x in first.map(lambda x: x + 1, range(20), workers=2))
    assert sorted(second.map(lambda x: x + 1, between, workers=2)) == [x * 10 + 1 for x in range(1, 21)]
    between = map(str, first.ordered(first.map(abs, range(5))))  # type: ignore[assignment]
    assert list(second.ordered(second.map(lambda x: x + "!", between))) == ["0!", "1!", "2!", "3!", "4!"]


@pytest.mark.parametrize("kind", [pl.pr, pl.th, pl.io], ids=short_name)
def test_a_source_runs_beside_the_consumer(kind: Any) -> None:
    """What the consumer does between elements is no reason for the source to wait."""
    first_taken = threading.Event()

    def source() -> Iterator[int]:
        yield 1
        yield 2
        first_taken.wait()
        yield 3

    iterator = iter(kind.map(abs, source()))
    assert next(iterator) == 1
    first_taken.set()
    assert list(iterator) == [2, 3]


def test_a_source_in_a_process_of_its_own(every_front: Any) -> None:
    if every_front is not pl.pr:
        pytest.skip("use_thread=False is for processes")
    assert sorted(every_front.map(abs, every_front.from_iterable(range(100), use_thread=False))) == list(
        range(100)
    )


# Some share a slot, some need one for themselves, some a block. A list never waits: slots are filled at once.
OF_ALL_SIZES: list[Any] = [
    *("", "a", "x" * 38, "x" * 39, "x" * 40, "\u0100", "x" * 5000),
    *(0, -17, 112, 1 << 31, (1 << 63) - 1, -(1 << 63), 1 << 63, 1 << 200),
    *(None, True, False, 2.5, b"b", (1, 2), {"a": 1}, []),
]


def same(x: Any) -> Any:
    return x


@pytest.mark.parametrize("workers", [1, 2])
def test_elements_of_all_sizes_keep_value_type_and_index(front: Any, workers: int) -> None:
    given = [*OF_ALL_SIZES * 20, *range(50), *OF_ALL_SIZES]
    came = list(front.to_iterable(front.map(same, given, workers=workers), return_index=True))
    came.sort(key=lambda element: element.index)
    assert [element.index for element in came] == [(i,) for i in range(len(given))]
    assert [(type(element.value), element.value) for element in came] == [(type(x), x) for x in given]


def test_elements_that_bring_an_index_are_among_others(front: Any) -> None:
    given = [10, 11, pl.Element((40,), 12), 13]
    came = list(front.to_iterable(front.map(same, given), return_index=True))
    assert sorted(came) == [((0,), 10), ((1,), 11), ((3,), 13), ((40,), 12)]


def test_an_error_of_a_source_that_never_waits_arrives_as_it_is(front: Any) -> None:
    given = dict.fromkeys(range(100_000))
    came: list[int] = []

    def change_it_meanwhile() -> None:
        for number in front.map(same, given.keys()):
            came.append(number)
            given[-len(came)] = None

    with pytest.raises(RuntimeError, match="changed size during iteration"):
        change_it_meanwhile()
    assert len(set(came)) == len(came) < 100_000


def test_elements_that_nobody_asks_for_are_dropped() -> None:
    class Thing:
        pass

    things = [Thing() for _ in range(1000)]
    alive = weakref.WeakSet(things)
    results = iter(pl.thread.map(same, things))
    next(results)
    results.close()
    del things, results
    gc.collect()
    assert not alive
