"""A Namespace that the workers of a stage share with each other and with the consumer."""

from __future__ import annotations

from typing import Any

import pypeln as pl
from pypeln import io, pr, sync, th


def test_workers_count_together(every_front: Any) -> None:
    total = every_front.Namespace(count=0, seen=[])

    def add(x: int) -> None:
        with total:
            total.count += x
            total.seen = [*total.seen, x]

    async def add_async(x: int) -> None:
        async with total:
            add_now(x)

    def add_now(x: int) -> None:
        total.count += x
        total.seen = [*total.seen, x]

    every_front.each(add_async if every_front is io else add, range(20), workers=3, run=True)
    assert total.count == sum(range(20))
    assert sorted(total.seen) == list(range(20))


def test_on_start_hands_it_out(front: Any) -> None:
    shared = front.Namespace(limit=3)
    stage = front.filter(lambda x, ns: x < ns.limit, range(10), on_start=lambda: {"ns": shared})
    assert sorted(stage) == [0, 1, 2]


def test_stages_of_all_kinds_share_one() -> None:
    shared = pr.Namespace(stages=())

    def note(name: str) -> Any:
        def f(x: int) -> int:
            with shared:
                shared.stages = (*shared.stages, name)
            return x

        return f

    assert list(
        range(3) | pr.map(note("pr")) | th.map(note("th")) | io.map(note("io")) | sync.map(note("sync"))
    )
    assert sorted(shared.stages) == sorted(["pr", "th", "io", "sync"] * 3)
    assert pl.process.Namespace is pr.Namespace
