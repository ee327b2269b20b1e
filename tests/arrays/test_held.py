"""What somebody can still write to is copied: nobody sees an element change behind its back."""

from __future__ import annotations

import dataclasses
import gc
import threading
import weakref
from typing import Any

import numpy as np
import pytest
from support.copies import copies

from pypeln import pr, th

N = 20_000
GIVEN = 5


def filled(number: int) -> np.ndarray:
    return np.full(N, number, dtype=np.float32)


class Kept:
    """What a function keeps, and writes to when it is called again."""

    arrays: list[Any] = []  # noqa: RUF012 that it is of the class is the point

    @classmethod
    def spoil(cls) -> None:
        for each in cls.arrays:
            each[...] = -1


def scratch(kept: Any) -> Any:
    """The result is a buffer that is used for every element."""
    buffer = np.empty(N, np.float32)

    def f(x: Any) -> Any:
        buffer[:] = x
        return buffer

    return f


def cache(kept: Any) -> Any:
    def f(x: Any) -> Any:
        kept.spoil()
        y = x + 0
        kept.arrays = [y]
        return y

    return f


def keeps_the_element(kept: Any) -> Any:
    def f(x: Any) -> Any:
        kept.spoil()
        kept.arrays = [x]
        return x

    return f


def keeps_a_view(kept: Any) -> Any:
    def f(x: Any) -> Any:
        kept.spoil()
        kept.arrays = [x[::2]]
        return x

    return f


def returns_a_view(kept: Any) -> Any:
    def f(x: Any) -> Any:
        kept.spoil()
        base = x + 0
        kept.arrays = [base]
        return base[:]

    return f


def returns_a_view_of_a_view(kept: Any) -> Any:
    def f(x: Any) -> Any:
        kept.spoil()
        base = x + 0
        kept.arrays = [base.reshape(2, -1)]
        return base.reshape(4, -1).reshape(-1)

    return f


def out_argument(kept: Any) -> Any:
    out = np.empty(N, np.float32)

    def f(x: Any) -> Any:
        return np.add(x, 0, out=out)

    return f


def keeps_a_memoryview(kept: Any) -> Any:
    def f(x: Any) -> Any:
        for each in kept.arrays:
            each[:4] = b"\xff\xff\xff\xff"
        y = x + 0
        kept.arrays = [memoryview(y).cast("B")]
        return y

    return f


def keeps_the_dict(kept: Any) -> Any:
    def f(x: Any) -> Any:
        for each in kept.arrays:
            each["a"][:] = -1
        kept.arrays = [{"a": x + 0}]
        return kept.arrays[0]

    return f


def keeps_what_is_in_a_dict(kept: Any) -> Any:
    def f(x: Any) -> Any:
        kept.spoil()
        kept.arrays = [x + 0]
        return {"a": kept.arrays[0]}

    return f


@dataclasses.dataclass
class Box:
    a: Any


def keeps_what_is_in_an_object(kept: Any) -> Any:
    def f(x: Any) -> Any:
        kept.spoil()
        kept.arrays = [x + 0]
        return Box(kept.arrays[0])

    return f


def keeps_an_object(kept: Any) -> Any:
    def f(x: Any) -> Any:
        for each in kept.arrays:
            each.a[:] = -1
        box = Box(x + 0)
        kept.arrays = [box]
        return box

    return f


def keeps_in_a_closure(kept: Any) -> Any:
    def f(x: Any) -> Any:
        for each in kept.arrays:
            each()
        y = x + 0

        def spoil() -> None:
            y[:] = -1

        kept.arrays = [spoil]
        return [y, y[3:]]

    return f


def keeps_a_cycle(kept: Any) -> Any:
    """Somebody outside reaches the element only through objects that are in it as well."""

    def f(x: Any) -> Any:
        for each in kept.arrays:
            each["box"].a[:] = -1
        box = Box(x + 0)
        around = {"box": box}
        box.around = around  # type: ignore[attr-defined]
        kept.arrays = [around]
        return box

    return f


