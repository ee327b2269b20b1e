"""What cannot be pickled or unpickled is an error that names stage and element; never a silent loss."""

from __future__ import annotations

import builtins
import os
import threading
from collections.abc import Callable
from typing import Any

import pytest
from support.process_table import children

from pypeln import EncodeError, RemoteError, WorkerDied, io, pr, th

BAD = 20


def same(x: Any) -> Any:
    return x


class CannotBeReduced:
    def __reduce__(self) -> Any:
        raise LookupError("it does not want to be pickled")


class CannotBeRebuilt:
    """Pickles well; raises where it is unpickled."""

    def __reduce__(self) -> Any:
        return explode, ("it does not want to be unpickled",)


class KillsItsReader:
    """Pickles well; ends the process that unpickles it, unless that is the one that it names."""

    def __init__(self, spared: int) -> None:
        self.spared = spared

    def __reduce__(self) -> Any:
        return leave_unless, (self.spared,)


def explode(message: str) -> None:
    raise LookupError(message)


def leave_unless(spared: int) -> None:
    if os.getpid() != spared:
        os._exit(5)


UNSENDABLE = [threading.Lock, CannotBeReduced, lambda: lambda: None]


@pytest.mark.parametrize("make", UNSENDABLE, ids=["lock", "reduce raises", "lambda"])
@pytest.mark.parametrize("operator", ["map", "flat_map"])
def test_promise_03_a_result_that_cannot_be_pickled(
    make: Callable[[], Any], operator: str, fork: None
) -> None:
    def f(x: int) -> Any:
        result = make() if x == BAD else x
        return [result] if operator == "flat_map" else result

    with pytest.raises(EncodeError) as caught:
        list(getattr(pr, operator)(f, range(1000), workers=2, maxsize=1))
    index = f"({BAD},)" if operator == "map" else f"({BAD}, 0)"
    assert f"stage {operator}(f) cannot send element {index}" in str(caught.value)
    assert isinstance(caught.value, TypeError)
    assert children() == set()


def test_promise_03_a_result_that_cannot_be_pickled_however_workers_start(start_method: str) -> None:
    with pytest.raises(EncodeError, match=r"stage map\(<lambda>\) cannot send element \(20,\)"):
        list(pr.map(lambda x: threading.Lock() if x == BAD else x, range(1000), workers=2, maxsize=1))
    assert children() == set()


@pytest.mark.parametrize("make", UNSENDABLE, ids=["lock", "reduce raises", "lambda"])
def test_promise_03_an_element_of_the_source_that_cannot_be_pickled(
    make: Callable[[], Any], fork: None
) -> None:
    with pytest.raises(EncodeError, match=r"stage from_iterable\(generator\) cannot send element \(20,\)"):
        list(pr.map(same, (make() if x == BAD else x for x in range(1000)), maxsize=1))
    assert children() == set()


@pytest.mark.parametrize("front_end", [th, io], ids=["th", "io"])
def test_promise_03_a_result_for_a_process_that_cannot_be_pickled(front_end: Any, fork: None) -> None:
    made = front_end.map(lambda x: threading.Lock() if x == BAD else x, range(1000), maxsize=1)
    with pytest.raises(EncodeError, match=r"stage map\(<lambda>\) cannot send element \(20,\)"):
        list(pr.map(same, made, maxsize=1))
    assert children() == set()


def test_promise_03_what_stays_in_one_process_need_not_be_pickled(fork: None) -> None:
    locks = list(io.map(same, th.map(lambda _: threading.Lock(), range(5))))
    assert [type(lock) for lock in locks] == [type(threading.Lock())] * 5


def test_promise_03_a_result_that_cannot_be_unpickled_by_the_consumer(start_method: str) -> None:
    with pytest.raises(LookupError, match="it does not want to be unpickled"):
        list(pr.map(lambda x: CannotBeRebuilt() if x == BAD else x, range(1000), workers=2, maxsize=1))
    assert children() == set()


def test_promise_03_an_element_that_cannot_be_unpickled_by_a_worker(fork: None) -> None:
    elements = (CannotBeRebuilt() if x == BAD else x for x in range(1000))
    with pytest.raises(LookupError, match="it does not want to be unpickled") as caught:
        list(pr.map(same, elements, workers=2, maxsize=1))
    assert caught.value.__notes__ == [f"stage map(same), element_index ({BAD},)"]
    assert children() == set()


def test_promise_03_an_element_that_cannot_be_unpickled_by_a_thread(fork: None) -> None:
    made = pr.map(lambda x: CannotBeRebuilt() if x == BAD else x, range(1000), workers=2, maxsize=1)
    with pytest.raises(LookupError, match="it does not want to be unpickled") as caught:
        list(th.map(same, made, maxsize=1))
    assert caught.value.__notes__ == [f"stage map(same), element_index ({BAD},)"]
    assert children() == set()


def test_promise_03_an_element_that_cannot_be_unpickled_by_a_task(fork: None) -> None:
    made = pr.map(lambda x: CannotBeRebuilt() if x == BAD else x, range(1000), workers=2, maxsize=1)
    with pytest.raises(LookupError, match="it does not want to be unpickled"):
        list(io.map(same, made, maxsize=1))
    assert children() == set()


