"""Bad arguments are refused at the call that builds the stage, by a message that says what to do."""

from __future__ import annotations

import decimal
import fractions
import functools
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from pypeln import io, pr, sync, th

FRONT_ENDS = [pr, th, io, sync]
APPLYING = ["map", "filter", "flat_map", "each"]


@pytest.mark.parametrize("front_end", FRONT_ENDS, ids=lambda module: module.__name__)
@pytest.mark.parametrize("call", APPLYING)
@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"workers": -1}, ValueError, ["workers", "at least", "-1"]),
        ({"workers": 1.0}, TypeError, ["workers", "integer", "1.0", "float"]),
        ({"workers": True}, TypeError, ["workers", "integer", "True"]),
        ({"workers": None}, TypeError, ["workers", "None"]),
        ({"maxsize": -3}, ValueError, ["maxsize", "-3"]),
        ({"maxsize": "4"}, TypeError, ["maxsize", "'4'", "str"]),
        ({"maxsize": False}, TypeError, ["maxsize", "False"]),
        ({"timeout": -0.5}, ValueError, ["timeout", "seconds", "-0.5"]),
        ({"timeout": float("nan")}, ValueError, ["timeout", "finite", "nan"]),
        ({"timeout": float("inf")}, ValueError, ["timeout", "finite", "inf"]),
        ({"timeout": "1"}, TypeError, ["timeout", "'1'", "str"]),
        ({"timeout": True}, TypeError, ["timeout", "True"]),
        ({"timeout": 1j}, TypeError, ["timeout", "complex"]),
        ({"timeout": None}, TypeError, ["timeout", "None"]),
        ({"on_start": 1}, TypeError, ["on_start", "callable or None", "1"]),
        ({"on_done": "done"}, TypeError, ["on_done", "callable or None", "'done'"]),
    ],
)
def test_an_option_out_of_range_or_of_a_wrong_type_names_itself_and_the_call(
    front_end: Any, call: str, options: dict[str, Any], error: type[Exception], words: list[str]
) -> None:
    name = f"{front_end.__name__.rpartition('.')[2]}.{call}"
    for build in (
        lambda: getattr(front_end, call)(abs, [1], **options),
        lambda: getattr(front_end, call)(abs, **options),  # a partial checks as early
    ):
        with pytest.raises(error) as caught:
            build()
        message = str(caught.value)
        assert message.startswith(f"{name}: ")
        for word in words:
            assert word in message


@pytest.mark.parametrize("front_end", [pr, th, sync], ids=lambda module: module.__name__)
def test_no_workers_at_all_is_only_for_tasks(front_end: Any) -> None:
    with pytest.raises(ValueError, match="workers must be at least 1, got 0"):
        front_end.map(abs, [1], workers=0)
    assert io.map(abs, [1], workers=0).workers == 0


@pytest.mark.parametrize("timeout", [1, 0.5, fractions.Fraction(1, 2), decimal.Decimal("0.5")])
def test_a_timeout_is_any_real_number(timeout: Any) -> None:
    assert th.map(abs, [1], timeout=timeout).timeout == float(timeout)


class Four:
    def __index__(self) -> int:
        return 4


def test_an_integer_is_whatever_python_takes_for_one() -> None:
    stage = th.map(abs, [1], workers=Four(), maxsize=Four())  # type: ignore[call-overload]
    assert (stage.workers, stage.maxsize) == (4, 4)
    assert type(stage.workers) is int


@pytest.mark.parametrize("call", APPLYING)
def test_f_must_be_callable(call: str) -> None:
    with pytest.raises(TypeError, match=rf"^pr\.{call}: f must be callable, got 3 \(int\)"):
        getattr(pr, call)(3, [1])


@pytest.mark.parametrize(
    "build",
    [
        lambda: th.map(abs, 5),  # type: ignore[call-overload]
        lambda: th.map(abs, None),  # type: ignore[call-overload]
        lambda: th.ordered(5),  # type: ignore[call-overload]
        lambda: th.concat([[1], 5]),  # type: ignore[list-item]
        lambda: th.concat(5),  # type: ignore[arg-type]
        lambda: th.from_iterable(5),  # type: ignore[call-overload]
        lambda: th.to_iterable(5),  # type: ignore[call-overload]
        lambda: th.run(5),  # type: ignore[arg-type]
        lambda: th.run([1], 5),  # type: ignore[arg-type]
        lambda: 5 | th.map(abs),  # type: ignore[operator]
    ],
)
def test_a_stage_must_be_iterable(build: Callable[[], Any]) -> None:
    with pytest.raises(
        TypeError, match=r"^th\.\w+: .*(stage|iterable).* must be a stage or an iterable, got "
    ):
        build()


