"""What f, on_start and on_done are given."""

from __future__ import annotations

import asyncio
import functools
import inspect
import warnings
from collections.abc import Callable
from typing import Any

import pytest

from pypeln.run import callbacks
from pypeln.run.callbacks import StageStatus, WorkerInfo, finish, finish_async, prepare, prepare_async
from pypeln.run.plan import Emission, Operator, PlannedStage, WorkerKind

INFO = WorkerInfo(3)


def stage_of(f: Any, on_start: Any = None, on_done: Any = None) -> PlannedStage:
    return PlannedStage(
        id=1,
        name="map(it)",
        kind=WorkerKind.THREAD,
        operator=Operator("map", Emission.RESULT),
        workers=1,
        timeout=0,
        f=f,
        on_start=on_start,
        on_done=on_done,
    )


def supply() -> dict[str, Any]:
    return {"y": 5, "z": 6}


class Methods:
    def bound(self, x: Any, y: Any) -> None: ...

    @staticmethod
    def static(x: Any, y: Any) -> None: ...

    @classmethod
    def of_class(cls, x: Any, y: Any) -> None: ...

    def __call__(self, x: Any, y: Any) -> None: ...


class Made:
    def __init__(self, x: Any, y: Any) -> None: ...


@functools.wraps(Methods.static)
def wrapped(*args: Any, **kwargs: Any) -> None: ...


@pytest.mark.parametrize(
    ("f", "expected"),
    [
        (lambda x: x, {}),
        (lambda x, y: x, {"y": 5}),
        (lambda x, *, y, z=0: x, {"y": 5, "z": 6}),
        (lambda x, w=1: x, {}),
        (lambda y: y, {}),  # the first parameter takes the element, whatever its name
        (lambda worker_info: worker_info, {}),
        (lambda *args, y: y, {"y": 5}),
        (lambda x, **kwargs: x, {}),  # only parameters with a name ask
        (lambda x, worker_info: x, {"worker_info": INFO}),
        (Methods().bound, {"y": 5}),
        (Methods.static, {"y": 5}),
        (Methods.of_class, {"y": 5}),
        (Methods(), {"y": 5}),
        (Made, {"y": 5}),
        (wrapped, {"y": 5}),
        (functools.partial(lambda w, x, y: x, 0), {"y": 5}),
        (functools.partial(lambda x, y, z: x, y=0), {"z": 6}),  # what is bound stays
        (functools.partial(lambda x, worker_info: x, worker_info=0), {}),
        (functools.partial(functools.partial(lambda x, y, z: x, y=0), z=1), {}),
        (str, {}),
        (max, {}),
        (len, {}),
        (int, {}),
        ({}.get, {}),
        (print, {}),
    ],
)
def test_f_gets_what_its_parameters_name(f: Callable[..., Any], expected: dict[str, Any]) -> None:
    injection = prepare(stage_of(f, on_start=supply), INFO)
    assert injection.kwargs == expected
    assert not injection.wants_index


SHAPES = [
    "", "x", "x, y", "x=1", "x, y=2", "x, /", "x, y, /, z", "x, y=1, /, z=2", "*args", "*args, y",
    "*args, y=1, z", "*, x", "*, x=1, y, z=2", "**kwargs", "x, *args, y, **kwargs",
    "x, y, /, z=0, *, v, w=1, **kwargs",
]  # fmt: skip


@pytest.mark.parametrize("role", ["f", "on_start"])
@pytest.mark.parametrize("parameters", SHAPES)
def test_plain_functions_are_seen_as_inspect_sees_them(role: str, parameters: str) -> None:
    """`inspect` takes long to import, and most functions do without."""
    plain = eval(f"lambda {parameters}: (a := 1)")  # with a local variable behind the parameters
    signed = eval(f"lambda {parameters}: 0")
    signed.__signature__ = inspect.signature(plain)  # which makes it one for inspect
    assert callbacks._inspected(role, plain) == callbacks._inspected(role, signed)


def test_the_index_is_asked_for_by_name_too() -> None:
    assert prepare(stage_of(lambda x, element_index: x), INFO).wants_index
    assert not prepare(stage_of(lambda element_index: element_index), INFO).wants_index
    bound = functools.partial(lambda x, element_index: x, element_index=())
    assert not prepare(stage_of(bound), INFO).wants_index
    injection = prepare(stage_of(lambda x, element_index: x, lambda: {"element_index": 1}), INFO)
    assert (injection.kwargs, injection.wants_index) == ({}, True)


