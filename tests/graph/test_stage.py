"""A stage is an immutable description."""

from __future__ import annotations

import functools
import pickle
from typing import Any

import pytest

import pypeln as pl
from pypeln import io, pr, sync, th


class Scaler:
    def __call__(self, x: int) -> int:
        return x

    def scale(self, x: int) -> int:
        return x


@pytest.mark.parametrize(
    ("stage", "name"),
    [
        (pr.map(abs, []), "map(abs)"),
        (pr.map(lambda x: x, []), "map(<lambda>)"),
        (pr.map(functools.partial(functools.partial(pow, 2), mod=3), []), "map(pow)"),
        (pr.filter(Scaler(), []), "filter(Scaler)"),
        (pr.each(Scaler().scale, []), "each(scale)"),
        (pr.flat_map(str.split, []), "flat_map(split)"),
        (pr.from_iterable(range(3)), "from_iterable(range)"),
        (pr.concat([[], []]), "concat"),
        (pr.ordered([]), "ordered"),
    ],
)
def test_a_stage_is_named_for_people(stage: pl.Stage[Any], name: str) -> None:
    assert stage.name == name


def test_a_repr_says_what_was_asked_for() -> None:
    stage = pr.map(abs, [1], workers=3, maxsize=4, timeout=0.5)
    assert repr(stage) == "<Stage process map(abs), workers=3, maxsize=4, timeout=0.5>"
    assert repr(io.map(abs, [1])) == "<IoStage task map(abs), workers=1>"


def test_a_stage_never_changes() -> None:
    stage = pr.map(abs, [1])
    with pytest.raises(AttributeError, match="workers cannot be set; make a new stage"):
        stage.workers = 3
    with pytest.raises(AttributeError, match="workers cannot be deleted"):
        del stage.workers
    with pytest.raises(AttributeError):
        stage.colour = "red"  # type: ignore[attr-defined]


def test_stages_are_equal_only_to_themselves() -> None:
    data = [1]
    one, two = pr.map(abs, data), pr.map(abs, data)
    assert one == one
    assert one != two
    assert len({one, two}) == 2


def test_only_task_stages_can_be_awaited() -> None:
    for stage in (io.map(abs, [1]), io.concat([[1]]), io.ordered([1]), io.from_iterable(pr.map(abs, [1]))):
        assert isinstance(stage, pl.IoStage)
    for front_end in (pr, th, sync):
        stage = front_end.map(abs, io.map(abs, [1]))
        assert not hasattr(stage, "__await__")
        assert not hasattr(stage, "__aiter__")


def test_a_stage_travels_with_its_inputs_and_stays_shared() -> None:
    below = th.map(abs, [1, 2], workers=2)
    stage = pickle.loads(pickle.dumps(th.concat([below, below])))
    assert stage.inputs[0] is stage.inputs[1]
    assert (stage.inputs[0].workers, stage.inputs[0].f) == (2, abs)


def test_the_base_of_all_stages_keeps_its_old_name() -> None:
    assert isinstance(pr.map(abs, [1]), pl.BaseStage)
    assert isinstance(io.map(abs, [1]), pl.BaseStage)


@pytest.mark.parametrize(("maxsize", "error"), [(-1, ValueError), ("1", TypeError)])
def test_what_waits_for_the_consumer_is_checked_before_the_run(maxsize: Any, error: type[Exception]) -> None:
    with pytest.raises(error, match=r"^to_iterable: maxsize"):
        pr.map(abs, [1]).to_iterable(maxsize)
    with pytest.raises(error, match=r"^to_async_iterable: maxsize"):
        io.map(abs, [1]).to_async_iterable(maxsize)
