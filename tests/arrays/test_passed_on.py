"""Arrays arrive as views, and are passed on as references: what is copied is counted."""

from __future__ import annotations

import dataclasses
from typing import Any, NamedTuple

import numpy as np
import pytest
from support.copies import copies, lent

from pypeln import pr, sync, th

N = 20_000
ELEMENTS = 4


def filled(number: int) -> np.ndarray:
    return np.full(N, number, dtype=np.float32)


def same(x: Any) -> Any:
    return x


@dataclasses.dataclass
class Sample:
    pixels: Any
    label: int


class Pair(NamedTuple):
    pixels: Any
    label: int


class Ordinary:
    def __init__(self, pixels: Any) -> None:
        self.parts = {"pixels": [pixels]}


def chained(elements: list[Any], *functions: Any) -> Any:
    stage: Any = elements
    for f in functions:
        stage = pr.map(f, stage)
    return stage


WRAPPED = {
    "array": (lambda a: a, lambda x: x),
    "tuple": (lambda a: (a, 1), lambda x: x[0]),
    "list": (lambda a: [1, a], lambda x: x[1]),
    "dict": (lambda a: {"a": {"b": a}}, lambda x: x["a"]["b"]),
    "dataclass": (lambda a: Sample(a, 1), lambda x: x.pixels),
    "named tuple": (lambda a: Pair(a, 1), lambda x: x.pixels),
    "object": (Ordinary, lambda x: x.parts["pixels"][0]),
    "deep": (lambda a: [[[[[[[[[[a]]]]]]]]]], lambda x: x[0][0][0][0][0][0][0][0][0][0]),
}


@pytest.mark.parametrize("kind", WRAPPED)
def test_a_chain_of_five_stages_copies_once(kind: str) -> None:
    wrap, unwrap = WRAPPED[kind]
    stage = chained([wrap(filled(i)) for i in range(ELEMENTS)], same, same, same, same, same)
    for i, got in enumerate(stage):
        assert (unwrap(got) == i).all() and unwrap(got).shape == (N,)
    assert copies(stage) == [{"copied_in": ELEMENTS}, {}, {}, {}, {}, {}]
    assert lent(stage)[1:] == [ELEMENTS] * 5


PARTS = {
    "slice": lambda a: a[5:-5],
    "every second": lambda a: a[::2],
    "reversed": lambda a: a[::-1],
    "transpose": lambda a: a.reshape(100, 200).T,
    "other shape": lambda a: a.reshape(4, -1),
    "other dtype": lambda a: a.view("u1"),
    "field": lambda a: a.view([("x", "f4"), ("y", "f4")])["y"],
    "in place": lambda a: np.multiply(a, 2, out=a),
    "flat": lambda a: a.ravel(),
}


@pytest.mark.parametrize("wrapped", ["array", "dataclass"])
@pytest.mark.parametrize("part", PARTS)
def test_a_part_of_an_array_is_passed_on(part: str, wrapped: str) -> None:
    take = PARTS[part]
    wrap, unwrap = WRAPPED[wrapped]
    stage = chained([wrap(filled(1)) for _ in range(3)], lambda x: wrap(take(unwrap(x))), same)
    expected = take(filled(1))
    for got in map(unwrap, stage):
        assert got.shape == expected.shape and got.dtype == expected.dtype and (got == expected).all()
        assert got.strides == expected.strides
    assert copies(stage) == [{"copied_in": 3}, {}, {}]


def test_a_field_of_a_dict_of_arrays_is_passed_on() -> None:
    elements = [{name: filled(i) for name in "abcdefghij"} for i in range(3)]
    stage = chained(elements, lambda x: x["c"], same)
    assert [float(got[0]) for got in stage] == [0, 1, 2]
    assert copies(stage) == [{"copied_in": 30}, {}, {}]


