"""Putting elements in order while they stream."""

from __future__ import annotations

import random
from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis import given, settings

from pypeln.run.reorder import Index, Reorder


def values(released: Any) -> list[Any]:
    return [value for _, _, value in released]


# A leaf is an element that arrives, a list is one that a flat_map has replaced by its children.
trees = st.lists(
    st.recursive(st.just("leaf"), lambda inner: st.lists(inner, max_size=4), max_leaves=12), max_size=8
)


def arrivals(tree: Any, index: Index = ()) -> tuple[list[Index], list[tuple[Index, int]]]:
    """The elements and END marks that a tree of elements makes."""
    elements: list[Index] = []
    ends: list[tuple[Index, int]] = []
    for number, child in enumerate(tree):
        if child == "leaf":
            elements.append((*index, number))
        else:
            ends.append(((*index, number), len(child)))
            more_elements, more_ends = arrivals(child, (*index, number))
            elements += more_elements
            ends += more_ends
    return elements, ends


@settings(max_examples=300)
@given(lanes=st.lists(trees, min_size=1, max_size=3), seed=st.integers(0, 1 << 30))
def test_whatever_the_order_of_arrival_all_is_released_in_order(lanes: list[Any], seed: int) -> None:
    """And before the end: when everything has arrived nothing is held any more."""
    reorder = Reorder(len(lanes))
    events: list[tuple[Any, ...]] = []
    expected: list[tuple[Index, int]] = []
    for lane, tree in enumerate(lanes):
        elements, ends = arrivals(tree)
        expected += [(index, lane) for index in elements]
        events += [("push", index, lane) for index in elements]
        events += [("end", index, lane, count) for index, count in ends]
        events.append(("close_lane", lane, len(tree)))
    random.Random(seed).shuffle(events)
    released: list[tuple[Index, int]] = []
    arrived = 0
    for kind, *arguments in events:
        if kind == "push":
            index, lane = arguments
            arrived += 1
            out = reorder.push(index, lane, (index, lane))
        elif kind == "end":
            out = reorder.end(*arguments)
        else:
            out = reorder.close_lane(*arguments)
        released += [value for _, _, value in out]
        assert reorder.held == arrived - len(released)
    assert released == sorted(expected)
    assert reorder.held == 0
    assert list(reorder.close()) == []


def releasable(index: Index, arrived: set[Index], ended: dict[Index, int], out: list[Index]) -> bool:
    """Adds to `out` what of the subtree at an index can be released; whether that is all of it."""
    if index in arrived:
        out.append(index)
        return True
    if index in ended:
        return all(releasable((*index, child), arrived, ended, out) for child in range(ended[index]))
    if any(other[: len(index)] == index for other in (*arrived, *ended)):
        child = 0
        while releasable((*index, child), arrived, ended, out):
            child += 1
    return False


@settings(max_examples=100)
@given(tree=trees, seed=st.integers(0, 1 << 30))
def test_what_is_next_is_released_at_once_and_nothing_else(tree: Any, seed: int) -> None:
    elements, ends = arrivals(tree)
    events: list[tuple[Index, int | None]] = [*((index, None) for index in elements), *ends]
    random.Random(seed).shuffle(events)
    reorder = Reorder(1)
    released: list[Index] = []
    arrived: set[Index] = set()
    ended: dict[Index, int] = {}
    for index, count in events:
        if count is None:
            arrived.add(index)
            released += [at for at, _, _ in reorder.push(index, 0, None)]
        else:
            ended[index] = count
            released += [at for at, _, _ in reorder.end(index, 0, count)]
        expected: list[Index] = []
        position = 0
        while releasable((position,), arrived, ended, expected):
            position += 1
        assert released == expected
    assert released == elements


def test_an_element_that_is_next_goes_straight_through() -> None:
    reorder = Reorder(1)
    for n in range(5):
        assert list(reorder.push((n,), 0, n)) == [((n,), 0, n)]
        assert reorder.held == 0
    assert reorder.floor(0) == 5


def test_an_early_element_waits() -> None:
    reorder = Reorder(1)
    assert list(reorder.push((2,), 0, "c")) == []
    assert list(reorder.push((1,), 0, "b")) == []
    assert (reorder.held, reorder.floor(0)) == (2, 0)
    assert values(reorder.push((0,), 0, "a")) == ["a", "b", "c"]
    assert (reorder.held, reorder.floor(0)) == (0, 3)


def test_a_dropped_element_is_not_waited_for() -> None:
    reorder = Reorder(1)
    assert list(reorder.push((1,), 0, "b")) == []
    assert values(reorder.end((0,), 0, 0)) == ["b"]


def test_children_stream_before_their_number_is_known() -> None:
    reorder = Reorder(1)
    assert values(reorder.push((0, 0), 0, "a")) == ["a"]
    assert values(reorder.push((0, 1), 0, "b")) == ["b"]
    assert values(reorder.push((1,), 0, "c")) == []
    assert values(reorder.end((0,), 0, 2)) == ["c"]


def test_a_mark_that_comes_twice_is_ignored() -> None:
    """A worker that died between sending a mark and saying so is replaced, and the mark sent again."""
    reorder = Reorder(1)
    assert values(reorder.end((0,), 0, 0)) == []
    assert values(reorder.end((0,), 0, 0)) == []
    assert values(reorder.push((1,), 0, "b")) == ["b"]
    assert values(reorder.end((0,), 0, 0)) == []
    assert values(reorder.push((2,), 0, "c")) == ["c"]


def test_what_is_held_when_nothing_more_comes_is_released_gaps_or_not() -> None:
    reorder = Reorder(2)
    list(reorder.push((3,), 0, "d"))
    list(reorder.push((1,), 1, "b"))
    list(reorder.push((1, 5), 0, "c"))
    assert values(reorder.close()) == ["b", "c", "d"]
    assert reorder.held == 0


def test_lower_lanes_come_first_at_the_same_index() -> None:
    reorder = Reorder(2)
    assert values(reorder.push((0,), 1, "right")) == []
    assert values(reorder.push((0,), 0, "left")) == ["left", "right"]


def test_a_finished_lane_holds_nobody_up() -> None:
    reorder = Reorder(2)
    assert values(reorder.push((0,), 0, "a")) == ["a"]
    assert values(reorder.push((1,), 0, "b")) == []
    assert values(reorder.close_lane(1, 0)) == ["b"]
    assert values(reorder.push((2,), 0, "c")) == ["c"]


def test_a_lane_with_indices_of_its_own_is_sorted_at_the_end() -> None:
    reorder = Reorder(1)
    reorder.untrack(0)
    for index in ((5,), (1, 2), (1, 1), (5,)):
        assert list(reorder.push(index, 0, index)) == []
    assert values(reorder.close()) == [(1, 1), (1, 2), (5,), (5,)]


@pytest.mark.parametrize("n", [10_000])
def test_the_worst_order_is_no_matter(n: int) -> None:
    reorder = Reorder(1)
    released: list[int] = []
    for x in reversed(range(n)):
        released += values(reorder.push((x,), 0, x))
    assert released == list(range(n))