HOLDING = [
    scratch,
    cache,
    keeps_the_element,
    keeps_a_view,
    returns_a_view,
    returns_a_view_of_a_view,
    out_argument,
    keeps_a_memoryview,
    keeps_the_dict,
    keeps_what_is_in_a_dict,
    keeps_what_is_in_an_object,
    keeps_an_object,
    keeps_in_a_closure,
    keeps_a_cycle,
]


def only_array(x: Any) -> np.ndarray:
    while not isinstance(x, np.ndarray):
        x = x.a if isinstance(x, Box) else x["a"] if isinstance(x, dict) else x[0]
    return x


@pytest.mark.parametrize("holding", HOLDING, ids=lambda f: f.__name__)
@pytest.mark.parametrize("calls", [pr, th], ids=["pr", "th"])
def test_what_f_keeps_and_writes_to_later_arrives_as_it_was(holding: Any, calls: Any) -> None:
    f = holding(Kept)
    stage = pr.map(lambda x: x, calls.map(f, pr.map(lambda x: x, [filled(i) for i in range(GIVEN)])))
    # All of them, so that f has been called for each before the first is looked at.
    for i, got in enumerate(list(stage)):
        assert (only_array(got) == i).all(), i
    Kept.arrays = []


def test_what_f_keeps_is_counted_as_copied_because_it_was_held() -> None:
    stage = pr.map(cache(Kept), [filled(i) for i in range(GIVEN)])
    list(stage)
    assert copies(stage) == [{"copied_in": GIVEN}, {"copied_held": GIVEN}]


def test_a_thread_that_writes_later_does_not_change_an_element() -> None:
    def start(x: Any) -> Any:
        y = x + 0
        gone = threading.Event()
        threading.Thread(target=lambda: (gone.wait(0.05), y.fill(-1)), daemon=True).start()
        return y

    for i, got in enumerate(list(pr.map(lambda x: x, pr.map(start, [filled(i) for i in range(3)])))):
        assert (got == i).all()


def test_a_generator_that_goes_on_does_not_change_what_it_has_yielded() -> None:
    def twice(x: Any) -> Any:
        y = x + 0
        yield y
        y += 100
        yield y

    got = list(pr.map(lambda x: x, pr.flat_map(twice, [filled(i) for i in range(3)])))
    assert [float(a[0]) for a in got] == [0, 100, 1, 101, 2, 102]
    assert all((a == a[0]).all() for a in got)


def test_children_that_share_memory_do_not_change_each_other() -> None:
    def halves(x: Any) -> Any:
        parts = [x[: N // 2], x[N // 4 :]]
        yield parts[0]
        parts[1][:] = -1
        yield parts[1]

    got = list(pr.map(lambda x: x, pr.flat_map(halves, pr.map(lambda x: x, [filled(3)]))))
    assert (got[0] == 3).all() and (got[1] == -1).all()


def test_an_element_that_is_tried_again_is_as_it_was_sent() -> None:
    tries: list[Any] = []

    def spoil_first(x: Any) -> Any:
        tries.append(x)
        if len(tries) == 1:
            raise ValueError
        if len(tries) > 2:
            tries[0][:] = -2
        return x

    first = pr.map(lambda x: x, [filled(i) for i in range(3)])
    got = list(pr.map(lambda x: x, pr.map(spoil_first, first, retries=2, backoff=0)))
    assert [set(each.tolist()) for each in got] == [{0.0}, {1.0}, {2.0}]


def test_an_array_that_only_a_weak_reference_knows_is_given_away() -> None:
    """Such a reference is dead when the element is gone."""
    known: list[Any] = []

    def f(x: Any) -> Any:
        gc.collect()
        alive = [each() is not None for each in known]
        y = x + 0
        known.append(weakref.ref(y))
        return (y, alive)

    stage = pr.map(f, [filled(i) for i in range(3)])
    assert [alive for _, alive in stage] == [[], [False], [False, False]]
