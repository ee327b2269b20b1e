"""Wrong arguments are refused by the call that gets them, by name, before anything starts."""

from __future__ import annotations

import math
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from support.process_table import children, thread_names

from pypeln import io, pr, sync, th

FRONT_ENDS = {"pr": pr, "th": th, "io": io, "sync": sync}
APPLYING = ["map", "filter", "flat_map", "each"]


class Untouched:
    """A source that must not be iterated."""

    def __iter__(self) -> Iterator[int]:
        raise AssertionError("the source was iterated")


WRONG_OPTIONS: list[tuple[str, Any, type[Exception]]] = [
    ("workers", -1, ValueError),
    ("workers", 1.5, TypeError),
    ("workers", "2", TypeError),
    ("workers", None, TypeError),
    ("workers", True, TypeError),
    ("maxsize", -1, ValueError),
    ("maxsize", 2.0, TypeError),
    ("maxsize", "2", TypeError),
    ("maxsize", None, TypeError),
    ("maxsize", False, TypeError),
    ("timeout", -0.1, ValueError),
    ("timeout", math.inf, ValueError),
    ("timeout", math.nan, ValueError),
    ("timeout", "1", TypeError),
    ("timeout", None, TypeError),
    ("timeout", True, TypeError),
    ("timeout", 1j, TypeError),
    ("on_start", 1, TypeError),
    ("on_start", {}, TypeError),
    ("on_done", "x", TypeError),
]


@pytest.mark.parametrize(("argument", "value", "error"), WRONG_OPTIONS)
@pytest.mark.parametrize("operator", APPLYING)
@pytest.mark.parametrize("front_end", FRONT_ENDS)
def test_options_of_calls_with_a_function(
    front_end: str, operator: str, argument: str, value: Any, error: type[Exception]
) -> None:
    call = getattr(FRONT_ENDS[front_end], operator)
    with pytest.raises(error, match=rf"^{front_end}\.{operator}: {argument} must be "):
        call(abs, Untouched(), **{argument: value})
    with pytest.raises(error, match=rf"^{front_end}\.{operator}: {argument} must be "):
        call(abs, **{argument: value})


@pytest.mark.parametrize("operator", APPLYING)
@pytest.mark.parametrize("front_end", ["pr", "th", "sync"])
def test_only_tasks_can_be_without_a_number(front_end: str, operator: str) -> None:
    with pytest.raises(ValueError, match=rf"^{front_end}\.{operator}: workers must be at least 1, got 0"):
        getattr(FRONT_ENDS[front_end], operator)(abs, Untouched(), workers=0)
    getattr(io, operator)(abs, Untouched(), workers=0)


@pytest.mark.parametrize("f", [None, 1, "abs", [abs]], ids=repr)
@pytest.mark.parametrize("operator", APPLYING)
@pytest.mark.parametrize("front_end", FRONT_ENDS)
def test_functions_that_are_none(front_end: str, operator: str, f: Any) -> None:
    with pytest.raises(TypeError, match=rf"^{front_end}\.{operator}: f must be callable, got "):
        getattr(FRONT_ENDS[front_end], operator)(f, Untouched())


@pytest.mark.parametrize("stage", [None, 5, abs], ids=repr)
@pytest.mark.parametrize("operator", APPLYING)
@pytest.mark.parametrize("front_end", FRONT_ENDS)
def test_stages_that_cannot_be_iterated(front_end: str, operator: str, stage: Any) -> None:
    call = getattr(FRONT_ENDS[front_end], operator)
    with pytest.raises(TypeError, match=rf"^{front_end}\.{operator}: stage must be a stage"):
        call(abs, stage)
    with pytest.raises(TypeError, match=rf"^{front_end}\.{operator}: stage must be a stage"):
        stage | call(abs)


async def async_source() -> AsyncIterator[int]:
    yield 1


