"""The work alone, without any hand-over of elements: what the interpreter and the machine give."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from multiprocessing import Process
from typing import Any


@contextmanager
def plain_map(f: Callable[[Any], Any], source: Iterable[Any], workers: int) -> Iterator[Iterable[Any]]:
    """The builtin, in this thread."""
    yield map(f, source)


def _work(f: Callable[[Any], Any], share: Sequence[Any]) -> None:
    for element in share:
        f(element)


@contextmanager
def equal_shares(f: Callable[[Any], Any], source: Sequence[Any], workers: int) -> Iterator[Sequence[Any]]:
    """Call `f` on every element in `workers` processes; yields the source, as if `f` had returned it."""
    processes = [Process(target=_work, args=(f, source[w::workers])) for w in range(workers)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    yield source