def test_promise_03_an_element_that_kills_who_unpickles_it(fork: None) -> None:
    spared = os.getpid()
    with pytest.raises(WorkerDied) as caught:
        list(pr.map(same, (KillsItsReader(spared) if x == BAD else x for x in range(1000)), workers=2))
    assert caught.value.exitcode == 5
    assert caught.value.elements == ((BAD,),)


def test_promise_03_a_function_that_cannot_be_unpickled_by_the_worker(start_method: str) -> None:
    """A fork has it as it is; elsewhere it is an error of the stage, not a death."""
    rebuilt = CannotBeRebuilt()

    def f(x: int) -> int:
        return x if rebuilt else -1

    if start_method == "fork":
        assert sorted(pr.map(f, range(5))) == list(range(5))
        return
    with pytest.raises(LookupError, match="it does not want to be unpickled") as caught:
        list(pr.map(f, range(5)))
    assert caught.value.__notes__ == ["stage map(f)"]
    assert children() == set()


def test_promise_03_a_function_that_cannot_be_pickled(start_method: str) -> None:
    lock = threading.Lock()

    def f(x: int) -> int:
        with lock:
            return x

    if start_method == "fork":
        assert sorted(pr.map(f, range(5))) == list(range(5))
        return
    with pytest.raises(TypeError, match="lock"):
        list(pr.map(f, range(5), workers=3))
    assert children() == set()


class WithUnpicklableAttribute(Exception):
    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.lock = threading.Lock()


class ReduceRaises(Exception):
    def __reduce__(self) -> Any:
        raise LookupError("it does not want to be pickled")


class RebuildRaises(Exception):
    def __reduce__(self) -> Any:
        return explode, ("it does not want to be unpickled",)


class RebuildsSomethingElse(Exception):
    def __reduce__(self) -> Any:
        return dict, ()


class StrRaises(Exception):
    def __init__(self) -> None:
        super().__init__(threading.Lock())

    def __str__(self) -> str:
        raise LookupError("it has nothing to say")


def unpicklable_attribute() -> Exception:
    return WithUnpicklableAttribute("a message")


def unpicklable_argument() -> Exception:
    return ValueError("a message", threading.Lock())


def str_raises() -> Exception:
    return StrRaises()


@pytest.mark.parametrize("make", [unpicklable_attribute, unpicklable_argument, str_raises])
def test_promise_03_an_error_that_cannot_be_pickled_is_told_as_text(
    make: Callable[[], Exception], start_method: str
) -> None:
    def fail(x: int) -> None:
        raise make()

    with pytest.raises(RemoteError) as caught:
        list(pr.map(fail, range(10), maxsize=1))
    error = caught.value
    kind = type(make())
    assert error.type_name.rpartition(".")[2] == kind.__name__
    assert "raise make()" in error.traceback
    if make is not str_raises:
        assert "a message" in error.message
    assert error.__notes__ == ["stage map(fail), element_index (0,)"]
    assert children() == set()


@pytest.mark.parametrize("kind", [ReduceRaises, RebuildRaises, RebuildsSomethingElse])
def test_promise_03_an_error_whose_own_pickling_fails_keeps_its_type(
    kind: type[Exception], start_method: str
) -> None:
    def fail(x: int) -> None:
        raise kind("a message", x)

    with pytest.raises(kind) as caught:
        list(pr.map(fail, range(10), maxsize=1))
    assert caught.value.args == ("a message", 0)
    assert children() == set()


def test_promise_03_an_error_of_a_class_that_only_a_function_knows(start_method: str) -> None:
    """The class travels too; the consumer's own copy of it only exists where workers are forked."""

    class Local(Exception):
        def __init__(self, code: int) -> None:
            super().__init__(f"code {code}")
            self.code = code

    def fail(x: int) -> None:
        raise Local(404)

    with pytest.raises(Exception, match="code 404") as caught:
        list(pr.map(fail, range(10), maxsize=1))
    assert type(caught.value).__name__ == "Local"
    assert caught.value.code == 404  # type: ignore[attr-defined]


def test_promise_03_a_huge_error_arrives(fork: None) -> None:
    def fail(x: int) -> None:
        raise ValueError("x" * 10_000_000)

    with pytest.raises(ValueError) as caught:  # noqa: PT011 - the message is all of it
        list(pr.map(fail, range(10), workers=2))
    assert len(caught.value.args[0]) == 10_000_000


def test_promise_03_a_group_of_errors_arrives(fork: None) -> None:
    group: Any = getattr(builtins, "ExceptionGroup", None)
    if group is None:
        pytest.skip("this Python has no exception groups")

    def fail(x: int) -> None:
        raise group("several", [ValueError(1), KeyError("k")])

    with pytest.raises(group) as caught:
        list(pr.map(fail, range(10)))
    assert [type(error) for error in caught.value.exceptions] == [ValueError, KeyError]