def test_two_parts_of_an_array_are_passed_on_together() -> None:
    """Each part counts as a holder of what the other lies in; nobody outside the element does."""
    stage = chained([filled(i) for i in range(3)], lambda a: (a[: N // 2], a[N // 2 :]), same)
    assert [(float(x.sum()), len(y)) for x, y in stage] == [(i * N / 2, N // 2) for i in range(3)]
    assert copies(stage) == [{"copied_in": 3}, {}, {}]


def test_parts_that_overlap_do_not_become_two_views_of_the_same_memory() -> None:
    """Or a stage could keep one and give the other away."""

    def write(pair: Any) -> Any:
        pair[1][:] = 7
        return pair

    stage = chained([filled(1)], lambda a: [a, a[10:]], write, same)
    ((whole, part),) = stage
    assert (whole == 1).all() and (part == 7).all()
    assert copies(stage)[1] == {"copied_busy": 1}


def test_filtered_ordered_and_concatenated_arrays_are_passed_on() -> None:
    stage: Any = pr.map(same, [filled(i) for i in range(ELEMENTS)])
    for each in (lambda s: pr.filter(lambda a: True, s), pr.ordered, lambda s: pr.concat([s])):
        stage = each(stage)
    stage = pr.map(same, stage)
    assert sorted(float(a[0]) for a in stage) == [0, 1, 2, 3]
    assert copies(stage) == [{"copied_in": ELEMENTS}, *[{}] * (len(stage.memory_stats()) - 1)]


def test_threads_between_processes_pass_arrays_on() -> None:
    stage = pr.map(same, th.map(same, pr.map(same, [filled(i) for i in range(ELEMENTS)])))
    assert [float(a[0]) for a in stage] == [0, 1, 2, 3]
    assert copies(stage) == [{"copied_in": ELEMENTS}, {}, {}, {}]


def test_results_are_born_where_they_leave_from() -> None:
    stage = chained([filled(i) for i in range(ELEMENTS)], lambda a: a * 2, lambda a: a + 1)
    assert [float(a[0]) for a in stage] == [1, 3, 5, 7]
    assert copies(stage) == [{"copied_in": ELEMENTS}, {}, {}]
    assert [each.born.count for each in stage.memory_stats()[1:]] == [ELEMENTS, ELEMENTS]


def load(number: int) -> np.ndarray:
    array = pr.empty(N, np.float32)
    array[:] = number
    return array


@pytest.mark.parametrize("source", ["generator", "map", "thread"])
def test_sources_of_the_parent_fill_shared_memory(source: str) -> None:
    elements: Any = {
        "generator": lambda: (load(i) for i in range(ELEMENTS)),
        "map": lambda: map(load, range(ELEMENTS)),
        "thread": lambda: th.map(load, range(ELEMENTS)),
    }[source]()
    stage = pr.map(same, elements)
    assert [float(a.mean()) for a in stage] == [0, 1, 2, 3]
    assert copies(stage) == [{}, {}]


def test_pr_empty_and_its_like_make_what_numpy_makes() -> None:
    made = pr.zeros((2, 3), "i2", "F"), pr.ones(3), pr.full(2, 7), pr.copy([[1, 2]]), pr.empty(4, bool)
    expected = np.zeros((2, 3), "i2", "F"), np.ones(3), np.full(2, 7), np.array([[1, 2]]), np.empty(4, bool)
    for got, wanted in zip(made, expected, strict=True):
        assert got.dtype == wanted.dtype and got.shape == wanted.shape and got.strides == wanted.strides
    assert all((got == wanted).all() for got, wanted in list(zip(made, expected, strict=True))[:-1])


DTYPES: list[Any] = [
    np.zeros((0, 5)),
    np.zeros((100, 0, 3)),
    np.array(3.5),
    np.zeros((2,) * 20),
    np.zeros(3000, [("a", "<i4"), ("b", ">f8"), ("s", "S5")]),
    np.zeros(3000, {"names": ["a", "b"], "formats": ["u1", "f8"], "offsets": [8, 0], "itemsize": 24}),
    np.zeros(3000, [("nested", [("x", "f4", (3, 2))])]),
    np.arange(5000).astype("M8[us]"),
    np.arange(5000).astype("m8[D]"),
    np.arange(5000, dtype=">i4"),
    np.array(["abc"] * 3000),
    np.array([b"abc"] * 3000),
    np.ones(3000, "V7"),
    np.ones(3000, np.float16),
    np.ones(3000, np.longdouble),
    np.ones(3000, np.clongdouble),
    np.ones(3000, np.dtype("f4", metadata={"unit": "m"})),
    np.broadcast_to(np.arange(3.0), (5000, 3)),
    np.arange(24000).reshape(20, 30, 40).transpose(2, 0, 1)[::-1],
    np.asfortranarray(np.arange(20000).reshape(100, 200)),
    np.ma.masked_array(np.arange(5000), np.arange(5000) % 3 == 0),
    np.arange(5000, dtype=object),
    np.rec.fromarrays([np.arange(3000), np.arange(3000.0)], names="a,b"),
]


@pytest.mark.parametrize("wrapped", ["array", "dict", "dataclass"])
@pytest.mark.parametrize("array", DTYPES, ids=lambda a: f"{a.dtype}{a.shape}"[:40])
def test_everything_about_an_array_survives(array: Any, wrapped: str) -> None:
    wrap, unwrap = WRAPPED[wrapped]
    for got in map(unwrap, chained([wrap(array)], same, same)):
        assert type(got) is type(array) and got.dtype == array.dtype and got.shape == array.shape
        # None, or empty where an older numpy has made a dtype of dates from its pickle.
        assert (got.dtype.metadata or None) == array.dtype.metadata
        assert got.dtype.byteorder == array.dtype.byteorder
        assert got.flags.c_contiguous >= array.flags.c_contiguous
        assert got.flags.f_contiguous >= array.flags.f_contiguous
        assert got.tobytes() == array.tobytes() or got.tolist() == array.tolist()


def test_what_is_not_contiguous_keeps_its_order_of_axes() -> None:
    array = np.arange(24000).reshape(20, 30, 40).transpose(2, 0, 1)
    (got,) = pr.map(same, [array])
    assert got.strides == array.strides


def test_one_receiver_may_write_and_several_may_not() -> None:
    (alone,) = chained([filled(1)], same)
    alone[:] = 2
    first = pr.map(same, [filled(i) for i in range(3)])
    both = pr.concat([pr.map(same, first), pr.map(same, first)])
    got = list(both)
    assert sorted(float(a[0]) for a in got) == [0, 0, 1, 1, 2, 2]
    flags = [a.flags.writeable for a in got]
    assert not any(flags), flags


def test_read_only_arrays_stay_read_only() -> None:
    array = filled(3)
    array.flags.writeable = False
    (got,) = chained([array], same, same)
    assert not got.flags.writeable and (got == 3).all()


@pytest.mark.parametrize("make", [bytes, bytearray, lambda n: "x" * n], ids=["bytes", "bytearray", "str"])
def test_bytes_have_memory_of_their_own_and_are_counted(make: Any) -> None:
    stage = chained([make(50_000)], same)
    assert list(stage) == [make(50_000)]
    assert copies(stage) == [{"copied_in": 1, "copied_type": 1}] * 2


@pytest.mark.parametrize("wrapped", ["array", "dict", "dataclass"])
def test_memoryviews_are_views(wrapped: str) -> None:
    wrap, unwrap = WRAPPED[wrapped]
    data = bytearray(range(250)) * 200
    given = [memoryview(data), memoryview(data).cast("I", (125, 100)), memoryview(bytes(data))]
    stage = chained([wrap(each) for each in given], same)
    for got, view in zip(map(unwrap, stage), given, strict=True):
        assert got == view and got.format == view.format and got.shape == view.shape
        assert got.readonly == view.readonly
    assert copies(stage) == [{"copied_in": 3}, {}]


def test_a_memoryview_with_gaps_is_refused_by_name() -> None:
    from pypeln import EncodeError

    with pytest.raises(EncodeError, match=r"element \(0,\)") as caught:
        list(pr.map(same, [memoryview(bytes(10_000))[::2]]))
    assert "not contiguous" in str(caught.value.__cause__)


def test_the_consumer_itself_needs_no_copies() -> None:
    stage = sync.map(np.sum, pr.map(same, [filled(i) for i in range(3)]))
    assert [float(x) for x in stage] == [0, N, 2 * N]
