"""`IterableQueue` by itself: puts, takes, bounds and ends, between threads, processes and coroutines."""

from __future__ import annotations

import asyncio
import collections
import contextlib
import itertools
import multiprocessing
import os
import pickle
import queue as standard
import signal
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
from support.fronts import METHODS
from support.notes import wait_until

import pypeln as pl
from pypeln import io, pr, sync, th

KINDS = [th, pr, io]


class Threadsafe:
    """The calls that any thread may make, by the same names for every kind."""

    def __init__(self, kind: Any, *args: Any, **options: Any) -> None:
        self.queue = kind.IterableQueue(*args, **options)
        self.put: Callable[..., None] = getattr(self.queue, "put_threadsafe", self.queue.put)
        self.get: Callable[..., Any] = getattr(self.queue, "get_threadsafe", self.queue.get)


@pytest.fixture(params=KINDS, ids=["th", "pr", "io"])
def make(request: pytest.FixtureRequest) -> Callable[..., Threadsafe]:
    return lambda *args, **options: Threadsafe(request.param, *args, **options)


Make = Callable[..., Threadsafe]


def test_what_was_put_comes_out_in_order(make: Make) -> None:
    each = make()
    elements = [1, "two", None, (3, [4]), {"five": 6.0}, b"7" * 100_000]
    for element in elements:
        each.put(element)
    assert each.queue.qsize() == len(elements)
    assert [each.get() for _ in elements] == elements
    assert each.queue.qsize() == 0


def test_iteration_ends_after_what_was_put_before_the_close(make: Make) -> None:
    each = make()
    each.put(1)
    each.put(2)
    each.queue.close()
    assert not each.queue.is_done()
    assert list(each.queue) == [1, 2]
    assert each.queue.is_done()
    assert list(each.queue) == []


def test_a_closed_queue_takes_no_more(make: Make) -> None:
    each = make()
    each.queue.close()
    each.queue.close()
    with pytest.raises(ValueError, match="the queue is closed"):
        each.put(1)
    with pytest.raises(ValueError, match="the queue is closed"):
        each.queue.put_nowait(1)


def test_it_stays_open_until_every_source_has_closed(make: Make) -> None:
    each = make(total_sources=3)
    each.queue.close()
    each.queue.close()
    each.put("still open")
    each.queue.close()
    assert list(each.queue) == ["still open"]


@pytest.mark.parametrize("maxsize", [1, 2, 7])
def test_maxsize_is_exact(make: Make, maxsize: int) -> None:
    each = make(maxsize)
    for lap in range(3):
        for n in range(maxsize):
            each.queue.put_nowait((lap, n))
        with pytest.raises(standard.Full):
            each.queue.put_nowait("too many")
        with pytest.raises(standard.Full):
            each.put("too many", timeout=0.001)
        with pytest.raises(standard.Full):
            each.put("too many", block=False)
        assert each.queue.full() and not each.queue.empty()
        assert [each.get() for _ in range(maxsize)] == [(lap, n) for n in range(maxsize)]


def test_a_get_with_a_time_out_raises_empty(make: Make) -> None:
    each = make()
    for timeout in (0, 0.001, 0.25):  # the last one is longer than a look around
        with pytest.raises(standard.Empty):
            each.get(timeout=timeout)
    for look in (lambda: each.get(block=False), lambda: each.get(False, 5.0), each.queue.get_nowait):
        with pytest.raises(standard.Empty):
            look()
    each.put(1)
    each.put(2, True)
    each.put(3, False)
    assert not each.queue.empty() and not each.queue.full()
    assert (each.get(timeout=0), each.get(block=False), each.queue.get_nowait()) == (1, 2, 3)
    each.queue.close()
    with pytest.raises(standard.Empty):
        each.get()


def test_a_put_waits_for_room(make: Make) -> None:
    each = make(1)
    each.put(0)

    def put() -> None:
        for n in range(1, 50):
            each.put(n)
        each.queue.close()

    thread = threading.Thread(target=put)
    thread.start()
    assert list(each.queue) == list(range(50))
    thread.join()


