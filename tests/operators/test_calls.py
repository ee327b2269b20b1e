"""The public calls: names, arguments and defaults of pypeln 0.4.9, on every front end."""

from __future__ import annotations

import importlib
import inspect
from pathlib import Path
from typing import Any

import pytest

import pypeln as pl
from pypeln import io, pr, process, sync, task, th, thread
from pypeln.run.plan import Emission

FRONT_ENDS = [pr, th, io, sync]
APPLYING = {"workers": 1, "maxsize": 0, "timeout": 0, "on_start": None, "on_done": None}
UNDEFINED = "<undefined>"
SIGNATURES = {
    "map": {"f": inspect.Parameter.empty, "stage": UNDEFINED, **APPLYING},
    "filter": {"f": inspect.Parameter.empty, "stage": UNDEFINED, **APPLYING},
    "flat_map": {"f": inspect.Parameter.empty, "stage": UNDEFINED, **APPLYING},
    "each": {"f": inspect.Parameter.empty, "stage": UNDEFINED, **APPLYING, "run": False},
    "concat": {"stages": inspect.Parameter.empty, "maxsize": 0},
    "ordered": {"stage": UNDEFINED, "maxsize": 0},
    "from_iterable": {"iterable": UNDEFINED, "use_thread": True, "maxsize": 0},
    "to_iterable": {"stage": UNDEFINED, "maxsize": 0, "return_index": False},
}


# What 0.4.9 did not have can only be given by name.
NEW = {"on_error", "retries", "backoff", "on_worker_death"}


@pytest.mark.parametrize("front_end", FRONT_ENDS, ids=lambda module: module.__name__)
@pytest.mark.parametrize("call", SIGNATURES)
def test_arguments_stand_in_their_old_order_with_their_old_defaults(front_end: Any, call: str) -> None:
    parameters = inspect.signature(getattr(front_end, call)).parameters
    found = {
        name: UNDEFINED if repr(parameter.default) == UNDEFINED else parameter.default
        for name, parameter in parameters.items()
        if name not in NEW
    }
    assert list(found.items()) == list(SIGNATURES[call].items())
    for name, parameter in parameters.items():
        assert (parameter.kind is parameter.KEYWORD_ONLY) == (name in NEW)


def test_only_tasks_have_an_async_iterable() -> None:
    assert str(inspect.signature(io.to_async_iterable)) == str(inspect.signature(io.to_iterable))
    for front_end in (pr, th, sync):
        assert not hasattr(front_end, "to_async_iterable")


@pytest.mark.parametrize(("long", "short"), [(process, pr), (thread, th), (task, io)])
def test_long_names_are_the_same_objects(long: Any, short: Any) -> None:
    assert sorted(long.__all__) == sorted(short.__all__)
    for name in set(long.__all__) - {"IterableQueue"}:
        assert getattr(long, name) is getattr(short, name)
    with pytest.raises(AttributeError, match="nonsense"):
        long.nonsense  # noqa: B018
    with pytest.raises(AttributeError, match="nonsense"):
        short.nonsense  # noqa: B018


def test_every_operator_is_a_call_of_every_front_end() -> None:
    files = Path(pl.__file__).with_name("operators").glob("*.py")
    modules = {path.stem: importlib.import_module(f"pypeln.operators.{path.stem}") for path in files}
    # An operator's file has its name, and a class with a method of that name.
    operators = [
        name
        for name, module in modules.items()
        if any(name in vars(each) for each in vars(module).values() if inspect.isclass(each))
    ]
    assert len(operators) >= 12
    missing = [
        f"{module.__name__}.{name}"
        for module in [*FRONT_ENDS, process, thread, task]
        for name in operators
        if name not in module.__all__ or not callable(getattr(module, name, None))
    ]
    assert missing == []


@pytest.mark.parametrize("name", ["pr", "th", "io", "sync", "process", "thread", "task"])
def test_front_ends_are_attributes_and_modules(name: str) -> None:
    assert getattr(pl, name) is importlib.import_module(f"pypeln.{name}")


@pytest.mark.parametrize("front_end", FRONT_ENDS, ids=lambda module: module.__name__)
@pytest.mark.parametrize(
    ("call", "emission"),
    [
        ("map", Emission.RESULT),
        ("filter", Emission.INPUT_IF_RESULT),
        ("flat_map", Emission.EACH_OF_RESULT),
        ("each", Emission.NOTHING),
    ],
)
def test_a_call_describes_its_stage_completely(front_end: Any, call: str, emission: Emission) -> None:
    stage = getattr(front_end, call)(abs, [1], 2, 3, 4.5, dict, print)
    assert (stage.operator.name, stage.operator.emission) == (call, emission)
    assert (stage.f, stage.workers, stage.maxsize, stage.timeout) == (abs, 2, 3, 4.5)
    assert (stage.on_start, stage.on_done) == (dict, print)
    (source,) = stage.inputs
    assert (source.operator.feeds, source.source, source.maxsize) == (True, [1], 0)


def test_stages_of_other_kinds_are_taken_as_they_are() -> None:
    below = pr.map(abs, [1])
    assert th.map(abs, below).inputs == (below,)
    assert io.concat([below, below]).inputs == (below, below)
    assert sync.ordered(below).inputs == (below,)


def test_concat_of_nothing_is_an_empty_source() -> None:
    stage = th.concat([])
    assert stage.operator.feeds
    assert list(stage.source) == []


def test_concat_takes_any_iterable_of_stages() -> None:
    assert len(th.concat(th.map(abs, [i]) for i in range(3)).inputs) == 3