async def coroutine(x: Any) -> None: ...


async def async_generator(x: Any) -> AsyncIterator[Any]:
    yield x


class Asynchronous:
    async def __call__(self, x: Any) -> None: ...

    async def method(self, x: Any) -> None: ...


@pytest.mark.parametrize(
    "f",
    [
        coroutine,
        async_generator,
        functools.partial(coroutine),
        Asynchronous(),
        Asynchronous().method,
    ],
)
@pytest.mark.parametrize("call", ["filter", "flat_map", "each"])
def test_an_async_function_where_nothing_awaits_is_refused(call: str, f: Any) -> None:
    for front_end in (pr, th, sync):
        with pytest.raises(
            TypeError, match=rf"{call}: f is async, and only tasks can await it; use io\.{call}$"
        ):
            getattr(front_end, call)(f, [1])
    assert getattr(io, call)(f, [1]).f is f


def test_map_may_make_coroutines_where_they_can_be_passed_on() -> None:
    assert th.map(coroutine, [1]).f is coroutine
    assert sync.map(coroutine, [1]).f is coroutine
    with pytest.raises(TypeError, match=r"^pr\.map: f is async, and only tasks can await it; use io\.map$"):
        pr.map(coroutine, [1])


@pytest.mark.parametrize("callback", [coroutine, functools.partial(coroutine), Asynchronous().method])
@pytest.mark.parametrize("argument", ["on_start", "on_done"])
@pytest.mark.parametrize("call", APPLYING)
def test_an_async_callback_where_nothing_awaits_is_refused(call: str, argument: str, callback: Any) -> None:
    for front_end in (pr, th, sync):
        with pytest.raises(
            TypeError, match=rf"{call}: {argument} is async, and only tasks can await it; use io\.{call}$"
        ):
            getattr(front_end, call)(abs, [1], **{argument: callback})
    assert getattr(getattr(io, call)(abs, [1], **{argument: callback}), argument) is callback


class Proxy:
    """Like the methods of `xmlrpc.client.ServerProxy`: has every attribute."""

    def __getattr__(self, name: str) -> Proxy:
        return Proxy()

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return args[0] if args else {}


@pytest.mark.parametrize("call", APPLYING)
def test_a_proxy_that_has_every_attribute_is_a_function_like_others(call: str) -> None:
    for front_end in FRONT_ENDS:
        assert getattr(front_end, call)(Proxy(), [1], on_start=Proxy(), on_done=Proxy()).workers == 1
    assert list(sync.map(Proxy(), [1], on_start=Proxy(), on_done=Proxy())) == [1]


def test_a_number_in_the_place_of_the_stage_is_told_to_be_workers_perhaps() -> None:
    with pytest.raises(TypeError, match="pass workers by keyword"):
        pr.map(abs, 3)  # type: ignore[call-overload]


def test_concat_wants_a_list_and_not_a_stage() -> None:
    with pytest.raises(TypeError, match=r"write th\.concat\(\[stage, \.\.\.\]\)"):
        th.concat(th.map(abs, [1]))  # type: ignore[arg-type]


def test_an_async_iterable_is_for_tasks_only() -> None:
    class Endless:
        def __aiter__(self) -> Any:
            raise AssertionError("only looked at")

    assert io.map(abs, Endless()).inputs[0].operator.feeds  # type: ignore[call-overload]
    with pytest.raises(TypeError, match=r"^th\.map: .* pass it through io\.from_iterable first"):
        th.map(abs, Endless())  # type: ignore[call-overload]


def test_a_source_is_not_iterated_before_the_run() -> None:
    class Watched:
        def __iter__(self) -> Any:
            raise AssertionError("iterated while the pipeline was built")

    th.map(abs, Watched())
    pr.concat([Watched(), Watched()])


@pytest.mark.parametrize("flag", [1, "yes", None])
def test_flags_are_true_or_false(flag: Any) -> None:
    with pytest.raises(TypeError, match=r"^pr\.from_iterable: use_thread must be True or False"):
        pr.from_iterable([1], use_thread=flag)
    with pytest.raises(TypeError, match=r"^pr\.each: run must be True or False"):
        pr.each(abs, [1], run=flag)
    with pytest.raises(TypeError, match=r"^pr\.to_iterable: return_index must be True or False"):
        pr.to_iterable([1], return_index=flag)


def test_a_long_value_is_cut_in_the_message() -> None:
    with pytest.raises(TypeError) as caught:
        pr.map(abs, [1], maxsize="x" * 10_000)  # type: ignore[call-overload]
    assert len(str(caught.value)) < 200
