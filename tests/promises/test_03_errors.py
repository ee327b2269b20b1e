"""Errors arrive with their own type and attributes, the traceback of where they happened, stage and index."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest
from support.process_table import children, thread_names

from pypeln import io, pr, sync, th

BAD = 30


class TwoArguments(Exception):
    """Like many errors of libraries: its arguments are not what it was called with."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(f"{code}: {reason}")
        self.code = code
        self.reason = reason


class Keywords(Exception):
    def __init__(self, *, code: int) -> None:
        super().__init__()
        self.code = code


class Plain(Exception):
    """With an attribute that its arguments do not tell."""


def fail_at(x: int) -> int:
    if x == BAD:
        raise TwoArguments(404, "no such thing")
    return x


def fail(x: Any = None) -> None:
    raise TwoArguments(404, "no such thing")


def same(x: Any) -> Any:
    return x


def name(front_end: Any) -> str:
    return front_end.__name__.rpartition(".")[2]


def assert_nothing_left() -> None:
    assert children() == set()
    assert [each for each in thread_names() if "pypeln" in each] == []


def two_arguments() -> Exception:
    return TwoArguments(1, "b")


def keywords() -> Exception:
    return Keywords(code=1)


def file_not_found() -> Exception:
    return OSError(2, "no", "file")


@pytest.mark.parametrize("make", [two_arguments, keywords, file_not_found], ids=lambda make: make.__name__)
def test_promise_03_errors_keep_type_arguments_and_attributes(
    make: Callable[[], Exception], start_method: str
) -> None:
    def raise_it(x: int) -> None:
        error = make()
        error.attribute = {"x": x}  # type: ignore[attr-defined]
        raise error

    error = make()
    with pytest.raises(type(error)) as caught:
        list(pr.map(raise_it, [7]))
    assert vars(caught.value).items() >= {**vars(error), "attribute": {"x": 7}}.items()
    assert caught.value.args == error.args
    assert str(caught.value) == str(error)
    if isinstance(error, OSError):
        assert caught.value.filename == "file"  # type: ignore[attr-defined]
        assert isinstance(caught.value, FileNotFoundError)


def test_promise_03_the_traceback_of_a_process_is_shown(start_method: str) -> None:
    with pytest.raises(TwoArguments) as caught:
        list(pr.map(fail_at, range(2 * BAD)))
    shown = str(caught.value.__cause__)
    assert "in fail_at" in shown
    assert 'raise TwoArguments(404, "no such thing")' in shown
    assert f"stage map(fail_at), element_index ({BAD},)" in shown


@pytest.mark.parametrize("front_end", [th, io, sync], ids=name)
def test_promise_03_the_traceback_of_a_thread_is_its_own(front_end: Any) -> None:
    with pytest.raises(TwoArguments) as caught:
        list(front_end.map(fail_at, range(2 * BAD)))
    assert "fail_at" in [entry.name for entry in caught.traceback]


def test_promise_03_the_cause_of_an_error_is_in_its_traceback(fork: None) -> None:
    def chained(x: int) -> None:
        try:
            raise KeyError("the root of it")
        except KeyError as error:
            raise ValueError("a consequence") from error

    with pytest.raises(ValueError, match="a consequence") as caught:
        list(pr.map(chained, [1]))
    assert "the root of it" in str(caught.value.__cause__)


@pytest.mark.parametrize("moment", ["on_start", "on_done"])
def test_promise_03_callbacks_fail(front: Any, moment: str) -> None:
    with pytest.raises(TwoArguments) as caught:
        list(front.map(same, range(10), maxsize=1, **{moment: lambda: fail()}))
    assert caught.value.__notes__ == ["stage map(same)"]
    assert_nothing_left()


@pytest.mark.parametrize("moment", ["on_start", "on_done"])
def test_promise_03_an_async_callback_fails(moment: str) -> None:
    async def callback() -> None:
        fail()

    with pytest.raises(TwoArguments):
        list(io.map(same, range(10), maxsize=1, **{moment: callback}))
    assert_nothing_left()


@pytest.mark.parametrize("returned", [[("x", 1)], 5, "x", (), False], ids=repr)
def test_promise_03_on_start_returns_neither_dict_nor_none(front: Any, returned: Any) -> None:
    with pytest.raises(TypeError, match=r"on_start of stage map\(same\) returned \w+, not a dict or None"):
        list(front.map(same, range(10), on_start=lambda: returned))
    assert_nothing_left()


def test_promise_03_f_asks_for_what_nobody_supplies(front: Any) -> None:
    with pytest.raises(TypeError, match=r"f of stage map\(.*needs an argument 'connection'"):
        list(front.map(lambda x, connection: x, range(10)))
    assert_nothing_left()


def failing_source() -> Iterator[int]:
    yield from range(BAD)
    fail()


async def failing_async_source() -> AsyncIterator[int]:
    for x in range(BAD):
        yield x
    fail()


def test_promise_03_the_source_fails(front: Any) -> None:
    with pytest.raises(TwoArguments) as caught:
        list(front.map(same, failing_source(), maxsize=1))
    assert caught.value.__notes__ == ["stage from_iterable(generator)"]
    assert_nothing_left()


def test_promise_03_the_source_fails_when_it_is_made(front: Any) -> None:
    class Source:
        def __iter__(self) -> Iterator[int]:
            raise TwoArguments(1, "in __iter__")

    with pytest.raises(TwoArguments):
        list(front.map(same, Source()))
    assert_nothing_left()


def test_promise_03_the_source_fails_in_a_process_of_its_own(start_method: str) -> None:
    class Source:
        def __iter__(self) -> Iterator[int]:
            return failing_source()

    with pytest.raises(TwoArguments):
        list(pr.from_iterable(Source(), use_thread=False))
    assert_nothing_left()


def test_promise_03_an_async_source_fails() -> None:
    with pytest.raises(TwoArguments) as caught:
        list(io.map(same, failing_async_source(), maxsize=1))
    assert caught.value.__notes__ == ["stage from_iterable(async_generator)"]
    assert_nothing_left()


@pytest.mark.parametrize("front_end", [pr, th, io], ids=name)
def test_promise_03_a_trailing_sync_stage_fails(front_end: Any, fork: None) -> None:
    stage = front_end.map(same, itertools.count(), workers=2, maxsize=1)
    with pytest.raises(TwoArguments) as caught:
        list(sync.map(fail_at, stage))
    assert caught.value.__notes__ == [f"stage map(fail_at), element_index ({BAD},)"]
    assert_nothing_left()


def test_promise_03_the_first_of_many_errors_counts(front: Any) -> None:
    def f(x: int) -> None:
        raise Plain(x)

    workers = 1 if front is sync else 4
    with pytest.raises(Plain) as caught:
        list(front.map(f, range(100), workers=workers))
    assert caught.value.__notes__ == [f"stage map(f), element_index ({caught.value.args[0]},)"]
    assert_nothing_left()


def mixed(f: Callable[[int], Any]) -> Any:
    stage = th.map(same, itertools.count(), maxsize=1)
    stage = pr.map(f, stage, workers=2, maxsize=1)
    stage = io.map(same, stage, maxsize=1)
    return sync.map(same, th.map(same, stage, maxsize=1))


def test_promise_03_an_error_crosses_every_kind_of_worker(start_method: str) -> None:
    with pytest.raises(TwoArguments) as caught:
        list(mixed(fail_at))
    assert caught.value.__notes__ == [f"stage map(fail_at), element_index ({BAD},)"]
    assert_nothing_left()
