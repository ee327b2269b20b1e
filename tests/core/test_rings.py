"""Rings and their ports: what each memory adds to what `conformance/test_queues.py` tests for all."""

from __future__ import annotations

import gc
import multiprocessing
import os
import pickle
import select
import threading
import weakref
from collections.abc import Callable
from typing import Any

import pytest
from support.notes import wait_until
from support.queues import shared_queue

from pypeln._core.arena import Arenas
from pypeln._core.local import LocalIn, LocalOut, LocalRing
from pypeln._core.memory import CorruptMemory, Ledger, RunAborted, Segment
from pypeln._core.queue import CLOSED, EMPTY, END
from pypeln._core.shared import SharedIn, SharedOut, SharedRing
from pypeln.transport.bells import Bell
from pypeln.transport.in_process import InProcessQueue

MIB = 1 << 20


def shared_ring(capacity: int, producers: int = 1, arena_bytes: int = MIB) -> SharedRing:
    nbytes = SharedRing.nbytes_for(capacity, producers)
    segment, arenas = Segment(nbytes), Arenas()
    ring = SharedRing(segment, 0, nbytes, arenas.create(arena_bytes), arenas)
    ring.create(capacity, producers)
    return ring


Pair = Callable[..., Any]


@pytest.fixture(params=["local", "shared"])
def make(request: pytest.FixtureRequest) -> Pair:
    """Makes a ring with one port at each end: (ring, out, in)."""

    def local(capacity: int) -> Any:
        ring = LocalRing(capacity, 1)
        return ring, LocalOut(ring, 1, 0), LocalIn(ring, 2)

    def shared(capacity: int) -> Any:
        ring = shared_ring(capacity)
        return ring, SharedOut(ring, 1, 0), SharedIn(ring, 2)

    return local if request.param == "local" else shared


def test_a_port_tells_where_the_element_came_from(make: Pair) -> None:
    _, out, inlet = make(4)
    out.put("a", (3, 1, 4), 15)
    out.put_end((9,), 2, 6)
    assert inlet.take() == "a"
    assert (inlet.index, inlet.lane) == ((3, 1, 4), 15)
    assert inlet.take() is END
    assert (inlet.index, inlet.lane, inlet.count) == ((9,), 2, 6)


def test_the_ring_counts_and_knows_its_capacity(make: Pair) -> None:
    ring, out, inlet = make(5)
    assert (ring.capacity, ring.count, ring.closed) == (5, 0, False)
    for n in range(3):
        out.put(n, (n,))
    assert ring.count == 3
    inlet.take()
    out.close()
    assert (ring.count, ring.closed) == (2, True)


def test_a_take_with_a_time_out_returns_empty(make: Pair) -> None:
    _, out, inlet = make(2)
    assert inlet.take(0.0) is EMPTY
    assert inlet.take(0.002) is EMPTY
    out.put(1, (0,))
    assert inlet.take(0.002) == 1
    out.close()
    assert inlet.take(0.002) is CLOSED


def test_end_marks_need_room_like_elements(make: Pair) -> None:
    _, out, inlet = make(1)
    assert out.put_end_nowait((0,), 0, 1)
    assert not out.put_end_nowait((1,), 0, 1)
    assert inlet.take_nowait() is END
    assert out.put_end_nowait((1,), 0, 1)


def test_a_port_is_an_iterator_over_the_values(make: Pair) -> None:
    _, out, inlet = make(10)
    for n in range(5):
        out.put(n, (n,))
    out.close()
    out.close()
    assert list(inlet) == [0, 1, 2, 3, 4]
    assert list(inlet) == []


@pytest.mark.parametrize("capacity", [1, 2, 3, 5, 8, 17])
def test_laps_and_laps(make: Pair, capacity: int) -> None:
    _, out, inlet = make(capacity)
    got, put = 0, 0
    for step in range(1, 400):
        for _ in range(step % (capacity + 1)):
            put += out.put_nowait(put, (put,))
        for _ in range((step * 7) % (capacity + 1)):
            value = inlet.take_nowait()
            if value is not EMPTY:
                assert (value, inlet.index) == (got, (got,))
                got += 1
    assert got > 100


