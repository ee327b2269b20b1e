"""When iteration ends, for whatever reason, all that the run has started is gone before control returns."""

from __future__ import annotations

import asyncio
import itertools
import os
import signal
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
from support.endings import DEADLY, DieAt, be_killed
from support.notes import settled
from support.process_table import children, thread_names

from pypeln import WorkerDied, io, pr, sync, th


def same(x: Any) -> Any:
    return x


async def same_async(x: Any) -> Any:
    await asyncio.sleep(0)
    return x


def everything(f: Callable[[int], Any], n: float) -> Any:
    """Threads, processes and an event loop, all with something to do."""
    source = itertools.takewhile(lambda x: x < n, itertools.count())
    stage = th.map(same, source, workers=2, maxsize=2)
    stage = pr.map(f, stage, workers=2, maxsize=2, timeout=60)
    return io.map(same_async, stage, workers=2, maxsize=2)


def fail_at(x: int) -> int:
    if x == DEADLY:
        raise LookupError("raised by f")
    return x


def interrupt_the_consumer(x: int) -> int:
    if x == DEADLY:
        os.kill(os.getppid(), signal.SIGINT)
    return x


def exhausted() -> None:
    elements = iter(everything(same, 100))
    assert sum(1 for _ in range(100) if next(elements) is not None) == 100
    with pytest.raises(StopIteration):
        next(elements)


def failed() -> None:
    elements = iter(everything(fail_at, float("inf")))
    with pytest.raises(LookupError):
        all(True for _ in elements)


def bereft() -> None:
    elements = iter(everything(DieAt(be_killed), float("inf")))
    with pytest.raises(WorkerDied):
        all(True for _ in elements)


def interrupted() -> None:
    elements = iter(everything(interrupt_the_consumer, float("inf")))
    with pytest.raises(KeyboardInterrupt):
        all(True for _ in elements)


def closed() -> None:
    elements = iter(everything(same, float("inf")))
    next(elements)
    elements.close()


def awaited() -> None:
    async def wait() -> None:
        assert len(await everything(same, 100)) == 100
        assert asyncio.all_tasks() == {asyncio.current_task()}
        assert children() == set()

    asyncio.run(wait())


def collected() -> None:
    elements = iter(everything(same, float("inf")))
    next(elements)
    del elements


REASONS = [exhausted, failed, bereft, interrupted, closed, awaited, collected]


@pytest.mark.parametrize("end", REASONS, ids=lambda end: end.__name__)
def test_promise_07_all_is_gone_when_control_returns(end: Callable[[], None], start_method: str) -> None:
    """At that moment and not soon after."""
    if start_method == "forkserver" and end is interrupted:
        pytest.skip("the parent of a worker is the fork server")
    before = thread_names()
    end()
    assert children() == set()
    assert thread_names() == before


def deaf(x: int) -> int:
    """Ends neither by itself nor when it is asked to."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    while x:
        try:
            time.sleep(1000)
        except BaseException:
            pass
    return x


def busy(x: int) -> int:
    while x:
        pass
    return x


async def asleep(x: int) -> int:
    if x:
        await asyncio.sleep(1000)
    return x


@pytest.mark.parametrize(
    ("front_end", "f"), [(pr, busy), (pr, deaf), (th, busy), (io, asleep)], ids=["pr", "pr deaf", "th", "io"]
)
def test_promise_07_a_worker_in_the_middle_of_f_is_gone_within_a_second(
    front_end: Any, f: Any, fork: None
) -> None:
    """The quickest of several, because a machine that is busy with other things is no fault of ours."""

    def leave() -> float:
        elements = front_end.map(f, range(10), workers=2, maxsize=1).to_iterable(maxsize=1)
        next(elements)
        began = time.monotonic()
        elements.close()
        assert children() == set()
        assert [name for name in thread_names() if "pypeln" in name] == []
        return time.monotonic() - began

    assert min(leave() for _ in range(2)) < 1


def test_promise_07_a_consumer_in_a_thread_joins_all_too(fork: None) -> None:
    """Without the help of the main thread, which alone sees signals."""
    left: list[Any] = []

    def consume() -> None:
        for end in (exhausted, failed, bereft, closed):
            end()
            left.append((children(), [name for name in thread_names() if "pypeln" in name]))

    thread = threading.Thread(target=consume)
    thread.start()
    thread.join()
    assert left == [(set(), [])] * 4


@pytest.mark.parametrize("front_end", [pr, th, io, sync], ids=lambda each: each.__name__)
def test_promise_07_an_iterator_that_has_ended_stays_so(front_end: Any, fork: None) -> None:
    elements = iter(front_end.map(same, range(3)))
    assert len(list(elements)) == 3
    for _ in range(3):
        with pytest.raises(StopIteration):
            next(elements)


def large(x: int) -> tuple[int, bytes]:
    return x, bytes(1 << 20)


def asleep_at_the_second(element: tuple[int, bytes]) -> int:
    if element[0] == 1:
        time.sleep(1000)
    return element[0]


PRODUCERS = {
    "th": lambda: th.map(large, itertools.count()),
    "io": lambda: io.map(large, itertools.count()),
    "pr": lambda: pr.map(large, itertools.count()),
    "th source": lambda: th.from_iterable(map(large, itertools.count())),
    "io source": lambda: io.from_iterable(map(large, itertools.count())),
}


@pytest.mark.parametrize("producer", PRODUCERS)
def test_promise_07_who_waits_for_large_elements_to_be_taken_is_gone_too(producer: str, fork: None) -> None:
    """A queue without a bound has room for thousands of elements, and takes few that are large."""
    before = thread_names()
    source = PRODUCERS[producer]()
    elements = pr.map(asleep_at_the_second, source).to_iterable(maxsize=1)
    next(elements)
    settled(lambda: source.stats().taken)  # until it waits
    elements.close()
    assert children() == set()
    assert thread_names() == before
