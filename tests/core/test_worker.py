"""What an element goes through in a worker: take, call, put, count; and how sources are fed."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from support.notes import settled

from pypeln._core.feeder import SOURCE_END, UNTRACKED, feed
from pypeln._core.guard import Guard
from pypeln._core.local import LocalIn, LocalOut, LocalRing
from pypeln._core.memory import Ledger, RunAborted, Window
from pypeln._core.outlets import Outlets
from pypeln._core.queue import CLOSED, EMPTY, END
from pypeln._core.worker import Worker
from pypeln.element import Element
from pypeln.run.plan import Emission, Operator, PlannedStage, WorkerKind
from pypeln.run.policy import DEFAULT, Recovery

Sent = tuple[Any, tuple[int, ...], int]


class Unsendable(Exception):
    """What `Outlets` makes of an error of a put."""


def explain(error: Exception, index: tuple[int, ...]) -> Exception:
    return Unsendable(type(error).__name__, index)


class Bench:
    """One worker with a ring in front and some behind it."""

    def __init__(self, outlets: int = 1, ends: bool = False, lanes: tuple[int, ...] = ()) -> None:
        self.front = LocalRing(1000, 1)
        self.feed = LocalOut(self.front, 1, 0)
        self.behind = [LocalRing(1000, 1) for _ in range(outlets)]
        self.outlets = Outlets(
            [LocalOut(ring, 2, 0) for ring in self.behind],
            list(lanes) or [0] * outlets,
            [ends] * outlets,
            explain,
        )
        self.ledger = Ledger(1)
        self.worker: Worker | None = None

    def run(self, emission: Emission, f: Any, elements: list[Any], **options: Any) -> list[Sent]:
        """Put the elements, run the worker to its end; what came out of the first outlet."""
        for number, element in enumerate(elements):
            if isinstance(element, Element):
                self.feed.put(element.value, element.index)
            else:
                self.feed.put(element, (number,))
        self.feed.close()
        inlet = LocalIn(self.front, 2)
        kwargs, wants_index = options.pop("kwargs", {}), options.pop("wants_index", False)
        operator = Operator("operator", emission)
        stage = PlannedStage(
            0, "stage", WorkerKind.THREAD, operator, 1, 0, policy=options.pop("policy", DEFAULT)
        )
        self.worker = Worker(
            emission, f, kwargs, wants_index, inlet, self.outlets, self.ledger, 0, Recovery(stage), **options
        )
        self.worker.run()
        self.outlets.close()
        return self.sent()

    def sent(self, outlet: int = 0) -> list[Sent]:
        port = LocalIn(self.behind[outlet], 3)
        found: list[Sent] = []
        while (value := port.take_nowait()) not in (EMPTY, CLOSED):
            found.append((("end", port.count) if value is END else value, port.index, port.lane))
        return found

    def counts(self) -> dict[str, int]:
        return {name: count for name, count in self.ledger.counts(0).items() if count}


def test_map_sends_results() -> None:
    bench = Bench()
    assert bench.run(Emission.RESULT, lambda x: x * 2, [1, 2]) == [(2, (0,), 0), (4, (1,), 0)]
    assert bench.counts() == {"taken": 2, "emitted": 2, "sent": 2}


def test_filter_sends_elements() -> None:
    bench = Bench()
    assert bench.run(Emission.INPUT_IF_RESULT, lambda x: x > 1, [1, 2, 3]) == [(2, (1,), 0), (3, (2,), 0)]
    assert bench.counts() == {"taken": 3, "emitted": 2, "filtered": 1, "sent": 2}


def test_flat_map_sends_children_with_another_dimension() -> None:
    bench = Bench()
    sent = bench.run(Emission.EACH_OF_RESULT, range, [2, 0, Element((7, 8), 1)])
    assert sent == [(0, (0, 0), 0), (1, (0, 1), 0), (0, (7, 8, 0), 0)]
    assert bench.counts() == {"taken": 3, "emitted": 3, "sent": 3}


def test_each_sends_nothing() -> None:
    bench, seen = Bench(), list[int]()
    assert bench.run(Emission.NOTHING, seen.append, [1, 2]) == []
    assert seen == [1, 2]
    assert bench.counts() == {"taken": 2, "emitted": 2}


def test_concat_passes_on() -> None:
    bench = Bench()
    assert bench.run(Emission.INPUT, None, ["a", Element((4, 5), "b")]) == [("a", (0,), 0), ("b", (4, 5), 0)]
    assert bench.counts() == {"taken": 2, "emitted": 2, "sent": 2}


@pytest.mark.parametrize(
    ("emission", "f", "expected"),
    [
        (Emission.RESULT, lambda x: x, [(2, (0,), 0), (0, (1,), 0)]),
        (Emission.INPUT_IF_RESULT, bool, [(2, (0,), 0), (("end", 0), (1,), 0)]),
        (
            Emission.EACH_OF_RESULT,
            range,
            [(0, (0, 0), 0), (1, (0, 1), 0), (("end", 2), (0,), 0), (("end", 0), (1,), 0)],
        ),
        (Emission.NOTHING, lambda x: x, [(("end", 0), (0,), 0), (("end", 0), (1,), 0)]),
        (Emission.INPUT, None, [(2, (0,), 0), (0, (1,), 0)]),
    ],
    ids=["map", "filter", "flat_map", "each", "concat"],
)
def test_end_marks_say_what_will_not_come(emission: Emission, f: Any, expected: list[Sent]) -> None:
    assert Bench(ends=True).run(emission, f, [2, 0]) == expected


def test_end_marks_of_others_are_passed_on() -> None:
    bench = Bench(ends=True, lanes=(5,))
    bench.feed.put_end((3, 1), 2, 9)
    assert bench.run(Emission.RESULT, abs, []) == [(("end", 9), (3, 1), 7)]
    bench = Bench()
    bench.feed.put_end((3, 1), 2, 9)
    assert bench.run(Emission.RESULT, abs, []) == []


def test_every_outlet_gets_every_element_in_its_own_lane() -> None:
    bench = Bench(outlets=3, lanes=(0, 4, 9))
    assert bench.run(Emission.RESULT, abs, [-1]) == [(1, (0,), 0)]
    assert bench.sent(1) == [(1, (0,), 4)]
    assert bench.sent(2) == [(1, (0,), 9)]


def test_f_gets_what_is_injected() -> None:
    def f(x: int, base: int, element_index: tuple[int, ...]) -> Any:
        return x + base, element_index

    sent = Bench().run(Emission.RESULT, f, [1, Element((5, 6), 2)], kwargs={"base": 10}, wants_index=True)
    assert sent == [((11, (0,)), (0,), 0), ((12, (5, 6)), (5, 6), 0)]


def test_an_error_says_at_which_element_and_is_counted() -> None:
    bench = Bench()
    with pytest.raises(ZeroDivisionError):
        bench.run(Emission.RESULT, lambda x: 1 // x, [1, Element((6, 2), 0), 3])
    assert bench.worker is not None
    assert bench.worker.index == (6, 2)
    assert bench.counts() == {"taken": 2, "emitted": 1, "sent": 1, "failed": 1}
    assert bench.sent() == [(1, (0,), 0)]


def test_before_the_first_element_there_is_no_index() -> None:
    bench = Bench()
    bench.run(Emission.RESULT, abs, [])
    assert bench.worker is not None
    assert bench.worker.index is None


def test_a_result_that_is_no_iterable_is_an_error() -> None:
    with pytest.raises(TypeError, match="not iterable"):
        Bench().run(Emission.EACH_OF_RESULT, lambda x: 5, [1])


def test_children_of_16_dimensions_cannot_have_children() -> None:
    with pytest.raises(ValueError, match="more than 16 dimensions"):
        Bench().run(Emission.EACH_OF_RESULT, range, [Element((0,) * 16, 1)])


def test_a_generator_that_fails_is_closed_and_its_children_stay_out() -> None:
    closed: list[int] = []

    def f(x: int) -> Iterator[int]:
        try:
            yield x
            raise LookupError(x)
        finally:
            closed.append(x)

    bench = Bench()
    with pytest.raises(LookupError):
        bench.run(Emission.EACH_OF_RESULT, f, [7])
    assert closed == [7]
    assert bench.sent() == [(7, (0, 0), 0)]


def test_an_abort_while_it_waits_for_room_ends_the_worker_and_the_generator() -> None:
    bench = Bench()
    bench.behind[0] = ring = LocalRing(2, 1)
    bench.outlets = Outlets([LocalOut(ring, 2, 0)], [0], [False], explain)
    closed: list[bool] = []

    def f(x: int) -> Iterator[int]:
        try:
            yield from itertools.count()
        finally:
            closed.append(True)

    aborter = threading.Timer(0.01, ring.abort)
    aborter.start()
    with pytest.raises(RunAborted):
        bench.run(Emission.EACH_OF_RESULT, f, [0])
    aborter.join()
    assert closed == [True]


@pytest.mark.parametrize("emission", [Emission.RESULT, Emission.INPUT_IF_RESULT, Emission.EACH_OF_RESULT])
def test_an_interrupted_f_drops_its_element_and_the_next_goes_on(emission: Emission) -> None:
    guard = Guard()  # belongs to this thread, in which the worker runs
    started = threading.Event()

    def f(x: int) -> Any:
        if x:
            return [x] if emission is Emission.EACH_OF_RESULT else x
        started.set()
        while True:
            pass

    def fire() -> None:
        started.wait()
        guard.fire("timeout")

    thread = threading.Thread(target=fire)
    thread.start()
    bench = Bench(ends=True)
    sent = bench.run(emission, f, [1, 0, 2], guard=guard, timed=True)
    thread.join()
    assert (("end", 0), (1,), 0) in sent
    assert [value for value, _, _ in sent if type(value) is int] == [1, 2]
    counts = bench.counts()
    assert (counts["taken"], counts["emitted"], counts["timed_out"]) == (3, 2, 1)
    assert bench.ledger.started_ns(0) == 0


def test_an_interruption_for_another_reason_ends_the_worker() -> None:
    guard = Guard()
    started = threading.Event()

    def f(x: int) -> None:
        started.set()
        while True:
            pass

    def fire() -> None:
        started.wait()
        guard.fire("abort")

    thread = threading.Thread(target=fire)
    thread.start()
    with pytest.raises(RunAborted):
        Bench().run(Emission.RESULT, f, [1], guard=guard)
    thread.join()


def test_the_clock_runs_while_f_does() -> None:
    bench = Bench()
    during: list[float] = []
    bench.run(Emission.RESULT, lambda x: during.append(bench.ledger.started_ns(0)), [1], timed=True)
    assert during[0] > 0
    assert bench.ledger.started_ns(0) == 0


class TestFeed:
    def feed(self, bench: Bench, source: Any, windows: list[Window] | None = None) -> list[Sent]:
        feed(iter(source), bench.outlets, windows or [], bench.ledger, 0, Element, Guard())
        return bench.sent()

    def test_elements_are_numbered(self) -> None:
        bench = Bench()
        assert self.feed(bench, "ab") == [("a", (0,), 0), ("b", (1,), 0)]
        assert bench.counts() == {"taken": 2, "emitted": 2, "sent": 2}

    def test_the_number_of_elements_is_said_at_the_end(self) -> None:
        sent = self.feed(Bench(ends=True), "ab")
        assert sent == [("a", (0,), 0), ("b", (1,), 0), (("end", SOURCE_END), (2,), 0)]

    def test_elements_that_bring_their_index_keep_it(self) -> None:
        sent = self.feed(Bench(ends=True), ["a", Element((5, 1), "b"), Element((3,), "c"), "d"])
        assert sent == [
            ("a", (0,), 0),
            (("end", UNTRACKED), (0,), 0),
            ("b", (5, 1), 0),
            ("c", (3,), 0),
            ("d", (3,), 0),
            (("end", SOURCE_END), (4,), 0),
        ]

    def test_an_error_of_the_source_is_its_own(self) -> None:
        def source() -> Iterator[int]:
            yield 1
            raise OSError("gone")

        bench = Bench()
        with pytest.raises(OSError, match="gone"):
            self.feed(bench, source())
        assert bench.sent() == [(1, (0,), 0)]

    def test_it_waits_for_its_windows(self) -> None:
        window = Window(3)
        given: list[int] = []
        given_before: list[int] = []

        def source() -> Iterator[int]:
            for x in range(6):
                given.append(x)
                if x == 2:  # the last one that the window admits
                    mover.start()
                yield x

        def move() -> None:
            given_before.extend(settled(lambda: list(given), quiet_s=0.02))
            window.advance(6, False)

        mover = threading.Thread(target=move)
        assert len(self.feed(Bench(), source(), [window])) == 6
        mover.join()
        assert given_before == [0, 1, 2]

    def test_an_aborted_window_ends_it(self) -> None:
        window = Window(1)
        window.abort()
        with pytest.raises(RunAborted):
            self.feed(Bench(), range(5), [window])
