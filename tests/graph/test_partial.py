"""`|` puts a pipeline together."""

from __future__ import annotations

from typing import Any

import pytest

import pypeln as pl
from pypeln import io, pr, sync, th


def test_a_partial_is_completed_by_a_pipe_or_a_call() -> None:
    partial = th.map(abs, workers=3, maxsize=4, timeout=5)
    for stage in ([1] | partial, partial([1])):
        assert isinstance(stage, pl.Stage)
        assert (stage.f, stage.workers, stage.maxsize, stage.timeout) == (abs, 3, 4, 5)
        assert stage.inputs[0].source == [1]


def test_a_partial_makes_a_new_stage_each_time() -> None:
    partial = th.map(abs)
    assert partial([1]) is not partial([1])


def test_partials_compose_without_a_stage() -> None:
    both = th.map(abs) | pr.filter(bool) | th.ordered()
    assert isinstance(both, pl.Partial)
    ordered = [1] | both
    assert [ordered.name, ordered.inputs[0].name, ordered.inputs[0].inputs[0].name] == [
        "ordered",
        "filter(bool)",
        "map(abs)",
    ]
    assert repr(both) == "<Partial th.map | pr.filter | th.ordered>"


def test_a_partial_takes_any_callable_at_its_end() -> None:
    names = th.map(abs) | (lambda stage: stage.name)
    assert names([1]) == "map(abs)"


@pytest.mark.parametrize(
    ("partial", "attribute", "value"),
    [
        (th.from_iterable(maxsize=7), "maxsize", 7),
        (pr.from_iterable(use_thread=False), "use_thread", False),
        (th.ordered(maxsize=7), "maxsize", 7),
        (io.map(abs, workers=0), "workers", 0),
        (pr.each(abs, on_done=print), "on_done", print),
        (sync.flat_map(list, on_start=dict), "on_start", dict),
    ],
)
def test_a_partial_forgets_no_argument(partial: Any, attribute: str, value: Any) -> None:
    assert getattr([[1]] | partial, attribute) == value


def test_sets_and_dicts_can_be_piped() -> None:
    assert ({1} | th.map(abs)).inputs[0].source == {1}
    assert ({"a": 1} | th.map(len)).inputs[0].source == {"a": 1}


def test_an_array_is_piped_as_a_whole() -> None:
    numpy = pytest.importorskip("numpy")
    stage = numpy.arange(3) | th.map(abs)
    assert isinstance(stage, pl.Stage)
    assert stage.inputs[0].source.shape == (3,)


def test_a_pipe_into_what_cannot_be_called_is_a_type_error() -> None:
    with pytest.raises(TypeError, match="unsupported operand"):
        th.map(abs, [1]) | 3  # type: ignore[operator]
    with pytest.raises(TypeError, match="unsupported operand"):
        th.map(abs) | 3  # type: ignore[operator]


def test_f_can_be_given_by_keyword() -> None:
    assert th.map(f=abs, stage=[1]).f is abs
    assert ([1] | th.map(f=abs)).f is abs
