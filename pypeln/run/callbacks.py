"""What a worker's callables are given: arguments by the names of their parameters, `on_start` and `on_done`.

The first parameter of `f` takes the element, whatever its name. Every other one is filled by name, from
`worker_info`, `element_index` and the dict that `on_start` returned; `on_done` may ask for `stage_status`
too. Only parameters with a name count: `**kwargs` asks for nothing. Arguments that a `functools.partial` has
are kept.
"""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable
from types import FunctionType
from typing import Any, NamedTuple, cast

from pypeln.run.plan import PlannedStage

# A parameter's name, whether it can be given by name, and whether it has no default.
Parameter = tuple[str, bool, bool]


class WorkerInfo(NamedTuple):
    """Who a worker is: what `f`, `on_start` and `on_done` get as `worker_info`.

    Attributes:
        index: Its number in its stage, from 0.
    """

    index: int  # type: ignore[assignment]  # hides tuple.index, which nobody needs here


class StageStatus:
    """How far a stage is, whenever it is asked: what `on_done` gets as `stage_status`.

    Args:
        active: Says how many workers of the stage have not finished; the one that asks has.
    """

    def __init__(self, active: Callable[[], int]) -> None:
        self._active = active

    @property
    def active_workers(self) -> int:
        """How many workers of the stage have not finished."""
        return self._active()

    @property
    def done(self) -> bool:
        """Whether all workers of the stage have finished."""
        return self._active() == 0

    def __repr__(self) -> str:
        active = self._active()  # once: it may be another the next time
        return f"StageStatus(done={active == 0}, active_workers={active})"


class Injection(NamedTuple):
    """What a worker's calls of `f` have in common.

    Attributes:
        kwargs: Keyword arguments, the same for every element.
        wants_index: Whether `f` also takes `element_index`, which differs.
        started: The dict that `on_start` returned, for `on_done`.
    """

    kwargs: dict[str, Any]
    wants_index: bool
    started: dict[str, Any]


def prepare(stage: PlannedStage, worker_info: WorkerInfo) -> Injection:
    """Runs `on_start`, and finds what each call of `f` is given.

    Raises:
        TypeError: `on_start` returned neither dict nor None, or a callable asks for what nobody supplies.
    """
    return _inject(stage, worker_info, _call_on_start(stage, worker_info))


async def prepare_async(stage: PlannedStage, worker_info: WorkerInfo) -> Injection:
    """`prepare` where `on_start` may be async."""
    returned = _call_on_start(stage, worker_info)
    if isinstance(returned, Awaitable):
        returned = await returned
    return _inject(stage, worker_info, returned)


def finish(
    stage: PlannedStage, worker_info: WorkerInfo, injection: Injection, active: Callable[[], int]
) -> None:
    """Runs `on_done`.

    Args:
        active: Says how many workers of the stage have not finished, this one not counted.

    Raises:
        TypeError: `on_done` asks for what nobody supplies, or would have to be awaited.
    """
    returned = _call_on_done(stage, worker_info, injection, active)
    if _drop_awaitable(returned):
        raise TypeError(
            f"on_done of stage {stage.name} returned {type(returned).__name__}, which nobody awaits; "
            "only io stages can have an async on_done"
        )


async def finish_async(
    stage: PlannedStage, worker_info: WorkerInfo, injection: Injection, active: Callable[[], int]
) -> None:
    """`finish` where `on_done` may be async."""
    returned = _call_on_done(stage, worker_info, injection, active)
    if isinstance(returned, Awaitable):
        await returned


def _call_on_start(stage: PlannedStage, worker_info: WorkerInfo) -> Any:
    if stage.on_start is None:
        return None
    return stage.on_start(**_asked(stage, "on_start", stage.on_start, {"worker_info": worker_info}))


def _inject(stage: PlannedStage, worker_info: WorkerInfo, returned: Any) -> Injection:
    if returned is not None and not isinstance(returned, dict):
        advice = "return a dict of what f and on_done may ask for, or None"
        if _drop_awaitable(returned):
            advice = "only io stages can await it"
        raise TypeError(
            f"on_start of stage {stage.name} returned {type(returned).__name__}, not a dict or None; {advice}"
        )
    started = returned or {}
    if stage.f is None:
        return Injection({}, False, started)
    supplied = {"worker_info": worker_info, **started, "element_index": None}
    kwargs = _asked(stage, "f", stage.f, supplied)
    wants_index = "element_index" in kwargs
    kwargs.pop("element_index", None)
    return Injection(kwargs, wants_index, started)