@pytest.mark.parametrize("index", [(), (0,) * 17])
def test_an_impossible_index_is_refused_and_leaves_the_port_as_it_was(make: Pair, index: Any) -> None:
    _, out, inlet = make(2)
    with pytest.raises(ValueError, match="1 to 16 dimensions"):
        out.put("x", index)
    out.put("y", (0,))
    assert inlet.take() == "y"
    assert inlet.take_nowait() is EMPTY


@pytest.mark.parametrize("index", [(-1,), (0, 1 << 64), (1 << 70,)])
def test_numbers_that_no_index_has_are_refused(make: Pair, index: Any) -> None:
    _, out, inlet = make(2)
    with pytest.raises(OverflowError):
        out.put("x", index)
    assert inlet.take_nowait() is EMPTY


def test_abort_wakes_those_who_wait(make: Pair) -> None:
    ring, out, inlet = make(1)
    caught: list[str] = []

    def wait(call: Any, *args: Any) -> None:
        try:
            call(*args)
        except RunAborted:
            caught.append(call.__name__)

    full_ring, full_out, _ = make(1)
    full_out.put(0, (0,))
    threads = [
        threading.Thread(target=wait, args=(inlet.take,)),
        threading.Thread(target=wait, args=(full_out.put, 1, (1,))),
    ]
    for thread in threads:
        thread.start()
    ring.abort()
    full_ring.abort()
    for thread in threads:
        thread.join()
    assert sorted(caught) == ["put", "take"]
    with pytest.raises(RunAborted):
        out.put(1, (0,))
    with pytest.raises(RunAborted):
        inlet.take_nowait()


def test_a_disowned_port_touches_nothing(make: Pair) -> None:
    ring, out, inlet = make(2)
    out.put(1, (0,))
    inlet.disown()
    with pytest.raises(RunAborted):
        inlet.take()
    with pytest.raises(RunAborted):
        inlet.take(0.01)
    assert ring.count == 1


def test_close_for_closes_in_the_name_of_another(make: Pair) -> None:
    ring, out, inlet = make(2)
    out.put(1, (0,))
    ring.close_for(0)
    ring.close_for(0)
    assert inlet.take() == 1
    assert inlet.take() is CLOSED


@pytest.mark.parametrize("capacity", [0, -1])
def test_a_ring_without_slots_is_refused(capacity: int) -> None:
    with pytest.raises((ValueError, OverflowError)):
        LocalRing(capacity, 1)


@pytest.mark.parametrize("make_queue", [InProcessQueue, shared_queue], ids=["local", "shared"])
def test_bells_ring_for_those_who_asked(make_queue: Any) -> None:
    taking, putting = Bell(), Bell()
    queue = make_queue(1, 1, taking, putting)
    out, inlet = queue.outlet(1, 0), queue.inlet(2)

    def rung(bell: Bell) -> bool:
        return bool(select.select([bell.listen_fd], [], [], 0)[0])

    assert inlet.fileno() == taking.listen_fd
    assert out.fileno() == putting.listen_fd
    assert not inlet.arm()
    assert not rung(taking)
    out.put(1, (0,))
    assert rung(taking)
    assert inlet.arm()  # there is something: nobody has to ring
    assert not out.arm()
    assert not rung(putting)
    inlet.take()
    assert rung(putting)
    assert out.arm()
    queue.close()