def test_on_start_may_replace_worker_info() -> None:
    stage = stage_of(
        lambda x, worker_info: x, on_start=lambda worker_info: {"worker_info": worker_info.index}
    )
    assert prepare(stage, INFO).kwargs == {"worker_info": 3}


def test_on_done_gets_what_on_start_returned_and_the_status() -> None:
    seen: list[Any] = []
    stage = stage_of(
        lambda x: x, supply, lambda y, stage_status, worker_info: seen.append((y, stage_status, worker_info))
    )
    active = [2]
    finish(stage, INFO, prepare(stage, INFO), lambda: active[0])
    ((y, status, info),) = seen
    assert (y, info) == (5, INFO)
    assert (status.active_workers, status.done) == (2, False)
    active[0] = 0
    assert (status.active_workers, status.done) == (0, True)
    assert repr(status) == "StageStatus(done=True, active_workers=0)"
    assert isinstance(status, StageStatus)


def test_callbacks_may_ask_for_nothing_or_lack_a_signature() -> None:
    stage = stage_of(lambda x: x, dict, print)
    finish(stage, INFO, prepare(stage, INFO), lambda: 0)


@pytest.mark.parametrize("returned", [[], 5, "", object()])
def test_on_start_returns_a_dict_or_nothing(returned: Any) -> None:
    with pytest.raises(
        TypeError, match=rf"on_start of stage map\(it\) returned {type(returned).__name__}, not"
    ):
        prepare(stage_of(lambda x: x, lambda: returned), INFO)


@pytest.mark.parametrize(
    ("stage", "words"),
    [
        (stage_of(lambda x, colour: x, supply), ["f of stage map(it)", "'colour'", "worker_info, y, z"]),
        (stage_of(lambda x, *, colour: x), ["f of stage map(it)", "'colour'"]),
        (stage_of(lambda x: x, lambda y: {}), ["on_start of stage map(it)", "'y'", "are: worker_info"]),
    ],
)
def test_a_needed_argument_that_nobody_supplies_is_named_when_the_worker_starts(
    stage: PlannedStage, words: list[str]
) -> None:
    with pytest.raises(TypeError) as caught:
        prepare(stage, INFO)
    for word in words:
        assert word in str(caught.value)


def test_a_needed_argument_that_only_goes_by_position_is_named_too() -> None:
    def f(x: Any, y: Any, /) -> None: ...

    with pytest.raises(TypeError, match="'y'"):
        prepare(stage_of(f, supply), INFO)


def test_on_done_is_checked_when_it_is_called() -> None:
    stage = stage_of(lambda x: x, None, lambda element_index: None)
    with pytest.raises(TypeError, match=r"on_done of stage map\(it\)"):
        finish(stage, INFO, prepare(stage, INFO), lambda: 0)


def test_async_callbacks_are_awaited_where_that_is_possible() -> None:
    seen: list[int] = []

    async def on_start(worker_info: WorkerInfo) -> dict[str, int]:
        await asyncio.sleep(0)
        return {"y": worker_info.index}

    async def on_done(y: int) -> None:
        await asyncio.sleep(0)
        seen.append(y)

    async def both(stage: PlannedStage) -> dict[str, Any]:
        injection = await prepare_async(stage, INFO)
        await finish_async(stage, INFO, injection, lambda: 0)
        return injection.kwargs

    assert asyncio.run(both(stage_of(lambda x, y: x, on_start, on_done))) == {"y": 3}
    assert seen == [3]
    assert asyncio.run(both(stage_of(lambda x, y: x, supply, lambda y: seen.append(y)))) == {"y": 5}
    assert seen == [3, 5]


def test_async_callbacks_elsewhere_are_errors_and_not_forgotten() -> None:
    async def callback() -> None: ...

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(TypeError, match=r"on_start .* returned coroutine.* only io stages can await it"):
            prepare(stage_of(lambda x: x, callback), INFO)
        stage = stage_of(lambda x: x, None, callback)
        with pytest.raises(TypeError, match=r"on_done .* returned coroutine, which nobody awaits"):
            finish(stage, INFO, prepare(stage, INFO), lambda: 0)
