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
from collections.abc import Generator, Iterable, Iterator
from operator import attrgetter

from pypeln.element import Element
from pypeln.run.inline_steps import DROPPED, BatchStep, Deadline, Passage, Step
from pypeln.run.notes import note_place
from pypeln.run.numbering import close_generator, numbered
from pypeln.run.plan import Edge, Plan, PlannedStage
from pypeln.run.stats import RunStats, counted

Elements = Iterator[Element]
by_index = attrgetter("index")


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
            if element.value is not DROPPED:
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
        # Besides joins, a last batch wants to know what place in the order it has.
        self._marks = any(edge.ends and len(edge.producers) > 1 for edge in plan.edges) or any(
            stage.operator.gathers and stage.inlet is not None and plan.edges[stage.inlet].ends
            for stage in plan.stages
        )
        # By edge and producer: a stage that is joined with others has its place among them.
        self._arriving: dict[tuple[int, int], list[_Chain]] = {}
        for stage in plan.stages:
            if stage.inlet is None:
                chain = _Chain(self._own(_numbered_from(stage, plan.stats, self._marks)))
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


def _numbered_from(stage: PlannedStage, stats: RunStats, marks: bool) -> Generator[Element, None, None]:
    """The elements of a source; by index, when they are to be ordered, with a mark of their end."""
    total = 0
    elements = counted(numbered(stage.source), stats.counters(stage.id))
    try:
        for position, element in enumerate(elements):
            if stage.windowed and element.index != (position,):
                # Only an Element that the source itself brought has another index than its position. What
                # comes next in the order can then be anywhere among those that follow.
                yield from sorted([element, *elements], key=by_index)
                return
            total += 1
            yield element
    except Exception as error:
        note_place(error, stage.name)
        raise
    finally:
        elements.close()
    if marks and stage.windowed:
        yield Element((total,), DROPPED)


def _run_chain(
    stages: list[PlannedStage], upstream: Elements, deadline: Deadline, marks: bool, stats: RunStats
) -> Generator[Element, None, None]:
    """Takes each element through all stages of a chain."""
    steps = [_step(stage, deadline, marks, stats) for stage in stages]
    # What still has elements that have to go on, and from which step: each flat_map on the way opens one
    # more, and so does a last batch.
    opened: list[tuple[Elements, int]] = [(upstream, 0)]
    gathering = ((place, step) for place, step in enumerate(steps, 1) if isinstance(step, BatchStep))
    end: int | None = None
    try:
        while True:
            if not opened:
                place, gatherer = next(gathering, (0, None))
                if gatherer is None:
                    break
                rest = gatherer.rest(end)
                if rest is None:
                    continue
                opened.append((iter((rest,)), place))
                end = None if end is None else end + 1
            element = next(opened[-1][0], None)
            if element is None:
                opened.pop()
                continue
            place = opened[-1][1]
            if place == 0:
                # The last thing that a source sends is a mark, but where it brought indices of its own.
                end = element.index[0] if element.value is DROPPED else None
            while place < len(steps) and element.value is not DROPPED:
                step = steps[place]
                place += 1
                if isinstance(step, Step) and step.expands:
                    opened.append((step.expand(element), place))
                    break
                element = step.apply(element)
            else:
                if marks or element.value is not DROPPED:
                    yield element
        if marks and end is not None:
            yield Element((end,), DROPPED)
        for step in steps:
            step.finish()
    finally:
        for elements, _ in reversed(opened[1:]):
            close_generator(elements)


def _step(
    stage: PlannedStage, deadline: Deadline, marks: bool, stats: RunStats
) -> Step | BatchStep | Passage:
    counters = stats.counters(stage.id)
    if stage.batching is not None:
        return BatchStep(stage, counters)
    if stage.f is None:
        return Passage(counters)
    return Step(stage, deadline, marks, counters)
