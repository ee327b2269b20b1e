"""The ends of rings for coroutines, against real rings with threads at the other end."""

from __future__ import annotations

import asyncio
import gc
import select
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from pypeln._core.queue import CLOSED, END
from pypeln.errors import RunAborted
from pypeln.transport.bells import Bell
from pypeln.transport.event_loop import CLOSED_ENTRY, ELEMENT, AsyncInPort, AsyncOutPort, Entry, listen
from pypeln.transport.in_process import InProcessQueue


@pytest.fixture
def bells() -> Iterator[tuple[Bell, Bell]]:
    pair = Bell(), Bell()
    yield pair
    for bell in pair:
        bell.close()


def in_thread(work: Any, *args: Any) -> threading.Thread:
    thread = threading.Thread(target=work, args=args)
    thread.start()
    return thread


async def drain(inlet: AsyncInPort) -> list[Entry]:
    got = []
    while (entry := await inlet.take()) is not CLOSED_ENTRY:
        got.append(entry)
    return got


@pytest.mark.parametrize("maxsize", [0, 1, 5])
@pytest.mark.parametrize("takers", [1, 4])
def test_coroutines_take_what_a_thread_puts(maxsize: int, takers: int, bells: tuple[Bell, Bell]) -> None:
    queue = InProcessQueue(maxsize, 1, consumer_bell=bells[0])
    out = queue.outlet(1, 0)

    def put() -> None:
        for number in range(2000):
            out.put(number, (number,), 3)
        out.put_end((7, 1), 2, 5)
        out.close()

    async def main() -> list[Entry]:
        inlet = AsyncInPort(queue.inlet(2))
        thread = in_thread(put)
        got = await asyncio.gather(*(drain(inlet) for _ in range(takers)))
        thread.join()
        return [entry for part in got for entry in part]

    got = asyncio.run(main())
    assert (None, (7, 1), 2, 5) in got
    assert sorted(e for e in got if e[3] == ELEMENT) == [(n, (n,), 3, ELEMENT) for n in range(2000)]


@pytest.mark.parametrize("maxsize", [0, 1, 5])
@pytest.mark.parametrize("putters", [1, 4])
def test_a_thread_takes_what_coroutines_put(maxsize: int, putters: int, bells: tuple[Bell, Bell]) -> None:
    queue = InProcessQueue(maxsize, 1, producer_bell=bells[0])
    port = queue.inlet(2)
    got: list[Any] = []

    def take() -> None:
        while (value := port.take()) is not CLOSED:
            got.append((value if value is not END else port.count, port.index, port.lane))

    async def put(outlet: AsyncOutPort, start: int) -> None:
        for number in range(start, 2000, putters):
            await outlet.put((number, (number,), 1, ELEMENT))

    async def main() -> None:
        outlet = AsyncOutPort(queue.outlet(1, 0))
        thread = in_thread(take)
        await asyncio.gather(*(put(outlet, start) for start in range(putters)))
        await outlet.put((None, (9,), 0, 4))
        outlet.close()
        await asyncio.to_thread(thread.join)

    asyncio.run(main())
    assert got[-1] == (4, (9,), 0)
    assert sorted(got[:-1]) == [(n, (n,), 1) for n in range(2000)]


def test_two_stages_that_put_into_one_ring_are_both_woken(bells: tuple[Bell, Bell]) -> None:
    """They share its bell, and a loop keeps one reader for a descriptor."""
    queue = InProcessQueue(1, 2, producer_bell=bells[0])
    port = queue.inlet(3)
    got: list[int] = []

    def take() -> None:
        while (value := port.take()) is not CLOSED:
            got.append(value)

    async def put(outlet: AsyncOutPort, numbers: range) -> None:
        for number in numbers:
            await outlet.put((number, (number,), 0, ELEMENT))
        outlet.close()

    async def main() -> None:
        outlets = [AsyncOutPort(queue.outlet(1 + n, n)) for n in range(2)]
        thread = in_thread(take)
        await asyncio.gather(*(put(outlet, range(n, 1000, 2)) for n, outlet in enumerate(outlets)))
        await asyncio.to_thread(thread.join)

    asyncio.run(main())
    assert sorted(got) == list(range(1000))


def test_abort_of_the_ring_reaches_coroutines_that_wait(bells: tuple[Bell, Bell]) -> None:
    empty = InProcessQueue(1, 1, consumer_bell=bells[0])
    full = InProcessQueue(1, 1, producer_bell=bells[1])

    async def main() -> None:
        inlet, outlet = AsyncInPort(empty.inlet(1)), AsyncOutPort(full.outlet(1, 0))
        assert outlet.put_nowait((0, (0,), 0, ELEMENT))
        waiting = [
            asyncio.create_task(inlet.take()),
            asyncio.create_task(inlet.take()),
            asyncio.create_task(outlet.put((1, (1,), 0, ELEMENT))),
        ]
        await asyncio.sleep(0.01)
        assert not any(task.done() for task in waiting)
        empty.abort()
        full.abort()
        answers = await asyncio.gather(*waiting, return_exceptions=True)
        assert [type(answer) for answer in answers] == [RunAborted] * 3

    asyncio.run(main())


