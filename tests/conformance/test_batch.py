"""`batch` gathers elements into lists or arrays, `unbatch` takes them apart, on every front end."""

from __future__ import annotations

import dataclasses
import itertools
from typing import Any, NamedTuple

import numpy as np
import pytest

import pypeln as pl


class Pair(NamedTuple):
    x: Any
    y: Any


@dataclasses.dataclass
class Sample:
    pixels: Any
    label: int


def batches(front: Any, n: int, elements: Any, **options: Any) -> list[Any]:
    return list(front.batch(n, elements, **options))


@pytest.mark.parametrize("count", [0, 1, 3, 4, 8, 9])
@pytest.mark.parametrize("drop_last", [False, True])
def test_elements_come_in_lists_and_a_short_one_is_kept_or_dropped(
    front: Any, count: int, drop_last: bool
) -> None:
    expected = [list(range(i, min(i + 4, count))) for i in range(0, count, 4)]
    if drop_last:
        expected = [each for each in expected if len(each) == 4]
    assert batches(front, 4, range(count), drop_last=drop_last) == expected


def test_it_completes_a_partial(every_front: Any) -> None:
    assert list(range(5) | every_front.batch(2)) == [[0, 1], [2, 3], [4]]


STACKED: dict[str, tuple[Any, Any]] = {
    "int": (lambda i: i, np.arange(3)),
    "float": (lambda i: i / 2, np.arange(3) / 2),
    "bool": (lambda i: i > 1, np.array([False, False, True])),
    "complex": (lambda i: 1j * i, 1j * np.arange(3)),
    "scalar": (lambda i: np.float32(i), np.arange(3, dtype="f4")),
    "array": (lambda i: np.full((2, 3), i, ">i2"), np.arange(3).repeat(6).reshape(3, 2, 3).astype(">i2")),
    "empty": (lambda i: np.zeros((0, 2)), np.zeros((3, 0, 2))),
    "date": (lambda i: np.datetime64("2020-01-01") + i, np.arange("2020-01-01", "2020-01-04", dtype="M8[D]")),
}


@pytest.mark.parametrize("kind", STACKED)
def test_numbers_and_arrays_are_stacked(front: Any, kind: str) -> None:
    make, expected = STACKED[kind]
    (got,) = batches(front, 3, [make(i) for i in range(3)], stack=True)
    assert got.dtype == expected.dtype and got.shape == expected.shape and (got == expected).all()


def test_structures_are_stacked_part_by_part(front: Any) -> None:
    elements = [{"a": Pair(np.full(4, i), (i, str(i))), "b": Sample(np.float32(i), i)} for i in range(5)]
    first, second = batches(front, 3, elements, stack=True)
    assert type(first["a"]) is Pair and type(first["b"]) is Sample
    assert first["a"].x.tolist() == [[0] * 4, [1] * 4, [2] * 4] and first["a"].y[0].tolist() == [0, 1, 2]
    assert first["a"].y[1] == ["0", "1", "2"]
    assert second["b"].pixels.tolist() == [3, 4] and second["b"].label.tolist() == [3, 4]


@pytest.mark.parametrize(
    ("elements", "message"),
    [
        ([np.zeros(3), np.zeros(4)], r"element \(1,\).*shape \(4,\)"),
        ([np.zeros(3), np.zeros(3, "f4")], r"element \(1,\).*float32"),
        ([{"a": 1}, {"b": 1}], r"element \(1,\).*keys"),
        ([1, 1.5], r"element \(1,\).*int"),
        ([(1, 2), (1, 2, 3)], r"element \(1,\).*tuple"),
    ],
)
def test_what_does_not_fit_is_an_error_that_names_it(front: Any, elements: list[Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        batches(front, 2, elements, stack=True)


def test_what_cannot_be_stacked_is_a_type_error(front: Any) -> None:
    with pytest.raises(TypeError, match="cannot be stacked"):
        batches(front, 2, [object], stack=True)


def test_batches_of_an_ordered_stage_are_in_its_order(front: Any) -> None:
    stage = front.batch(7, front.ordered(front.map(lambda x: x, range(100), workers=1)))
    assert list(itertools.chain.from_iterable(stage)) == list(range(100))


def test_ordered_after_batch_keeps_the_order_of_batches(front: Any) -> None:
    got = list(front.ordered(front.batch(3, front.filter(lambda x: x % 5, range(40)))))
    assert list(itertools.chain.from_iterable(got)) == [x for x in range(40) if x % 5]


def test_unbatch_is_the_inverse(every_front: Any) -> None:
    assert list(every_front.unbatch(every_front.batch(4, range(10)))) == list(range(10))


def test_unbatch_of_stacked_batches_gives_rows(front: Any) -> None:
    elements = [{"x": np.full(3, i), "y": i} for i in range(5)]
    rows = list(front.unbatch(front.batch(2, elements, stack=True), stack=True))
    assert [(row["x"].tolist(), int(row["y"])) for row in rows] == [([i] * 3, i) for i in range(5)]


def test_unbatch_extends_the_index(front: Any) -> None:
    got = list(front.unbatch([[1, 2], [3]]).to_iterable(return_index=True))
    assert got == [((0, 0), 1), ((0, 1), 2), ((1, 0), 3)]


@pytest.mark.parametrize(
    ("arguments", "options", "error"),
    [
        ((0, [1]), {}, ValueError),
        ((1.5, [1]), {}, TypeError),
        (([1], 2), {}, TypeError),
        ((2, [1]), {"stack": 1}, TypeError),
        ((2, [1]), {"maxsize": -1}, ValueError),
    ],
)
def test_arguments_are_checked_where_the_stage_is_made(
    front: Any, arguments: Any, options: Any, error: type[Exception]
) -> None:
    with pytest.raises(error, match="batch"):
        front.batch(*arguments, **options)


def test_a_batch_is_written_straight_into_the_memory_it_is_sent_in() -> None:
    elements = [{"x": np.full(30_000, i, "f4"), "y": i} for i in range(8)]
    stage = pl.pr.map(lambda x: x, pl.pr.batch(4, pl.pr.map(lambda x: x, elements), stack=True))
    assert [each["x"][:, 0].tolist() for each in stage] == [[0, 1, 2, 3], [4, 5, 6, 7]]
    assert [each.copied.count for each in stage.memory_stats()] == [8, 0, 0, 0]
    assert stage.memory_stats()[2].born.count == 2


def test_batches_are_counted(front: Any) -> None:
    stage = front.batch(3, range(10), drop_last=True)
    list(stage)
    stats = stage.stats()
    assert (stats.taken, stats.emitted, stats.filtered, stats.sent) == (10, 9, 1, 3)
