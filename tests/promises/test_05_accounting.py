"""Promise 5: every element that a stage took has one end, and without deaths it is executed once."""

from __future__ import annotations

import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from pypeln import io, pr, sync, th

FRONT_ENDS = {"pr": pr, "th": th, "io": io, "sync": sync}
N = 300


class Noting:
    """Notes each of its calls in a file, and fails for every tenth element."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __call__(self, x: int) -> int:
        with open(self.path, "a") as file:
            file.write(f"{x}\n")
        if x % 10 == 3:
            raise ValueError(x)
        return x


def even(x: int) -> bool:
    return x % 2 == 0


@pytest.mark.parametrize("front", FRONT_ENDS.values(), ids=FRONT_ENDS)
def test_promise_05_without_deaths_each_element_is_executed_once(front: Any, tmp_path: Path) -> None:
    calls = tmp_path / "calls"
    stage = front.map(Noting(calls), range(N), workers=3, maxsize=5, on_error="skip")
    assert sorted(stage) == [x for x in range(N) if x % 10 != 3]
    assert Counter(map(int, calls.read_text().split())) == Counter(range(N))


@pytest.mark.parametrize("front", FRONT_ENDS.values(), ids=FRONT_ENDS)
def test_promise_05_the_counters_of_a_complete_run_add_up(front: Any, tmp_path: Path) -> None:
    first = front.map(Noting(tmp_path / "calls"), range(N), workers=2, on_error="skip")
    last = front.flat_map(range, front.filter(even, first, workers=2), workers=2)
    assert len(list(last)) == sum(x for x in range(N) if x % 10 != 3 and x % 2 == 0)
    source, mapped, filtered, flat = last.pipeline_stats()
    assert (source.taken, source.sent) == (N, N)
    assert (mapped.taken, mapped.emitted, mapped.failed) == (N, N - N // 10, N // 10)
    assert (filtered.taken, filtered.filtered) == (mapped.sent, N // 2 - N // 10)
    assert (flat.taken, flat.emitted) == (filtered.sent, filtered.sent)


@pytest.mark.parametrize("front", [pr, th, io], ids=["pr", "th", "io"])
def test_promise_05_the_counters_can_be_read_while_the_run_lasts(front: Any) -> None:
    stage = front.map(abs, iter(int, 1), workers=2, maxsize=4)
    iterator = iter(stage)
    for _ in range(100):
        next(iterator)
    stats = stage.stats()
    assert stats.taken >= 100
    ends = stats.emitted + stats.filtered + stats.failed + stats.timed_out + stats.lost
    assert stats.taken == ends + stats.in_hand
    iterator.close()
    after = stage.stats()
    assert (after.taken, after.in_hand) == (after.emitted + after.lost, 0)


def test_promise_05_a_run_that_is_left_has_an_account_too() -> None:
    def slow(x: int) -> int:
        time.sleep(0.001)
        return x

    stage = pr.map(slow, range(N), workers=2)
    iterator = iter(stage)
    next(iterator)
    iterator.close()
    stats = stage.stats()
    assert stats.taken == stats.emitted + stats.lost
    assert stats.taken <= N


def test_promise_05_a_stage_that_has_not_run_has_counted_nothing() -> None:
    stats = th.map(abs, [1]).stats()
    assert (stats.name, stats.taken, stats.emitted) == ("map(abs)", 0, 0)