def _call_on_done(
    stage: PlannedStage, worker_info: WorkerInfo, injection: Injection, active: Callable[[], int]
) -> Any:
    if stage.on_done is None:
        return None
    supplied = {"worker_info": worker_info, "stage_status": StageStatus(active), **injection.started}
    return stage.on_done(**_asked(stage, "on_done", stage.on_done, supplied))


def _asked(
    stage: PlannedStage, role: str, function: Callable[..., Any], supplied: dict[str, Any]
) -> dict[str, Any]:
    """The part of what is supplied that a callable asks for.

    Raises:
        TypeError: It needs an argument that is not among it.
    """
    parameters = _parameters(stage, role, function)
    given = function.keywords if isinstance(function, functools.partial) else {}
    kwargs = {}
    for name, by_name, required in parameters:
        if name in given:
            continue
        if by_name and name in supplied:
            kwargs[name] = supplied[name]
        elif required:
            who = getattr(function, "__qualname__", None) or repr(function)
            raise TypeError(
                f"{role} of stage {stage.name} ({who}) needs an argument {name!r}, which nothing supplies; "
                f"supplied by name are: {', '.join(sorted(supplied))}. Return it from on_start, bind it with "
                "functools.partial, or give it a default"
            )
    return kwargs


def learn(stage: PlannedStage) -> None:
    """Look at the signatures of a stage's functions now, rather than in each of its workers."""
    for role in ("f", "on_start", "on_done"):
        function = getattr(stage, role)
        if function is not None:
            _parameters(stage, role, function)


def _parameters(stage: PlannedStage, role: str, function: Callable[..., Any]) -> list[Parameter]:
    """The parameters of a callable that can be filled: without the one of `f` that takes the element."""
    known = stage.parameters.get(role)
    if known is None:
        known = stage.parameters[role] = _inspected(role, function)
    return known


def _inspected(role: str, function: Callable[..., Any]) -> list[Parameter]:
    first_is_element = role == "f"
    if type(function) is FunctionType and not function.__dict__.keys() & {"__wrapped__", "__signature__"}:
        return _of_plain(function, first_is_element)
    import inspect  # takes longer to import than the rest of pypeln

    kinds = inspect.Parameter
    try:
        parameters = list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):
        return []  # written in C, without a signature: it takes what it takes by position
    by_position = (kinds.POSITIONAL_ONLY, kinds.POSITIONAL_OR_KEYWORD)
    if first_is_element and parameters and parameters[0].kind in by_position:
        parameters = parameters[1:]
    return [
        (each.name, each.kind is not kinds.POSITIONAL_ONLY, each.default is kinds.empty)
        for each in parameters
        if each.kind not in (kinds.VAR_POSITIONAL, kinds.VAR_KEYWORD)
    ]


def _of_plain(function: FunctionType, first_is_element: bool) -> list[Parameter]:
    """What `inspect` would say of a function that a `def` or `lambda` has made."""
    code = function.__code__
    positional = code.co_varnames[: code.co_argcount]
    by_name = code.co_varnames[code.co_argcount : code.co_argcount + code.co_kwonlyargcount]
    without_default = code.co_argcount - len(function.__defaults__ or ())
    parameters = [
        (name, place >= code.co_posonlyargcount, place < without_default)
        for place, name in enumerate(positional)
    ]
    parameters = parameters[1:] if first_is_element else parameters
    return parameters + [(name, True, name not in (function.__kwdefaults__ or {})) for name in by_name]


def _drop_awaitable(returned: Any) -> bool:
    """Whether this should have been awaited. A coroutine is closed, so that it does not warn as well."""
    if not isinstance(returned, Awaitable):
        return False
    close = getattr(returned, "close", None)
    if close is not None:
        cast("Callable[[], None]", close)()
    return True
