"""Elements and results that do not survive the way to a process or back."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any

import marks
from job import CULPRIT, ELEMENTS, Fault, Job

from injected.elements import is_culprit, numbers, work


def _explode() -> Any:
    raise ValueError("this one cannot be unpickled")


class Explosive:
    """Pickle can write it and not read it."""

    def __reduce__(self) -> tuple[Callable[[], Any], tuple[()]]:
        return _explode, ()


def returns_unpicklable(element: int) -> Any:
    return threading.Lock() if is_culprit(element) else work(element)


def returns_explosive(element: int) -> Any:
    return Explosive() if is_culprit(element) else work(element)


def with_unpicklable() -> Iterator[Any]:
    return _with(threading.Lock())


def with_explosive() -> Iterator[Any]:
    return _with(Explosive())


def _with(element: Any) -> Iterator[Any]:
    yield from range(CULPRIT)
    marks.stamp()
    yield element
    yield from range(CULPRIT + 1, ELEMENTS)


FAULTS = (
    Fault("element-unpicklable", "an element cannot be pickled", Job(work, with_unpicklable)),
    Fault(
        "element-explosive",
        "an element cannot be unpickled in the worker",
        Job(work, with_explosive),
    ),
    Fault("result-unpicklable", "a result cannot be pickled", Job(returns_unpicklable, numbers)),
    Fault(
        "result-explosive",
        "a result cannot be unpickled in the parent",
        Job(returns_explosive, numbers),
    ),
)
