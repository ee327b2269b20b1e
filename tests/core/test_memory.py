"""Segments, ledgers, windows and rosters."""

from __future__ import annotations

import gc
import mmap
import os
import threading
from collections.abc import Callable

import pytest

from pypeln._core.memory import COUNTS, CorruptMemory, Ledger, Roster, RunAborted, Segment, Window


class TestSegment:
    def test_it_is_zeros_of_at_least_the_size_asked_for(self) -> None:
        segment = Segment(5000)
        assert segment.nbytes >= 5000
        with mmap.mmap(segment.fd, segment.nbytes, prot=mmap.PROT_READ) as view:
            assert view[:] == bytes(segment.nbytes)

    def test_another_holder_maps_the_same_memory(self) -> None:
        first = Segment(4096)
        second = Segment(4096, os.dup(first.fd))
        Ledger(1, first, 0).add(0, "taken", 5)
        assert Ledger(1, second, 0).counts(0)["taken"] == 5
        del first
        assert Ledger(1, second, 0).counts(0)["taken"] == 5

    def test_it_takes_over_the_descriptor_and_closes_it(self) -> None:
        segment = Segment(4096)
        fd = segment.fd
        os.fstat(fd)
        del segment
        with pytest.raises(OSError, match="Bad file descriptor"):
            os.fstat(fd)

    def test_a_descriptor_of_less_memory_is_refused(self) -> None:
        segment = Segment(4096)
        fd = os.dup(segment.fd)
        with pytest.raises(CorruptMemory, match="smaller than"):
            Segment(1 << 20, fd)
        os.close(fd)  # what was refused was not taken over

    def test_it_cannot_be_shrunk_under_its_holders(self) -> None:
        segment = Segment(8192)
        with pytest.raises(OSError, match="ermitted"):
            os.ftruncate(segment.fd, 4096)

    def test_children_that_are_executed_do_not_inherit_it(self) -> None:
        assert not os.get_inheritable(Segment(4096).fd)

    def test_an_impossible_size_is_a_memory_error(self) -> None:
        with pytest.raises((MemoryError, OSError)):
            Segment(1 << 62)

    def test_reserving_commits_pages(self) -> None:
        segment = Segment(1 << 20)
        segment.reserve(0, 1 << 20)
        assert os.fstat(segment.fd).st_blocks * 512 >= 1 << 20


@pytest.fixture(params=["heap", "segment"])
def place(request: pytest.FixtureRequest) -> Segment | None:
    return None if request.param == "heap" else Segment(1 << 16)


class TestLedger:
    def test_every_count_starts_at_zero_and_is_its_own(self, place: Segment | None) -> None:
        ledger = Ledger(3, place)
        assert ledger.counts(1) == dict.fromkeys(COUNTS, 0)
        for amount, name in enumerate(COUNTS, 1):
            ledger.add(1, name, amount)
            ledger.add(1, name)
        assert ledger.counts(1) == {name: amount + 1 for amount, name in enumerate(COUNTS, 1)}
        assert ledger.counts(0) == ledger.counts(2) == dict.fromkeys(COUNTS, 0)

    def test_a_count_that_there_is_not_is_refused(self) -> None:
        with pytest.raises(KeyError):
            Ledger(1).add(0, "bogus")

    @pytest.mark.parametrize("worker", [-1, 2, 1 << 40])
    def test_a_worker_that_there_is_not_is_refused(self, place: Segment | None, worker: int) -> None:
        ledger = Ledger(2, place)
        for call in (ledger.counts, ledger.state, ledger.busy_s, ledger.has_element):
            with pytest.raises(IndexError):
                call(worker)

    def test_states(self, place: Segment | None) -> None:
        ledger = Ledger(2, place)
        assert ledger.state(1) == 0
        ledger.set_state(1, 3)
        assert (ledger.state(0), ledger.state(1)) == (0, 3)

    def test_a_worker_without_an_element_is_not_busy(self, place: Segment | None) -> None:
        ledger = Ledger(1, place)
        assert ledger.busy_s(0) == 0.0
        assert ledger.started_ns(0) == 0
        assert not ledger.has_element(0)

    def test_it_may_not_reach_beyond_its_segment(self) -> None:
        with pytest.raises(CorruptMemory):
            Ledger(1000, Segment(4096))
        with pytest.raises(CorruptMemory):
            Ledger(1, Segment(4096), 4096)

    def test_a_ledger_of_nobody_is_possible(self) -> None:
        with pytest.raises(IndexError):
            Ledger(0).counts(0)


class TestWindow:
    def test_it_admits_as_far_as_its_span_and_its_floor(self, place: Segment | None) -> None:
        window = Window(10, place)
        assert [position for position in range(20) if window.admit(position)] == list(range(10))
        window.advance(5, False)
        assert [position for position in range(20) if window.admit(position)] == list(range(15))

    def test_under_pressure_it_admits_only_what_is_waited_for(self, place: Segment | None) -> None:
        window = Window(10, place)
        window.advance(5, True)
        assert window.admit(5)
        assert not window.admit(15)
        window.advance(6, False)
        assert window.admit(15)

    def test_whoever_waits_goes_on_when_it_moves(self, place: Segment | None) -> None:
        window = Window(1, place)
        passed: list[int] = []

        def wait() -> None:
            for position in range(50):
                window.wait(position)
                passed.append(position)

        thread = threading.Thread(target=wait)
        thread.start()
        for floor in range(50):
            window.advance(floor, False)
        thread.join()
        assert passed == list(range(50))

    def test_abort_wakes_whoever_waits(self, place: Segment | None) -> None:
        window = Window(1, place)
        caught: list[bool] = []

        def wait() -> None:
            try:
                window.wait(100)
            except RunAborted:
                caught.append(True)

        thread = threading.Thread(target=wait)
        thread.start()
        window.abort()
        thread.join()
        assert caught == [True]
        with pytest.raises(RunAborted):
            window.wait(100)

    def test_another_process_opens_the_same_window(self) -> None:
        segment = Segment(4096)
        made, opened = Window(10, segment), Window(None, segment)
        made.advance(7, False)
        assert opened.admit(16)
        assert not opened.admit(17)

    def test_it_may_not_reach_beyond_its_segment(self) -> None:
        with pytest.raises(CorruptMemory):
            Window(10, Segment(4096), 4096)


class TestRoster:
    def test_places_are_taken_left_and_taken_again(self) -> None:
        roster = Roster(3, Segment(4096), 0)
        assert [roster.join(word) for word in (11, 12, 13, 14)] == [0, 1, 2, -1]
        assert roster.present() == [(0, 11), (1, 12), (2, 13)]
        assert roster.leave(1, 12)
        assert not roster.leave(1, 12)
        assert not roster.leave(0, 99)
        assert roster.present() == [(0, 11), (2, 13)]
        assert roster.join(15) == 1

    def test_it_may_not_reach_beyond_its_segment(self) -> None:
        with pytest.raises(CorruptMemory):
            Roster(1000, Segment(4096), 0)


@pytest.mark.parametrize(
    "make", [lambda it: Ledger(1, it, 0), lambda it: Window(4, it, 128)], ids=["ledger", "window"]
)
def test_the_collector_may_clear_the_segment_before_what_lies_in_it(
    make: Callable[[Segment], object],
) -> None:
    """In a cycle the reference to the segment goes first: what lies there is not to be freed as heap."""

    class Cycle:
        pass

    for _ in range(100):
        cycle = Cycle()
        cycle.itself, cycle.part = cycle, make(Segment(4096))  # type: ignore[attr-defined]
        del cycle
    gc.collect()