def test_many_threads_at_both_ends_lose_and_double_nothing(make: Make) -> None:
    n, sources, sinks = 500, 3, 3
    each = make(5, total_sources=sources)
    got: list[list[Any]] = [[] for _ in range(sinks)]

    def put(number: int) -> None:
        for x in range(n):
            each.put((number, x))
        each.queue.close()

    threads = [threading.Thread(target=put, args=(i,)) for i in range(sources)]
    threads += [threading.Thread(target=lambda mine=mine: mine.extend(each.queue)) for mine in got]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(itertools.chain(*got)) == [(i, x) for i in range(sources) for x in range(n)]


def test_threads_that_go_through_many_queues_use_the_right_one(make: Make) -> None:
    """More of them than a thread keeps at hand."""
    many = [make() for _ in range(21)]

    def put(name: str) -> None:
        for n in range(30):
            for place, each in enumerate(many):
                each.put((name, place, n))

    threads = [threading.Thread(target=put, args=(name,)) for name in "ab"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for place, each in enumerate(many):
        each.queue.close()
        got = list(each.queue)
        assert sorted(got) == [(name, place, n) for name in "ab" for n in range(30)]
        assert [n for name, _, n in got if name == "a"] == list(range(30))


# Not in the test: CPython 3.13t frees no class once a thread was started, nor what its functions close over.
class PutsAtTheEnd:
    def __init__(self, each: Threadsafe) -> None:
        self.each = each

    def __del__(self) -> None:
        self.each.put("end")


def test_a_thread_puts_while_it_ends(make: Make) -> None:
    """What it keeps for itself goes in any order, its ports and whoever uses them then."""
    each = make()
    own = threading.local()

    def put() -> None:
        own.first = PutsAtTheEnd(each)
        each.put("middle")
        own.second = PutsAtTheEnd(each)

    for _ in range(20):
        thread = threading.Thread(target=put)
        thread.start()
        thread.join()
        del thread
    each.queue.close()
    assert sorted(each.queue) == ["end"] * 40 + ["middle"] * 20


def test_without_a_maxsize_a_program_may_put_all_before_it_takes(make: Make) -> None:
    each = make()
    n = 300_000
    for x in range(n):
        each.put(x)
    assert each.queue.qsize() == n
    each.queue.close()
    assert list(each.queue) == list(range(n))


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="there are no such timers here")
def test_a_signal_is_seen_in_a_fast_stream(make: Make) -> None:
    """`deque(queue)` runs no bytecode of its own."""
    each = make(100_000)
    over = threading.Event()

    class Rang(Exception):
        pass

    def ring(*_: Any) -> None:
        raise Rang

    def put() -> None:
        while not over.is_set():
            with contextlib.suppress(standard.Full):
                each.put(1, timeout=0.1)

    before = signal.signal(signal.SIGALRM, ring)
    thread = threading.Thread(target=put)
    thread.start()
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.2)
        with pytest.raises(Rang):
            collections.deque(each.queue, maxlen=0)
    finally:
        signal.signal(signal.SIGALRM, before)
        over.set()
        thread.join()


@pytest.mark.parametrize("name", ["maxsize", "total_sources"])
@pytest.mark.parametrize(
    ("value", "error"),
    [
        (-1, ValueError),
        (10**9, ValueError),
        (1 << 70, ValueError),
        (1.5, TypeError),
        ("3", TypeError),
        (True, TypeError),
        (None, TypeError),
    ],
)
def test_arguments_are_checked(make: Make, name: str, value: Any, error: type[Exception]) -> None:
    with pytest.raises(error, match=f"IterableQueue: {name} is"):
        make(**{name: value})


def test_a_queue_of_processes_refuses_more_than_it_can_hold() -> None:
    """Capped in silence, it would let a program wait for ever that puts all before it takes."""
    with pytest.raises(ValueError, match="maxsize is at most 1048576, not 1048577"):
        pr.IterableQueue(maxsize=(1 << 20) + 1)