class TestLocal:
    """References in slots."""

    def test_the_very_object_arrives(self) -> None:
        ring = LocalRing(2, 1)
        element = object()
        LocalOut(ring, 1, 0).put(element, (0,))
        assert LocalIn(ring, 2).take() is element

    def test_what_was_taken_is_the_takers_alone(self) -> None:
        class Element:
            pass

        ring = LocalRing(2, 1)
        out, inlet = LocalOut(ring, 1, 0), LocalIn(ring, 2)
        element = Element()
        watch = weakref.ref(element)
        out.put(element, (0, 1))
        del element
        assert watch() is not None
        inlet.take()
        assert watch() is None

    @pytest.mark.parametrize("aborted", [False, True])
    def test_a_dropped_ring_drops_its_elements(self, aborted: bool) -> None:
        class Element:
            pass

        ring = LocalRing(8, 1)
        out = LocalOut(ring, 1, 0)
        elements = [Element() for _ in range(5)]
        watches = [weakref.ref(element) for element in elements]
        for number, element in enumerate(elements):
            out.put(element, (number, 0, 0))
        if aborted:
            ring.abort()
        del elements, element, ring, out
        gc.collect()
        assert [watch() for watch in watches] == [None] * 5

    def test_an_element_that_found_no_room_is_dropped(self) -> None:
        class Element:
            pass

        ring = LocalRing(1, 1)
        out = LocalOut(ring, 1, 0)
        out.put(1, (0,))
        element = Element()
        watch = weakref.ref(element)
        assert not out.put_nowait(element, (1,))
        del element
        assert watch() is None


