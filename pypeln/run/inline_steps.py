"""What an element goes through in one sync stage, with the consumer as its worker.

A step answers each element with another, or with a mark: no element, but its path has come as far as its
index.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Generator, Iterable, Iterator
from typing import Any, Final, Protocol

from pypeln.element import Element
from pypeln.run.batching import Batching
from pypeln.run.callbacks import Injection, WorkerInfo, finish, prepare
from pypeln.run.notes import note_place
from pypeln.run.numbering import close_generator
from pypeln.run.plan import Emission, PlannedStage
from pypeln.run.policy import Answer, Outcome, Recovery
from pypeln.run.stats import StageCounters

DROPPED: Final = object()  # value of a mark
_TIMED_OUT: Final = object()
_CONSUMER: Final = WorkerInfo(0)


class TimeLimit(Protocol):
    """A context that raises TimeoutError in this thread when its body takes too long."""

    @property
    def expired(self) -> bool:
        """Whether it did so; a TimeoutError may as well be one of `f`."""
        ...

    def __enter__(self) -> Any: ...
    def __exit__(self, kind: Any, error: Any, traceback: Any, /) -> Any: ...


Deadline = Callable[[float], TimeLimit]


class Passage:
    """A stage that has nothing to do but count: what it does to the order has been done already."""

    def __init__(self, counters: StageCounters) -> None:
        self._counters = counters

    def apply(self, element: Element) -> Element:
        self._counters.taken += 1
        self._counters.emitted += 1
        self._counters.sent += 1
        return element

    def finish(self) -> None:
        pass


class BatchStep:
    """A stage that gathers elements.

    Args:
        stage: The stage.
        counters: Where it counts.
    """

    def __init__(self, stage: PlannedStage, counters: StageCounters) -> None:
        assert stage.batching is not None
        self._stage = stage
        self._counters = counters
        self._batching = Batching(stage.batching, 1)

    def apply(self, element: Element) -> Element:
        """What goes on now that this element has arrived: the batch that is full with it, or a mark."""
        self._counters.taken += 1
        try:
            is_full = self._batching.add(element.value, element.index, 0)
        except Exception as error:
            self._counters.count(Outcome.FAILED)
            note_place(error, self._stage.name, element.index)
            raise
        return self._sent(element.index) if is_full else Element(element.index, DROPPED)

    def rest(self, end: int | None) -> Element | None:
        """Nothing more arrives: the last batch, if it was not full.

        Args:
            end: The position that its sources have come to, where an `ordered` follows.
        """
        place, _ = self._batching.close()
        if place is None:
            self._counters.filtered += self._batching.held
            return None
        return self._sent(place[0] if end is None else (end,))

    def finish(self) -> None:
        pass

    def _sent(self, index: tuple[int, ...]) -> Element:
        self._counters.emitted += self._batching.held
        self._counters.sent += 1
        return Element(index, self._batching.take())


class Step:
    """A stage that calls a function, with the consumer as its worker."""

    def __init__(self, stage: PlannedStage, deadline: Deadline, marks: bool, counters: StageCounters) -> None:
        assert stage.f is not None
        self._stage = stage
        self._f = stage.f
        self._deadline = deadline
        self._marks = marks
        self._counters = counters
        self._recovery = Recovery(stage)
        self._emission = stage.operator.emission
        self.expands = self._emission is Emission.EACH_OF_RESULT
        with _Noting(stage):
            self._injection: Injection = prepare(stage, _CONSUMER)

    def finish(self) -> None:
        with _Noting(self._stage):
            finish(self._stage, _CONSUMER, self._injection, lambda: 0)

    def apply(self, element: Element) -> Element:
        """What goes on instead of an element: another, the same, or a mark."""
        self._counters.taken += 1
        with _Noting(self._stage, element.index):
            for tries in itertools.count(1):
                try:
                    result = self._in_time(self._stage.timeout, self._call, element)
                    if result is not _TIMED_OUT:
                        outcome, sent = self._emitted(element, result)
                        self._counters.count(outcome)
                        return sent
                    problem = None
                except Exception as error:
                    problem = error
                if not self._tries_again(tries):
                    return self._given_up(element, problem, tries)
        raise AssertionError

    def expand(self, element: Element) -> Generator[Element, None, None]:
        """The elements that go on instead of one, as `f` makes them, with one timeout for all."""
        index = element.index
        self._counters.taken += 1
        if self._marks:
            yield Element(index, DROPPED)
        out = 0
        for tries in itertools.count(1):
            problem: Exception | None = None
            # Children that an earlier try has sent on are not sent again.
            children = self._children_in_time(element)
            child: Any = _TIMED_OUT
            try:
                for number in itertools.count():
                    child = _TIMED_OUT
                    try:
                        child = next(children, DROPPED)
                    except Exception as error:
                        problem = error
                    if child is _TIMED_OUT or child is DROPPED:
                        break
                    if number >= out:
                        out += 1
                        self._counters.sent += 1
                        yield Element((*index, number), child)
            finally:
                children.close()
            if child is DROPPED:
                self._counters.emitted += 1
                return
            with _Noting(self._stage, index):
                if self._tries_again(tries):
                    continue
                yield from self._children_given_up(element, problem, tries, out)
                return

    def _emitted(self, element: Element, result: Any) -> tuple[Outcome, Element]:
        """How an element ends for which `f` returned this, and what goes on."""
        dropped = Element(element.index, DROPPED)
        if self._emission is Emission.NOTHING:
            return Outcome.EMITTED, dropped
        if self._emission is Emission.INPUT_IF_RESULT:
            if not result:
                return Outcome.FILTERED, dropped
            result = element.value
        self._counters.sent += 1
        return Outcome.EMITTED, Element(element.index, result)

    def _tries_again(self, tries: int) -> bool:
        """Whether an element is tried again; its time has come when this returns."""
        if tries > self._recovery.retries:
            return False
        self._counters.retried += 1
        self._recovery.wait(tries)
        return True

    def _given_up(self, element: Element, problem: Exception | None, tries: int) -> Element:
        """What goes on instead of an element that failed for the last time, as the policy says."""
        answer, error = self._answer(problem)
        if answer is Answer.SKIP:
            return Element(element.index, DROPPED)
        if answer is Answer.COLLECT:
            self._counters.sent += 1
            return Element(element.index, self._recovery.failure(error, element.value, element.index, tries))
        result = self._recovery.replacement(error, element.value, element.index)
        return self._emitted(element, result)[1]

    def _children_given_up(
        self, element: Element, problem: Exception | None, tries: int, out: int
    ) -> Generator[Element, None, None]:
        """The same for a flat_map, after so many children."""
        answer, error = self._answer(problem)
        if answer is Answer.SKIP:
            return
        index = element.index
        if answer is Answer.COLLECT:
            rest: Iterable[Any] = [self._recovery.failure(error, element.value, index, tries)]
        else:
            rest = self._recovery.replacement(error, element.value, index)
        for number, child in enumerate(rest, out):
            self._counters.sent += 1
            yield Element((*index, number), child)

    def _answer(self, problem: Exception | None) -> tuple[Answer, BaseException]:
        """Counts the end of an element, and says what to do about it. None: it took too long."""
        outcome = Outcome.TIMED_OUT if problem is None else Outcome.FAILED
        self._counters.count(outcome)
        error = problem or self._recovery.error(outcome)
        answer = self._recovery.answer(outcome)
        if answer is Answer.RAISE:
            raise error
        return answer, error

    def _children_in_time(self, element: Element) -> Generator[Any, None, None]:
        """Each of what `f` returns, and `_TIMED_OUT` when that takes too long."""
        left_s = self._stage.timeout
        children: Any = None
        try:
            while True:
                started = time.monotonic()
                if children is None:
                    children = self._in_time(left_s, self._children, element)
                    if children is _TIMED_OUT:
                        yield _TIMED_OUT
                        return
                    left_s -= time.monotonic() - started
                    started = time.monotonic()
                child = self._in_time(left_s, next, children, DROPPED)
                left_s -= time.monotonic() - started
                if child is DROPPED:
                    return
                yield child
                if child is _TIMED_OUT:
                    return
        finally:
            close_generator(children)

    def _call(self, element: Element) -> Any:
        if self._injection.wants_index:
            return self._f(element.value, element_index=element.index, **self._injection.kwargs)
        return self._f(element.value, **self._injection.kwargs)

    def _children(self, element: Element) -> Iterator[Any]:
        return iter(self._call(element))

    def _in_time(self, seconds: float, call: Callable[..., Any], *args: Any) -> Any:
        """What a call returns, or `_TIMED_OUT`."""
        if not self._stage.timeout:
            return call(*args)
        limit = self._deadline(max(seconds, 0.0))
        try:
            with limit:
                return call(*args)
        except TimeoutError:
            if not limit.expired:
                raise
            return _TIMED_OUT


class _Noting:
    """Notes stage and element on the error that leaves its body."""

    __slots__ = ("_index", "_stage")

    def __init__(self, stage: PlannedStage, index: tuple[int, ...] | None = None) -> None:
        self._stage = stage
        self._index = index

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: Any, error: BaseException | None, traceback: Any) -> None:
        if error is not None:
            note_place(error, self._stage.name, self._index)
