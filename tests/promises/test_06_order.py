"""`ordered` streams, in bounded memory, and keeps its order through whatever becomes of elements."""

from __future__ import annotations

import asyncio
import itertools
from typing import Any

import pytest

from pypeln import io, pr, sync, th


def same(x: Any) -> Any:
    return x


def test_promise_06_ordered_streams_without_an_end(front: Any) -> None:
    """The first ones come out although there is no last one."""
    workers = 1 if front is sync else 3
    stage = front.map(same, itertools.count(), workers=workers)
    assert list(itertools.islice(front.ordered(stage), 5000)) == list(range(5000))


def test_promise_06_ordered_streams_through_filter_and_flat_map(front: Any) -> None:
    workers = 1 if front is sync else 3
    stage = front.filter(lambda x: x % 3, itertools.count(), workers=workers)
    stage = front.flat_map(lambda x: [x] * (x % 4), stage, workers=workers)
    expected = itertools.chain.from_iterable([x] * (x % 4) for x in itertools.count() if x % 3)
    assert list(itertools.islice(front.ordered(stage), 3000)) == list(itertools.islice(expected, 3000))


LATE = 3


OTHERS = [0, 1, 2, 4, 5, 6]


LIMIT_S = 0.05


def compute_long(x: int) -> int:
    while x == LATE:
        pass
    return x


async def sleep_long_async(x: int) -> int:
    if x == LATE:
        await asyncio.sleep(100)
    return x


FRONTS = [(pr, compute_long), (th, compute_long), (io, sleep_long_async), (sync, compute_long)]


EVERYWHERE = pytest.mark.parametrize(("front_end", "f"), FRONTS, ids=["pr", "th", "io", "sync"])


@EVERYWHERE
def test_promise_06_ordered_goes_on_without_an_element_that_is_late(
    front_end: Any, f: Any, fork: None
) -> None:
    workers = 1 if front_end is sync else 2
    assert list(front_end.ordered(front_end.map(f, range(7), workers=workers, timeout=LIMIT_S))) == OTHERS