class TestShared:
    """Bytes in slots and blocks."""

    def test_big_elements_give_their_blocks_back(self) -> None:
        ring = shared_ring(4)
        out, inlet = SharedOut(ring, 1, 0), SharedIn(ring, 2)
        for lap in range(50):
            out.put(bytes([lap]) * 200_000, (lap, 1))
            assert ring.usage()["bytes"] >= 200_000
            assert inlet.take() == bytes([lap]) * 200_000
            assert inlet.index == (lap, 1)
        assert ring.usage()["blocks"] == 0

    def test_the_byte_budget_is_a_bound(self) -> None:
        ring = shared_ring(1000)
        out, inlet = SharedOut(ring, 1, 0), SharedIn(ring, 2)
        put = 0
        while out.put_nowait(bytes(100_000), (put,)):
            put += 1
        assert 1 <= put <= 11
        assert ring.count == put
        inlet.take()
        assert out.put_nowait(bytes(100_000), (put,))

    def test_a_put_waits_for_bytes_as_for_slots(self) -> None:
        ring = shared_ring(1000)
        out, inlet = SharedOut(ring, 1, 0), SharedIn(ring, 2)
        while out.put_nowait(bytes(100_000), (0,)):
            pass
        waiting = ring.count
        thread = threading.Thread(target=out.put, args=(b"x" * 100_000, (1,)))
        thread.start()
        for _ in range(waiting):
            assert inlet.take() == bytes(100_000)
        assert inlet.take() == b"x" * 100_000
        thread.join()

    def test_an_element_that_can_never_fit_is_refused(self) -> None:
        ring = shared_ring(2)
        out, inlet = SharedOut(ring, 1, 0), SharedIn(ring, 2)
        with pytest.raises(ValueError, match="larger than its queue may ever hold"):
            out.put(bytes(2 * MIB), (0,))
        out.put("fine", (0,))
        assert inlet.take() == "fine"
        assert ring.usage()["blocks"] == 0

    def test_what_cannot_be_pickled_leaves_the_port_as_it_was(self) -> None:
        ring = shared_ring(2)
        out, inlet = SharedOut(ring, 1, 0), SharedIn(ring, 2)
        for unpicklable in (threading.Lock(), [b"x" * 5000, lambda: 0]):
            # Which one depends on the Python.
            with pytest.raises((TypeError, AttributeError, pickle.PicklingError)):
                out.put(unpicklable, (0,))
        out.put("fine", (0,))
        assert inlet.take() == "fine"
        assert ring.usage()["blocks"] == 0

    def test_an_element_is_what_it_was_when_it_was_put(self) -> None:
        ring = shared_ring(2)
        out, inlet = SharedOut(ring, 1, 0), SharedIn(ring, 2)
        element = [1, 2]
        out.put(element, (0,))
        element.append(3)
        assert inlet.take() == [1, 2]

    def test_a_lease_holds_the_element_until_it_is_answered_for(self) -> None:
        ring, ledger = shared_ring(4), Ledger(1)
        out = SharedOut(ring, 1, 0)
        inlet = SharedIn(ring, 2, ledger, 0)
        out.put(b"x" * 100_000, (7,))
        assert inlet.take() == b"x" * 100_000
        assert ledger.has_element(0)
        assert ring.count == 0
        assert ring.usage()["blocks"] == 1
        inlet.done()
        assert not ledger.has_element(0)
        assert ring.usage()["blocks"] == 0

    def test_the_next_take_answers_for_the_one_before(self) -> None:
        ring, ledger = shared_ring(4), Ledger(1)
        out, inlet = SharedOut(ring, 1, 0), SharedIn(ring, 2, ledger, 0)
        out.put(b"x" * 100_000, (0,))
        out.put("b", (1,))
        inlet.take()
        assert inlet.take() == "b"
        assert ring.usage()["blocks"] == 0
        assert ledger.has_element(0)
        assert inlet.take_nowait() is EMPTY
        assert not ledger.has_element(0)

    def test_a_successor_finds_what_the_dead_had_in_hand(self) -> None:
        ring, ledger = shared_ring(4), Ledger(1)
        SharedOut(ring, 1, 0).put({"a": 1}, (4, 2))
        SharedIn(ring, 2, ledger, 0).take()
        successor = SharedIn(ring, 2, ledger, 0)
        assert successor.resume()
        assert successor.index == (4, 2)
        successor.done()
        assert not SharedIn(ring, 2, ledger, 0).resume()

    def test_other_processes_put_and_take(self) -> None:
        n, workers = 2000, 2
        there, back = shared_queue(8, 1), shared_queue(8, workers)

        def work(number: int) -> None:
            inlet, out = there.inlet(10 + number), back.outlet(10 + number, number)
            for value in inlet:
                out.put((value, os.getpid()), inlet.index)
            out.close()

        context = multiprocessing.get_context("fork")
        children = [context.Process(target=work, args=(i,)) for i in range(workers)]
        for child in children:
            child.start()
        feeder = threading.Thread(target=self._feed, args=(there, n))
        feeder.start()
        inlet = back.inlet(2)
        got = [(value, inlet.index) for value, pid in inlet if pid != os.getpid()]
        feeder.join()
        for child in children:
            child.join()
            child.close()
        assert sorted(got) == [(x, (x,)) for x in range(n)]

    @staticmethod
    def _feed(queue: Any, n: int) -> None:
        out = queue.outlet(1, 0)
        for x in range(n):
            out.put(x, (x,))
        out.close()

    def test_slots_of_a_dead_process_are_mended(self) -> None:
        """A child is killed while it waits in a put behind a full queue, and others go on."""
        queue = shared_queue(1, 2)
        out, inlet = queue.outlet(1, 0), queue.inlet(2)
        out.put("a", (0,))

        def put() -> None:
            queue.outlet(3, 1).put("never", (0,))

        child = multiprocessing.get_context("fork").Process(target=put)
        child.start()
        wait_until(lambda: _sleeps(child.pid), "the child waits")
        child.kill()
        child.join()
        child.close()
        queue.ring.mend(None, 0, 3)
        queue.ring.close_for(1)
        queue.ring.wake_all()
        out.close()
        assert list(inlet) == ["a"]

    def test_memory_that_is_no_ring_is_refused(self) -> None:
        arenas = Arenas()
        empty = SharedRing(Segment(1 << 16), 0, 1 << 16, arenas.create(MIB), arenas)
        with pytest.raises(CorruptMemory):
            SharedIn(empty, 1)
        with pytest.raises(CorruptMemory):
            SharedOut(empty, 1, 0)

    def test_a_ring_beyond_its_segment_is_refused(self) -> None:
        arenas = Arenas()
        with pytest.raises(CorruptMemory, match="beyond its segment"):
            SharedRing(Segment(4096), 4096, 128, arenas.create(MIB), arenas)


def _sleeps(pid: int | None) -> bool:
    with open(f"/proc/{pid}/stat", "rb") as file:
        return file.read().rpartition(b")")[2].split()[0] == b"S"