@pytest.mark.parametrize("operator", APPLYING)
@pytest.mark.parametrize("front_end", ["pr", "th", "sync"])
def test_async_iterables_are_for_tasks_only(front_end: str, operator: str) -> None:
    with pytest.raises(
        TypeError, match=rf"^{front_end}\.{operator}: stage is an async iterable .*io\.from_iterable"
    ):
        getattr(FRONT_ENDS[front_end], operator)(abs, async_source())


@pytest.mark.parametrize("run", [1, "yes", None], ids=repr)
@pytest.mark.parametrize("front_end", FRONT_ENDS)
def test_run_is_a_flag(front_end: str, run: Any) -> None:
    with pytest.raises(TypeError, match=rf"^{front_end}\.each: run must be True or False"):
        FRONT_ENDS[front_end].each(abs, Untouched(), run=run)


ON_STAGES: list[tuple[str, dict[str, Any], type[Exception], str]] = [
    ("concat", {"maxsize": -1}, ValueError, "maxsize"),
    ("concat", {"maxsize": "1"}, TypeError, "maxsize"),
    ("ordered", {"maxsize": -1}, ValueError, "maxsize"),
    ("ordered", {"maxsize": 0.5}, TypeError, "maxsize"),
    ("from_iterable", {"maxsize": -1}, ValueError, "maxsize"),
    ("from_iterable", {"maxsize": None}, TypeError, "maxsize"),
    ("from_iterable", {"use_thread": 1}, TypeError, "use_thread"),
    ("to_iterable", {"maxsize": -1}, ValueError, "maxsize"),
    ("to_iterable", {"maxsize": []}, TypeError, "maxsize"),
    ("to_iterable", {"return_index": 0}, TypeError, "return_index"),
]


@pytest.mark.parametrize(("operator", "options", "error", "argument"), ON_STAGES)
@pytest.mark.parametrize("front_end", FRONT_ENDS)
def test_options_of_calls_without_a_function(
    front_end: str, operator: str, options: dict[str, Any], error: type[Exception], argument: str
) -> None:
    taken: Any = [Untouched()] if operator == "concat" else Untouched()
    with pytest.raises(error, match=rf"^{front_end}\.{operator}: {argument} must be "):
        getattr(FRONT_ENDS[front_end], operator)(taken, **options)


@pytest.mark.parametrize("operator", ["concat", "ordered", "from_iterable", "to_iterable", "run"])
@pytest.mark.parametrize("front_end", FRONT_ENDS)
def test_what_is_no_stage_for_calls_without_a_function(front_end: str, operator: str) -> None:
    with pytest.raises(TypeError, match=rf"^{front_end}\.{operator}: "):
        getattr(FRONT_ENDS[front_end], operator)(5)


@pytest.mark.parametrize("front_end", FRONT_ENDS)
def test_one_of_several_stages_is_none(front_end: str) -> None:
    calls = FRONT_ENDS[front_end]
    with pytest.raises(TypeError, match=rf"^{front_end}\.concat: "):
        calls.concat([calls.map(abs, Untouched()), None])
    with pytest.raises(TypeError, match=rf"^{front_end}\.run: "):
        calls.run(calls.map(abs, []), 7)


@pytest.mark.parametrize("front_end", FRONT_ENDS)
def test_an_argument_that_no_call_has(front_end: str) -> None:
    for operator in APPLYING:
        with pytest.raises(TypeError, match="worker"):
            getattr(FRONT_ENDS[front_end], operator)(abs, Untouched(), worker=3)


@pytest.mark.parametrize("front_end", ["pr", "th", "io"])
def test_bounds_of_a_queue(front_end: str) -> None:
    make = FRONT_ENDS[front_end].IterableQueue
    for arguments, error in [
        ({"maxsize": -1}, ValueError),
        ({"maxsize": "1"}, TypeError),
        ({"total_sources": 0}, ValueError),
        ({"total_sources": 1.0}, TypeError),
    ]:
        (argument,) = arguments
        with pytest.raises(error, match=argument):
            make(**arguments)


@pytest.fixture(autouse=True)
def _nothing_has_started() -> Iterator[None]:
    yield
    assert children() == set()
    assert [name for name in thread_names() if "pypeln" in name] == []
