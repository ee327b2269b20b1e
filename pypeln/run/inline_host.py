"""Executes sync stages in the consumer's own thread: whole pipelines of them, and those at a pipeline's end.

Everything is pulled: an element is computed when the consumer asks for it. A linear chain of stages is one
loop, so that its length is no matter. Where a stage has several consumers, what one has seen and another has
not is kept.

Sync stages keep the order of elements. So `ordered` has nothing left to do when every concat upstream of it
takes the element with the lowest index first. That it can do so without reading one path to its end, dropped
elements leave a mark there, which says how far the path is.
"""

from __future__ import annotations

import heapq
import itertools
import time
from collections.abc import Callable, Generator, Iterable, Iterator
from operator import attrgetter
from typing import Any, Final, Protocol

from pypeln.element import Element
from pypeln.run.callbacks import Injection, WorkerInfo, finish, prepare
from pypeln.run.notes import note_place
from pypeln.run.numbering import close_generator, numbered
from pypeln.run.plan import Edge, Emission, Plan, PlannedStage
from pypeln.run.policy import Answer, Outcome, Recovery
from pypeln.run.stats import RunStats, StageCounters, counted

Elements = Iterator[Element]
by_index = attrgetter("index")

_DROPPED: Final = object()  # value of a mark: no element, but its path has come as far as its index
_TIMED_OUT: Final = object()
_CONSUMER: Final = WorkerInfo(0)


class TimeLimit(Protocol):
    """A context that raises TimeoutError in this thread when its body takes too long."""

    @property
    def expired(self) -> bool:
        """Whether it did so; a TimeoutError may as well be one of `f`."""

    def __enter__(self) -> Any: ...
    def __exit__(self, *error: Any) -> Any: ...


Deadline = Callable[[float], TimeLimit]


def execute(plan: Plan, deadline: Deadline) -> Generator[Element, None, None]:
    """The elements of a plan of sync stages only.

    Args:
        plan: Its stages are all of kind SYNC.
        deadline: Makes the time limit of so many seconds for a call of `f`.

    Returns:
        A generator. Its end, an early one too, closes the generators that are sources.
    """
    pipes = _Pipes(plan, deadline)
    try:
        for element in pipes.sink():
            if element.value is not _DROPPED:
                yield element
    finally:
        pipes.close()
        plan.stats.freeze()


def execute_trailing(
    stages: list[PlannedStage], elements: Iterable[Element], deadline: Deadline, stats: RunStats
) -> Generator[Element, None, None]:
    """What a chain of sync stages makes of the elements that come out of a run.

    Args:
        stages: In order.
        elements: Their input; closed at the end when it is a generator.
        deadline: As for `execute`.
        stats: Where they count.
    """
    chain = _run_chain(stages, iter(elements), deadline, False, stats)
    try:
        yield from chain
    finally:
        chain.close()
        close_generator(elements)


class _Chain:
    """Stages in a row, each the only consumer of the one before, and what the first takes from."""

    def __init__(self, upstream: Elements) -> None:
        self.upstream = upstream
        self.stages: list[PlannedStage] = []


class _Pipes:
    """The generators of one execution, from the sources to the sink."""

    def __init__(self, plan: Plan, deadline: Deadline) -> None:
        self._deadline = deadline
        self._stats = plan.stats
        self._generators: list[Generator[Element, None, None]] = []  # sources first
        self._marks = any(edge.ends and len(edge.producers) > 1 for edge in plan.edges)
        # By edge and producer: a stage that is joined with others has its place among them.
        self._arriving: dict[tuple[int, int], list[_Chain]] = {}
        for stage in plan.stages:
            if stage.inlet is None:
                chain = _Chain(self._own(_numbered_from(stage, plan.stats)))
            else:
                chain = self._joined(plan.edges[stage.inlet])
                chain.stages.append(stage)
            if len(stage.outlets) == 1:
                self._arriving[stage.outlets[0].edge, stage.id] = [chain]
            else:
                copies = itertools.tee(self._flow(chain), len(stage.outlets))
                for outlet, copy in zip(stage.outlets, copies, strict=True):
                    self._arriving.setdefault((outlet.edge, stage.id), []).append(_Chain(copy))
        self._last = self._joined(plan.edges[plan.sink])

    def sink(self) -> Elements:
        return self._flow(self._last)

    def close(self) -> None:
        """Ends what runs, the consumers first, so that nobody waits for an element while it is closed."""
        for generator in reversed(self._generators):
            generator.close()

    def _own(self, generator: Generator[Element, None, None]) -> Generator[Element, None, None]:
        self._generators.append(generator)
        return generator

    def _flow(self, chain: _Chain) -> Elements:
        if not chain.stages:
            return chain.upstream
        return self._own(_run_chain(chain.stages, chain.upstream, self._deadline, self._marks, self._stats))

    def _joined(self, edge: Edge) -> _Chain:
        """What the consumer of an edge takes from."""
        chains = [self._arriving[edge.id, producer].pop() for producer in edge.producers]
        if len(chains) == 1:
            return chains[0]
        flows = [self._flow(chain) for chain in chains]
        return _Chain(heapq.merge(*flows, key=by_index) if edge.ends else self._own(_in_turn(flows)))


