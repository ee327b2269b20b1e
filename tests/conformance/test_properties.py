"""Pipelines do to their elements what plain Python does: random chains of operators, compared with a list."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any, NamedTuple

import hypothesis.strategies as st
import pytest
from hypothesis import HealthCheck, given, settings
from support.fronts import KINDS, short_name, start_method

import pypeln as pl


class Step(NamedTuple):
    """One operator with its function, and what it does to a list of (index, value)."""

    operator: str
    f: Callable[[Any], Any]


STEPS = [
    Step("map", lambda x: x + 1),
    Step("map", lambda x: x * 3 % 1000),
    Step("filter", lambda x: x % 2),
    Step("filter", lambda x: False),
    Step("filter", lambda x: x % 7 != 3),
    Step("flat_map", lambda x: range(x % 4)),
    Step("flat_map", lambda x: [x]),
    Step("flat_map", lambda x: ()),
    Step("flat_map", lambda x: (x, -x, x + 5)),
]

Indexed = list[tuple[tuple[int, ...], int]]

a_step = st.tuples(st.sampled_from(range(len(STEPS))), st.integers(1, 3), st.sampled_from([0, 0, 1, 2, 5]))
Chain = list[tuple[int, int, int]]

chains = st.lists(a_step, max_size=5)
sources = st.lists(st.integers(0, 1000), max_size=40)


def plainly(step: Step, elements: Indexed) -> Indexed:
    """What a step does."""
    if step.operator == "map":
        return [(index, step.f(x)) for index, x in elements]
    if step.operator == "filter":
        return [(index, x) for index, x in elements if step.f(x)]
    return [((*index, i), y) for index, x in elements for i, y in enumerate(step.f(x))]


def check(source: list[int], chain: Chain, kind_of: Callable[[int], Any]) -> None:
    """Build the chain, each step of the kind that `kind_of` says, and compare."""
    stage: Any = source
    expected: Indexed = [((i,), x) for i, x in enumerate(source)]
    for place, (which, workers, maxsize) in enumerate(chain):
        step = STEPS[which]
        call = getattr(kind_of(place), step.operator)
        stage = call(step.f, stage, workers=workers, maxsize=maxsize)
        expected = plainly(step, expected)
    last = kind_of(len(chain))
    assert Counter(last.to_iterable(stage)) == Counter(x for _, x in expected)
    assert list(last.to_iterable(last.ordered(stage), return_index=True)) == expected


@pytest.mark.parametrize("kind", KINDS[1:], ids=short_name)
@settings(max_examples=40)
@given(source=sources, chain=chains)
def test_chains_of_one_kind(kind: Any, source: list[int], chain: Chain) -> None:
    check(source, chain, lambda place: kind)


@settings(max_examples=12)
@given(source=sources, chain=st.lists(a_step, max_size=3))
def test_chains_of_processes(source: list[int], chain: Chain) -> None:
    with start_method("fork"):
        check(source, chain, lambda place: pl.pr)


@settings(max_examples=20, suppress_health_check=[HealthCheck.too_slow])
@given(source=sources, chain=chains, kinds=st.lists(st.sampled_from(range(4)), min_size=6, max_size=6))
def test_chains_of_all_kinds(source: list[int], chain: Chain, kinds: list[int]) -> None:
    with start_method("fork"):
        check(source, chain, lambda place: KINDS[kinds[place]])


@settings(max_examples=30)
@given(
    parts=st.lists(st.tuples(sources, chains), min_size=1, max_size=3),
    kind=st.sampled_from(KINDS[1:]),
)
def test_concats_are_merged_by_index(parts: list[tuple[list[int], Chain]], kind: Any) -> None:
    """Of elements with the same index, those of earlier parts come first."""
    stages = []
    expected: list[tuple[tuple[int, ...], int, int]] = []
    for number, (source, chain) in enumerate(parts):
        stage: Any = source
        elements: Indexed = [((i,), x) for i, x in enumerate(source)]
        for which, workers, maxsize in chain:
            step = STEPS[which]
            stage = getattr(kind, step.operator)(step.f, stage, workers=workers, maxsize=maxsize)
            elements = plainly(step, elements)
        stages.append(stage)
        expected += [(index, number, x) for index, x in elements]
    found = list(kind.to_iterable(kind.ordered(kind.concat(stages)), return_index=True))
    assert found == [(index, x) for index, _, x in sorted(expected, key=lambda each: each[:2])]
