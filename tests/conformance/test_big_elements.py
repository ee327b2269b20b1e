"""Elements that fit no slot: megabytes, arrays, and what must not be changed behind an element's back."""

from __future__ import annotations

import hashlib
import itertools
from typing import Any

import numpy as np
import pytest

import pypeln as pl

MEGABYTE = 1 << 20


def test_ten_megabytes_go_through(every_front: Any) -> None:
    elements = [bytes([i]) * (10 * MEGABYTE + i) for i in range(4)]
    stage = every_front.map(lambda x: x + b"!", elements, workers=2)
    for got, sent in itertools.zip_longest(every_front.ordered(stage), elements):
        assert hashlib.sha256(got).digest() == hashlib.sha256(sent + b"!").digest()


def test_more_bytes_than_a_queue_holds_flow_through(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYPELN_QUEUE_BYTES", str(4 * MEGABYTE))
    stage = pl.pr.map(lambda x: x[:10], (bytes([i % 256]) * MEGABYTE for i in range(50)), workers=2)
    assert list(pl.pr.ordered(stage)) == [bytes([i % 256]) * 10 for i in range(50)]


def test_an_element_larger_than_its_queue_is_an_error_that_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYPELN_QUEUE_BYTES", str(MEGABYTE))
    with pytest.raises(pl.EncodeError, match=r"element \(0,\).*PYPELN_QUEUE_BYTES"):
        list(pl.pr.map(lambda x: bytes(8 * MEGABYTE), [0]))


@pytest.mark.parametrize("dtype", ["u1", "<i4", ">f8", "complex128", "M8[s]", "S3", "U2", "?"])
def test_arrays_keep_dtype_shape_and_content(front: Any, dtype: str) -> None:
    array = np.arange(24).astype(dtype).reshape(2, 3, 4)
    for given in (array, array.T, array[:, ::2], array[:0], np.asfortranarray(array), array[0, 0, 0]):
        (got,) = front.map(lambda x: x, [given])
        # Not the byte order: numpy pickles an array with gaps in that of the machine.
        assert got.dtype.newbyteorder("=") == given.dtype.newbyteorder("=")
        assert got.shape == given.shape
        assert np.array_equal(got, given)


def test_big_arrays_are_computed_with(every_front: Any) -> None:
    arrays = [np.full((1000, 1000), i, dtype="f8") for i in range(3)]
    for i, got in enumerate(every_front.ordered(every_front.map(lambda a: a * 2 + 1, arrays, workers=2))):
        assert got.shape == (1000, 1000)
        assert (got == i * 2 + 1).all()


def test_arrays_of_objects_go_through(front: Any) -> None:
    (got,) = front.map(lambda x: x, [np.array([1, "a", None, (2, 3)], dtype=object)])
    assert list(got) == [1, "a", None, (2, 3)]


@pytest.mark.parametrize("size", [4, 100, 100_000])
def test_scratch_that_f_uses_again_arrives_as_it_was_returned(size: int) -> None:
    """Between processes an element is what it was when f returned it."""
    scratch = np.zeros(size)

    def fill(x: int) -> Any:
        scratch[:] = x
        return scratch

    for i, got in enumerate(pl.pr.map(fill, range(50))):
        assert (got == i).all()


def test_scratch_that_a_source_uses_again_arrives_as_it_was_yielded() -> None:
    scratch = bytearray(5000)

    def source() -> Any:
        for x in range(50):
            scratch[:] = bytes([x]) * 5000
            yield scratch

    assert list(pl.pr.ordered(pl.pr.map(bytes, source()))) == [bytes([x]) * 5000 for x in range(50)]


def test_received_arrays_may_be_kept(front: Any) -> None:
    kept = list(front.ordered(front.map(lambda x: np.full(50_000, x), range(40))))
    for i, array in enumerate(kept):
        assert (array == i).all()


def test_nested_containers_with_big_parts(front: Any) -> None:
    element = {"a": [np.arange(10_000), b"x" * 100_000], "b": ("y" * 100_000, {1, 2}), "c": None}
    (got,) = front.map(lambda x: x, [element])
    assert got["b"] == element["b"]
    assert got["a"][1] == element["a"][1]
    assert np.array_equal(got["a"][0], element["a"][0])
