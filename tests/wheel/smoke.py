"""What a built wheel must be able to do where it is installed, with only what it depends on beside it.

    python tests/wheel/smoke.py

A pipeline of each kind of worker and one of all kinds, in order; arrays through processes; a worker that is
killed. On Windows, of the kinds that there are; the others have to be refused. Run from a folder that has no
`pypeln` in it: the installed one is meant.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import sysconfig
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy

import pypeln
from pypeln import io, pr, sync, th

# docs/platforms.md
REFUSED = (pr, io) if sys.platform == "win32" else ()


def double(x: int) -> int:
    return x * 2


async def double_soon(x: int) -> int:
    await asyncio.sleep(0)
    return x * 2


def is_multiple_of_4(x: int) -> bool:
    return x % 4 == 0


def plus_one(array: numpy.ndarray) -> numpy.ndarray:
    return array + 1


def kill_yourself(x: int) -> int:
    if x == 5:
        os.kill(os.getpid(), signal.SIGKILL)
    return x


def each_kind() -> None:
    elements = range(1000)
    expected = [x * 2 for x in elements]
    for front in (pr, th, io, sync):
        if front not in REFUSED:
            doubled = elements | front.map(double, workers=2) | front.ordered()
            assert list(doubled) == expected, front.__name__


def all_kinds() -> None:
    chain: Iterable[Any] = range(1000)
    if not REFUSED:
        chain = (
            chain
            | io.map(double_soon, workers=10)
            | pr.filter(is_multiple_of_4, workers=2, maxsize=10)
            | th.map(double, workers=2)
            | sync.ordered()
        )
    else:
        chain = (
            chain | th.map(double, workers=10) | sync.filter(is_multiple_of_4) | th.map(double) | th.ordered()
        )
    assert list(chain) == [x * 4 for x in range(1000) if x * 2 % 4 == 0]


def arrays() -> None:
    front = th if pr in REFUSED else pr
    shapes = [(3,), (0, 4), (100, 100), (1000, 300)]
    made = (numpy.full(shape, 7.0) for shape in shapes)
    got = list(made | front.map(plus_one, workers=2) | front.map(plus_one) | front.ordered())
    for shape, array in zip(shapes, got, strict=True):
        assert array.shape == shape and (array == 9.0).all()


def a_killed_worker() -> None:
    try:
        list(range(10) | pr.map(kill_yourself, workers=2))
    except pypeln.WorkerDied as death:
        elements = death.elements
    else:
        raise AssertionError("nobody noticed that a worker was killed")
    assert (5,) in elements, elements


def refusals() -> None:
    for front in REFUSED:
        try:
            list(range(10) | front.map(double))
        except NotImplementedError:
            continue
        raise AssertionError(f"{front.__name__} was not refused")


def main() -> None:
    """Run every check."""
    without_gil = bool(sysconfig.get_config_var("Py_GIL_DISABLED"))
    for check in (each_kind, all_kinds, arrays, refusals if REFUSED else a_killed_worker):
        check()
        print(f"ok: {check.__name__.replace('_', ' ')}")
    if without_gil:
        assert not sys._is_gil_enabled(), "importing pypeln has switched the GIL on"
        print("ok: no GIL")
    python = sys.version.split()[0]
    print(f"pypeln {pypeln.__version__} on Python {python} with numpy {numpy.__version__}: ", end="")
    print(Path(pypeln.__file__).parent)


if __name__ == "__main__":
    main()
