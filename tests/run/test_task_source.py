"""What a task host takes its elements from."""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import AsyncIterator, Iterable, Iterator
from typing import Any

import pytest
from support.task_line import SOURCE_END, UNTRACKED, collect, failure, line, no_feeders, plus_one, values

from pypeln.element import Element
from pypeln.run import task_source
from pypeln.transport.event_loop import CLOSED_ENTRY, EMPTY_ENTRY


@pytest.mark.parametrize(
    "source",
    [[3, 1, 2], (3, 1), range(5), {4: 1}, {7}, "ab", b"ab", deque([1]), {1: 2}.items(), [], iter([1, 2])],
    ids=repr,
)
def test_everything_iterable_is_a_source(source: Any) -> None:
    expected = [3, 1, 2] if not isinstance(source, Iterable) else None
    if expected is None:
        expected = [1, 2] if type(source) is type(iter([])) else list(source)
    assert values(line(source, {"f": lambda x: x})) == expected


@pytest.mark.parametrize("kind", [list, iter], ids=["container", "iterator"])
def test_elements_keep_the_index_they_bring(kind: Any) -> None:
    source = kind([Element((5,), "a"), Element((2, 1), "b")])
    got = asyncio.run(collect(line(source, ends=True)))
    assert got == [("END", (0,), UNTRACKED), ("a", (5,)), ("b", (2, 1)), ("END", (2,), SOURCE_END)]


def test_an_index_that_is_none_is_refused() -> None:
    error, stage, _ = failure(line([Element((-1,), "a")]))
    assert type(error) is ValueError
    assert stage == "source"


def test_a_source_that_cannot_be_iterated_is_refused() -> None:
    error, _, _ = failure(line(3))
    assert type(error) is TypeError
    assert "int" in str(error)


def test_an_error_of_the_source_arrives_after_its_elements_were_taken() -> None:
    def source() -> Iterator[int]:
        yield 1
        raise LookupError("source")

    async def async_source() -> AsyncIterator[int]:
        yield 1
        raise LookupError("source")

    for each in (source, async_source):
        error, stage, _ = failure(line(each(), {"f": plus_one}))
        assert type(error) is LookupError
        assert stage == "source"
    assert no_feeders()


@pytest.mark.parametrize("is_async", [False, True])
@pytest.mark.parametrize("how", ["exhausted", "failed", "aborted", "cancelled"])
def test_a_generator_is_closed_however_the_run_ends(is_async: bool, how: str) -> None:
    closed = []

    def numbers() -> Iterator[int]:
        try:
            yield from range(5 if how == "exhausted" else 10**9)
        finally:
            closed.append(threading.current_thread() is threading.main_thread())

    async def async_numbers() -> AsyncIterator[int]:
        try:
            for number in range(5 if how == "exhausted" else 10**9):
                yield number
        finally:
            await asyncio.sleep(0)
            closed.append(True)

    async def f(x: int) -> int:
        await asyncio.sleep(0)
        if how == "failed" and x == 3:
            raise ValueError
        return x

    async def main() -> None:
        each = line(async_numbers() if is_async else numbers(), {"f": f, "workers": 3}, maxsize=3)
        if how in ("exhausted", "failed"):
            await collect(each)
            return
        task = asyncio.create_task(each.host.main())
        await each.sink.take()
        if how == "aborted":
            each.host.abort()
            await task
        else:
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
        assert closed

    asyncio.run(main())
    assert closed == [is_async]  # a plain generator in the thread that iterated it
    assert no_feeders()


@pytest.mark.parametrize("maxsize", [1, 3])
def test_no_more_is_taken_from_a_generator_than_the_queue_has_room_for(maxsize: int) -> None:
    pulled = 0

    def source() -> Iterator[int]:
        nonlocal pulled
        for number in range(50):
            pulled += 1
            yield number

    each = line(source(), maxsize=maxsize)

    async def main() -> None:
        task = asyncio.create_task(each.host.main())
        for taken in range(50):
            while (entry := each.sink.take_nowait()) is EMPTY_ENTRY:
                await asyncio.sleep(0.001)
            await asyncio.sleep(0.002)
            assert pulled <= taken + 1 + maxsize
            assert entry[0] == taken
        await task

    asyncio.run(main())


def test_a_slow_source_is_delivered_element_by_element() -> None:
    """The next element is made only after the one before has arrived."""
    arrived = threading.Semaphore(1)

    def source() -> Iterator[int]:
        for number in range(200):
            assert arrived.acquire(timeout=10)
            yield number

    each = line(source(), {"f": lambda x: (arrived.release(), x)[1]})
    assert values(each) == list(range(200))


def test_a_source_that_blocks_is_named_and_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(task_source, "JOIN_S", 0.2)
    blocks, release = threading.Event(), threading.Event()

    def source() -> Iterator[int]:
        yield 1
        blocks.set()
        release.wait(30)
        yield 2

    async def main() -> None:
        each = line(source(), {"f": plus_one})
        task = asyncio.create_task(each.host.main())
        await each.sink.take()
        await asyncio.to_thread(blocks.wait)
        each.host.abort()
        with pytest.warns(RuntimeWarning, match="'source source' did not return"):
            await task

    asyncio.run(main())
    release.set()
    for thread in threading.enumerate():
        if thread.name == "source source":
            thread.join(10)
    assert no_feeders()


def test_a_loop_that_is_dropped_lets_the_feeder_go() -> None:
    def source() -> Iterator[int]:
        while True:
            yield 1

    each = line(source(), {"f": plus_one}, maxsize=2)
    loop = asyncio.new_event_loop()
    task = loop.create_task(each.host.main())
    loop.run_until_complete(each.sink.take())
    for other in [task, *each.host._tasks]:
        other._log_destroy_pending = False  # type: ignore[attr-defined]
        other.get_coro().close()  # type: ignore[union-attr]
    loop.close()
    for thread in threading.enumerate():
        if thread.name == "source source":
            thread.join(10)
    assert no_feeders()


class NarrowWindow:
    """Lets a source be one position ahead of what it is told."""

    def __init__(self) -> None:
        self.floor = 0
        self.waits = 0
        self.changed: asyncio.Event | None = None

    def admit(self, position: int) -> bool:
        return position <= self.floor

    async def wait(self, position: int) -> None:
        self.waits += 1
        self.changed = asyncio.Event()
        while not self.admit(position):
            await self.changed.wait()
            self.changed.clear()


@pytest.mark.parametrize("kind", [list, iter], ids=["container", "iterator"])
def test_a_windowed_source_waits_for_its_window(kind: Any) -> None:
    each = line(kind(list(range(20))))
    window = each.run.windows[0] = NarrowWindow()

    async def main() -> None:
        task = asyncio.create_task(each.host.main())
        for number in range(20):
            assert (await each.sink.take())[0] == number
            await asyncio.sleep(0.001)
            assert each.sink.take_nowait() is (CLOSED_ENTRY if number == 19 else EMPTY_ENTRY)
            window.floor += 1
            if window.changed is not None:
                window.changed.set()
        await task

    asyncio.run(main())
    assert window.waits == 19