def test_a_queue_without_sources_is_refused(make: Make) -> None:
    with pytest.raises(ValueError, match="total_sources is at least 1"):
        make(total_sources=0)


@pytest.mark.parametrize("kind", [th, pr])
def test_the_old_name_of_close(kind: Any) -> None:
    queue = kind.IterableQueue(total_sources=2)
    queue.worker_done()
    assert not queue.is_done()
    queue.worker_done()
    assert queue.is_done()


def test_the_old_names_of_close_for_tasks() -> None:
    queue: io.IterableQueue[int] = io.IterableQueue(total_sources=2)
    asyncio.run(queue.worker_done())
    assert not queue.is_done()
    queue.worker_done_nowait()
    assert queue.is_done()


def test_sync_has_the_queue_of_threads() -> None:
    assert sync.IterableQueue is th.IterableQueue
    assert pl.process.IterableQueue is pr.IterableQueue
    assert pl.task.IterableQueue is io.IterableQueue


def double_all(source: Any, sink: Any) -> None:
    for value in source:
        sink.put((value * 2, os.getpid()))
    sink.close()


class TestBetweenProcesses:
    @pytest.mark.parametrize("method", METHODS)
    def test_children_take_and_put(self, method: str) -> None:
        context = multiprocessing.get_context(method)
        there, back = pr.IterableQueue(maxsize=3), pr.IterableQueue(maxsize=3, total_sources=2)
        children = [context.Process(target=double_all, args=(there, back)) for _ in range(2)]
        for child in children:
            child.start()

        def feed() -> None:
            for x in range(40):
                there.put(x)
            there.close()

        feeder = threading.Thread(target=feed)
        feeder.start()
        got = list(back)
        feeder.join()
        for child in children:
            child.join()
            assert child.exitcode == 0
            child.close()
        assert sorted(value for value, _ in got) == [2 * x for x in range(40)]
        assert os.getpid() not in {pid for _, pid in got}

    def test_what_cannot_be_pickled_is_an_error_and_not_an_element(self) -> None:
        queue = pr.IterableQueue()
        for put in (queue.put, queue.put_nowait, lambda value: queue.put(value, timeout=1)):
            with pytest.raises(pl.EncodeError, match=r"cannot pickle.*th.IterableQueue"):
                put(threading.Lock())
        queue.put("fine")
        queue.close()
        assert list(queue) == ["fine"]

    def test_what_is_too_large_is_said_to_be_that(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("PYPELN_QUEUE_BYTES", str(1 << 20))
        queue = pr.IterableQueue()
        with pytest.raises(pl.EncodeError, match=r"cannot hold this element: .*PYPELN_QUEUE_BYTES") as error:
            queue.put(bytes(64 << 20))
        assert "pickle" not in str(error.value)
        queue.put("fine")
        queue.close()
        assert list(queue) == ["fine"]

    def test_a_put_that_waits_for_shared_memory_sleeps(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """There are places left, and no memory: trying again and again would take a core."""
        monkeypatch.setenv("PYPELN_QUEUE_BYTES", str(1 << 20))
        queue = pr.IterableQueue()
        with contextlib.suppress(standard.Full):
            while True:
                queue.put_nowait(b"x" * 100_000)
        before = time.process_time()
        with pytest.raises(standard.Full):
            queue.put(b"x" * 100_000, timeout=0.5)
        assert time.process_time() - before < 0.25
        # And it goes on when memory comes back.
        thread = threading.Thread(target=queue.put, args=(b"y" * 100_000,))
        thread.start()
        taken = [queue.get() for _ in range(queue.qsize())]
        thread.join()
        queue.close()
        taken.extend(queue)
        assert taken[-1] == b"y" * 100_000

    def test_it_cannot_travel_in_an_element(self) -> None:
        queue = pr.IterableQueue()
        with pytest.raises(RuntimeError, match="inheritance"):
            pickle.dumps(queue)

    def test_a_child_that_is_killed_in_a_put_holds_nobody_up(self) -> None:
        queue: Any = pr.IterableQueue(maxsize=1)
        queue.put("first")
        child = multiprocessing.get_context("fork").Process(target=queue.put, args=("never",))
        child.start()
        wait_until(lambda: _waits(child.pid), "the child waits for room")
        child.kill()
        child.join()
        child.close()
        assert queue.get() == "first"
        queue.put("second")
        queue.close()
        assert list(queue) == ["second"]

    def test_who_is_killed_after_a_get_takes_no_more_than_that(self) -> None:
        """Small elements share slots, and the rest of a slot is everybody's."""
        queue: Any = pr.IterableQueue()
        for n in range(20):
            queue.put(n)
        child = multiprocessing.get_context("fork").Process(target=_get_three_and_die, args=(queue,))
        child.start()
        child.join()
        child.close()
        queue.close()
        assert list(queue) == list(range(3, 20))

    def test_every_copy_of_a_forked_process_is_somebody_of_its_own(self) -> None:
        """A child that uses the queue is not taken for its parent, who has used it before."""
        queue = pr.IterableQueue()
        queue.put("parent")
        child = multiprocessing.get_context("fork").Process(target=queue.put, args=("child",))
        child.start()
        child.join()
        child.close()
        assert [queue.get(), queue.get()] == ["parent", "child"]


class TestInALoop:
    def test_coroutines_put_and_take(self) -> None:
        async def main() -> list[int]:
            queue = io.IterableQueue(maxsize=1)

            async def put() -> None:
                for x in range(100):
                    await queue.put(x)
                queue.close()

            putting = asyncio.create_task(put())
            got = [x async for x in queue]
            await putting
            with pytest.raises(standard.Empty):
                await queue.get()
            with pytest.raises(ValueError, match="closed"):
                await queue.put(1)
            return got

        assert asyncio.run(main()) == list(range(100))

    def test_many_coroutines_share_it(self) -> None:
        async def main() -> list[int]:
            queue = io.IterableQueue(maxsize=2, total_sources=3)

            async def put(start: int) -> None:
                for x in range(start, start + 100):
                    await queue.put(x)
                queue.close()

            async def take() -> list[int]:
                return [x async for x in queue]

            parts = await asyncio.gather(*(take() for _ in range(3)), *(put(s) for s in (0, 100, 200)))
            return sorted(itertools.chain(*parts[:3]))

        assert asyncio.run(main()) == list(range(300))

    def test_a_thread_puts_and_a_coroutine_takes(self) -> None:
        async def main() -> list[int]:
            queue = io.IterableQueue(maxsize=2)

            def put() -> None:
                for x in range(200):
                    queue.put_threadsafe(x)
                queue.close()

            thread = threading.Thread(target=put)
            thread.start()
            got = [x async for x in queue]
            thread.join()
            return got

        assert asyncio.run(main()) == list(range(200))

    def test_a_coroutine_puts_and_a_thread_takes(self) -> None:
        queue = io.IterableQueue(maxsize=2)
        got: list[int] = []
        thread = threading.Thread(target=lambda: got.extend(queue))
        thread.start()

        async def main() -> None:
            for x in range(200):
                await queue.put(x)
            queue.close()

        asyncio.run(main())
        thread.join()
        assert got == list(range(200))

    def test_closing_wakes_coroutines_that_wait(self) -> None:
        async def main() -> list[Any]:
            queue = io.IterableQueue()
            waiting = [asyncio.create_task(queue.get()) for _ in range(3)]
            await asyncio.sleep(0.01)
            threading.Thread(target=queue.close).start()
            return await asyncio.gather(*waiting, return_exceptions=True)

        assert [type(answer) for answer in asyncio.run(main())] == [standard.Empty] * 3


def _get_three_and_die(queue: Any) -> None:
    for _ in range(3):
        queue.get()
    os.kill(os.getpid(), signal.SIGKILL)


def _waits(pid: int | None) -> bool:
    """Whether a process sleeps in the kernel, in a wait for memory to change."""
    try:
        with open(f"/proc/{pid}/syscall") as file:
            return file.read().split()[0] in ("202", "98")  # futex on x86-64 and on 64-bit ARM
    except OSError:
        return False