def test_what_a_cancelled_taker_was_given_goes_to_the_next(bells: tuple[Bell, Bell]) -> None:
    queue = InProcessQueue(0, 1, consumer_bell=bells[0])
    out = queue.outlet(1, 0)

    async def main() -> None:
        inlet = AsyncInPort(queue.inlet(2))
        first, second = asyncio.create_task(inlet.take()), asyncio.create_task(inlet.take())
        await asyncio.sleep(0)
        out.put("a", (0,))
        inlet._serve()  # what the bell does
        first.cancel()
        assert (await second)[0] == "a"
        assert first.cancelled()

        third = asyncio.create_task(inlet.take())
        await asyncio.sleep(0)
        out.put("b", (1,))
        out.put("c", (2,))
        inlet._serve()
        third.cancel()
        await asyncio.sleep(0)
        assert [(await inlet.take())[0], (await inlet.take())[0]] == ["b", "c"]
        inlet.abort()

    asyncio.run(main())


def test_an_idle_port_does_not_keep_the_loop_busy(bells: tuple[Bell, Bell]) -> None:
    queue = InProcessQueue(0, 1, consumer_bell=bells[0])
    out = queue.outlet(1, 0)

    async def main() -> None:
        inlet = AsyncInPort(queue.inlet(2))
        taker = asyncio.create_task(inlet.take())
        await asyncio.sleep(0.01)
        out.put(1, (0,))
        await taker
        bells[0].ring()  # once more, though nobody waits
        await asyncio.sleep(0.01)
        assert select.select([bells[0].listen_fd], [], [], 0) == ([], [], [])
        inlet.abort()

    asyncio.run(main())


@pytest.mark.parametrize("how", ["drained", "aborted", "dropped"])
def test_no_reader_is_left_in_the_loop(how: str, bells: tuple[Bell, Bell]) -> None:
    queue = InProcessQueue(0, 1, consumer_bell=bells[0])
    out = queue.outlet(1, 0)
    loop = asyncio.new_event_loop()

    async def begin() -> tuple[AsyncInPort, asyncio.Task[Entry]]:
        inlet = AsyncInPort(queue.inlet(2))
        task = asyncio.create_task(inlet.take())
        await asyncio.sleep(0)
        return inlet, task

    inlet, task = loop.run_until_complete(begin())
    assert bells[0].listen_fd in loop._selector.get_map()  # type: ignore[attr-defined]
    if how == "drained":
        out.close()
        assert loop.run_until_complete(task) is CLOSED_ENTRY
    elif how == "aborted":
        inlet.abort()
        with pytest.raises(RunAborted):
            loop.run_until_complete(task)
    else:
        task._log_destroy_pending = False  # type: ignore[attr-defined]
        task.get_coro().close()  # type: ignore[union-attr]
    del task
    gc.collect()
    assert bells[0].listen_fd not in loop._selector.get_map()  # type: ignore[attr-defined]
    loop.close()


def test_listeners_of_one_bell_come_and_go(bells: tuple[Bell, Bell]) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        heard: list[str] = []

        def first() -> None:
            heard.append("first")

        def second() -> None:
            heard.append("second")

        one = listen(loop, bells[0].listen_fd, first)
        two = listen(loop, bells[0].listen_fd, second)
        bells[0].ring()
        await asyncio.sleep(0.01)
        assert heard == ["first", "second"]
        one.leave(first)
        bells[0].ring()
        await asyncio.sleep(0.01)
        assert heard == ["first", "second", "second"]
        two.leave(second)
        bells[0].ring()
        await asyncio.sleep(0.01)
        assert len(heard) == 3

    asyncio.run(main())


def test_who_waits_learns_of_the_end_from_who_found_it(bells: tuple[Bell, Bell]) -> None:
    """The one who takes the end stops listening for all: who waits for the bell must not be left behind."""
    queue = InProcessQueue(4, 1, *bells)
    inlet = AsyncInPort(queue.inlet(1))

    async def main() -> None:
        waiting = asyncio.ensure_future(inlet.take())
        await asyncio.sleep(0)  # it is in line now
        queue.ring.close_for(0)  # the bell has rung, and the loop has not come round to hear it
        assert inlet.take_nowait() is CLOSED_ENTRY
        assert await waiting is CLOSED_ENTRY

    asyncio.run(main())
