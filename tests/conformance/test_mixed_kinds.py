"""Stages of all kinds in one pipeline."""

from __future__ import annotations

import itertools
import os
import threading
from typing import Any

import pytest
from support.fronts import KINDS, short_name

from pypeln import io, pr, sync, th

PAIRS = list(itertools.product(KINDS, repeat=2))


def pair_name(pair: tuple[Any, ...]) -> str:
    return "-".join(map(short_name, pair))


@pytest.mark.parametrize("maxsize", [0, 1])
@pytest.mark.parametrize("pair", PAIRS, ids=pair_name)
def test_every_kind_feeds_every_kind(pair: tuple[Any, Any], maxsize: int) -> None:
    first, second = pair
    stage = first.map(lambda x: x + 1, range(200), workers=2, maxsize=maxsize)
    stage = second.flat_map(lambda x: (x, -x), stage, workers=2, maxsize=maxsize)
    assert sorted(stage) == sorted([*range(1, 201), *range(-200, 0)])


@pytest.mark.parametrize("pair", PAIRS, ids=pair_name)
def test_order_goes_through_every_kind(pair: tuple[Any, Any]) -> None:
    first, second = pair
    stage = first.filter(lambda x: x % 3, range(300), workers=3)
    stage = second.flat_map(lambda x: [x] * (x % 4), stage, workers=3)
    expected = [x for x in range(300) if x % 3 for _ in range(x % 4)]
    assert list(first.ordered(stage)) == expected
    assert list(second.map(lambda x: -x, first.ordered(stage))) == [-x for x in expected]


@pytest.mark.parametrize("last", KINDS, ids=short_name)
def test_concat_of_all_kinds(last: Any) -> None:
    stages = [kind.map(lambda x, base=base: base + x, range(10)) for base, kind in enumerate(KINDS)]
    assert sorted(last.concat(stages)) == sorted(base + x for base in range(4) for x in range(10))


def test_each_stage_runs_where_it_says() -> None:
    def where(x: Any) -> Any:
        return [*x, (os.getpid(), threading.get_ident())]

    def start(x: int) -> Any:
        return where([])

    me = (os.getpid(), threading.get_ident())
    stage = range(20) | pr.map(start) | th.map(where) | io.map(where) | pr.map(where) | sync.map(where)
    for in_process, in_thread, in_loop, in_process_again, here in stage:
        assert in_process[0] != os.getpid()
        assert in_process_again[0] not in (os.getpid(), in_process[0])
        assert in_thread[0] == in_loop[0] == os.getpid()
        assert len({in_thread, in_loop, me}) == 3
        assert here == me


@pytest.mark.parametrize("pair", PAIRS, ids=pair_name)
def test_errors_come_through_every_kind(pair: tuple[Any, Any]) -> None:
    first, second = pair

    def fail(x: int) -> int:
        if x == 30:
            raise LookupError("thirty", x)
        return x

    stage = second.map(
        lambda x: x, first.map(fail, range(10_000), workers=2, maxsize=2), workers=2, maxsize=2
    )
    with pytest.raises(LookupError) as caught:
        list(stage)
    assert caught.value.args == ("thirty", 30)


def test_long_chains_of_all_kinds() -> None:
    stage: Any = range(50)
    for kind in [pr, th, io, sync, th, pr, io, th, io, pr, sync, io]:
        stage = kind.map(lambda x: x + 1, stage)
    assert list(pr.ordered(stage)) == list(range(12, 62))


def test_chains_of_a_hundred_threads_stages_and_more_tasks() -> None:
    for kind, length in ((th, 100), (io, 200), (sync, 1000)):
        stage: Any = range(10)
        for _ in range(length):
            stage = kind.map(lambda x: x + 1, stage)
        assert sorted(stage) == [length + x for x in range(10)]
