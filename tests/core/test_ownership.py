"""Which objects of a value nobody else has; without the GIL, none of which that can be said."""

from __future__ import annotations

import dataclasses
import sysconfig
import threading
from collections.abc import Callable
from typing import Any

import numpy as np

from pypeln._core import arrays  # noqa: F401 it shows what arrays lie on
from pypeln._core.ownership import owned

FREE_THREADED = bool(sysconfig.get_config_var("Py_GIL_DISABLED"))


@dataclasses.dataclass
class Box:
    a: Any


def array() -> np.ndarray:
    return np.zeros(10)


def check(cell: list[Any], candidates: Callable[[Any], list[Any]], wanted: list[bool]) -> None:
    assert owned(cell, candidates) == wanted


def test_what_only_the_value_reaches_is_owned() -> None:
    check([{"a": [Box(array())]}], lambda v: [v, v["a"], v["a"][0], v["a"][0].a], [True] * 4)


def test_what_somebody_else_has_is_not_and_nothing_below_it_is() -> None:
    box = Box([array()])
    parts = [True, False, False, False, True]
    check([[box, array()]], lambda v: [v, v[0], v[0].a, v[0].a[0], v[1]], parts)
    assert len(box.a) == 1


def test_a_value_that_somebody_else_has_owns_nothing() -> None:
    value = [array()]
    check([value], lambda v: [v, v[0]], [False, False])
    assert len(value) == 1


def test_references_within_the_value_do_not_count() -> None:
    def twice() -> Any:
        a = array()
        return [a, a, a[1:], a[2:]]

    check([twice()], lambda v: [v[0], v[2], v[3]], [True] * 3)


def test_what_lies_on_something_held_is_owned_and_that_is_not() -> None:
    base = array()
    check([[base[1:]]], lambda v: [v[0], v[0].base], [True, False])
    assert len(base) == 10


def test_cycles_are_owned_as_a_whole_or_not_at_all() -> None:
    def cycle() -> Any:
        box = Box(array())
        box.me = [box]  # type: ignore[attr-defined]
        return box

    check([cycle()], lambda v: [v, v.me, v.a], [True] * 3)
    known = cycle()
    outside = known.me
    del known
    check([outside[0]], lambda v: [v, v.a], [False, False])


def test_what_a_closure_reaches_is_not_owned() -> None:
    def made() -> Any:
        a = array()
        return [a, lambda: a]

    check([made()], lambda v: [v, v[0]], [True, False])


def test_memoryviews_show_what_they_lie_on() -> None:
    check([[memoryview(array())]], lambda v: [v[0], v[0].obj], [True, True])
    base = array()
    check([[memoryview(base)]], lambda v: [v[0], v[0].obj], [True, False])


def test_a_value_of_too_many_parts_owns_nothing() -> None:
    check([[[number] for number in range(10_000)]], lambda v: [v, v[0]], [False, False])


def test_nothing_is_owned_where_other_threads_run_during_the_walk() -> None:
    over = threading.Event()
    thread = threading.Thread(target=over.wait)
    thread.start()
    try:
        check([[Box(array())]], lambda v: [v[0], v[0].a], [not FREE_THREADED] * 2)
    finally:
        over.set()
        thread.join()
    check([[Box(array())]], lambda v: [v[0], v[0].a], [True, True])
