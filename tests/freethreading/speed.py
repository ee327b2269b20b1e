"""How much of the cores threads get for work in Python, beside processes and a plain loop.

    PYTHON_GIL=0 python3.13t tests/freethreading/speed.py
    PYTHON_GIL=1 python3.13t tests/freethreading/speed.py

Medians of three interleaved rounds, and how many times faster than the loop. Needs an installed pypeln.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable
from typing import Any

from pypeln import pr, th

ELEMENTS, SIZE, ROUNDS = 400, 20_000, 3


def work(n: int) -> int:
    """Milliseconds of nothing but bytecode."""
    total = 0
    for i in range(n):
        total += i * i
    return total


def seconds(run: Callable[[], Any]) -> float:
    began = time.perf_counter()
    run()
    return time.perf_counter() - began


def main() -> None:
    """Measure and print."""
    elements = [SIZE] * ELEMENTS
    cases: dict[str, Callable[[], Any]] = {"loop": lambda: [work(n) for n in elements]}
    for workers in (1, 2, 4):
        for name, front in (("th", th), ("pr", pr)):
            cases[f"{name}, workers={workers}"] = lambda front=front, workers=workers: list(
                elements | front.map(work, workers=workers)
            )
    taken: dict[str, list[float]] = {name: [] for name in cases}
    for _ in range(ROUNDS):
        for name, run in cases.items():
            taken[name].append(seconds(run))
    print(f"Python {sys.version.split()[0]}, GIL {'on' if sys._is_gil_enabled() else 'off'}")
    loop = statistics.median(taken["loop"])
    for name, times in taken.items():
        median = statistics.median(times)
        print(f"{name:16} {median:6.2f} s  x {loop / median:.2f}")


if __name__ == "__main__":
    main()