def _in_turn(flows: list[Elements]) -> Generator[Element, None, None]:
    """One element of each, again and again, until all have ended."""
    while flows:
        for flow in tuple(flows):
            for element in flow:
                yield element
                break
            else:
                flows.remove(flow)


def _numbered_from(stage: PlannedStage, stats: RunStats) -> Generator[Element, None, None]:
    """The elements of a source; by index, when they are to be ordered."""
    elements = counted(numbered(stage.source), stats.counters(stage.id))
    try:
        for position, element in enumerate(elements):
            if stage.windowed and element.index != (position,):
                # Only an Element that the source itself brought has another index than its position. What
                # comes next in the order can then be anywhere among those that follow.
                yield from sorted([element, *elements], key=by_index)
                return
            yield element
    except Exception as error:
        note_place(error, stage.name)
        raise
    finally:
        elements.close()


def _run_chain(
    stages: list[PlannedStage], upstream: Elements, deadline: Deadline, marks: bool, stats: RunStats
) -> Generator[Element, None, None]:
    """Takes each element through all stages of a chain."""
    steps: list[_Step | _Passage] = [
        _Passage(stats.counters(stage.id))
        if stage.f is None
        else _Step(stage, deadline, marks, stats.counters(stage.id))
        for stage in stages
    ]
    # What still has elements that have to go on, and from which step: each flat_map on the way opens one
    # more.
    opened: list[tuple[Elements, int]] = [(upstream, 0)]
    try:
        while opened:
            element = next(opened[-1][0], None)
            if element is None:
                opened.pop()
                continue
            place = opened[-1][1]
            while place < len(steps) and element.value is not _DROPPED:
                step = steps[place]
                place += 1
                if isinstance(step, _Step) and step.expands:
                    opened.append((step.expand(element), place))
                    break
                element = step.apply(element)
            else:
                if marks or element.value is not _DROPPED:
                    yield element
        for step in steps:
            step.finish()
    finally:
        for elements, _ in reversed(opened[1:]):
            close_generator(elements)


class _Passage:
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


class _Step:
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
            yield Element(index, _DROPPED)
        out = 0
        for tries in itertools.count(1):
            problem: Exception | None = None
            # Children that an earlier try has sent on are not sent again.
            children = self._children_in_time(element)
            try:
                for number in itertools.count():
                    child = _TIMED_OUT
                    try:
                        child = next(children, _DROPPED)
                    except Exception as error:
                        problem = error
                    if child is _TIMED_OUT or child is _DROPPED:
                        break
                    if number >= out:
                        out += 1
                        self._counters.sent += 1
                        yield Element((*index, number), child)
            finally:
                children.close()
            if child is _DROPPED:
                self._counters.emitted += 1
                return
            with _Noting(self._stage, index):
                if self._tries_again(tries):
                    continue
                yield from self._children_given_up(element, problem, tries, out)
                return

    def _emitted(self, element: Element, result: Any) -> tuple[Outcome, Element]:
        """How an element ends for which `f` returned this, and what goes on."""
        dropped = Element(element.index, _DROPPED)
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
            return Element(element.index, _DROPPED)
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
                child = self._in_time(left_s, next, children, _DROPPED)
                left_s -= time.monotonic() - started
                if child is _DROPPED:
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
