"""What becomes of elements that f cannot do: the same on every front end and operator."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from pypeln import Failure, io, pr, sync, th

FRONT_ENDS = {"pr": pr, "th": th, "io": io, "sync": sync}
N = 12
BAD = (3, 7)
POLICIES: dict[str, Any] = {
    "skip": "skip",
    "collect": "collect",
    "replace": lambda error, x: replaced(error, x),
}


class CustomError(Exception):
    """Its args are not those of its __init__."""

    def __init__(self, name: str, number: int) -> None:
        super().__init__(f"{name} has {number}")
        self.number = number


class Unpicklable:
    def __reduce__(self) -> Any:
        raise TypeError("cannot be pickled")


class Explosive:
    """Can be sent, but not read."""

    def __init__(self, number: int) -> None:
        self.number = number

    def __reduce__(self) -> Any:
        return explode, (self.number,)


def explode(number: int) -> Any:
    raise ValueError(f"explosive {number}")


def replaced(error: Exception, x: int) -> Any:
    assert isinstance(error, CustomError)
    assert error.number == x
    return [-x, -x - 1]


def f(x: int) -> Any:
    """For every operator: a list is a result, true, and iterable."""
    if x in BAD:
        raise CustomError("f", x)
    return [x, x]


async def async_f(x: int) -> Any:
    await asyncio.sleep(0)
    return f(x)


def children(x: int) -> Iterator[int]:
    """Fails after two children."""
    yield x
    yield x
    if x in BAD:
        raise CustomError("f", x)


async def async_children(x: int) -> Any:
    for child in (x, x):
        await asyncio.sleep(0)
        yield child
    if x in BAD:
        raise CustomError("f", x)


@pytest.fixture(params=[*FRONT_ENDS, "io async"])
def front(request: pytest.FixtureRequest, fork: None) -> tuple[Any, bool]:
    name, _, is_async = request.param.partition(" ")
    return FRONT_ENDS[name], bool(is_async)


def plain(results: list[Any]) -> list[Any]:
    return [("failed", x.item) if isinstance(x, Failure) else x for x in results]


def expected(operator: str, policy: str) -> list[Any]:
    """What an `ordered` behind the stage gives."""
    found: list[Any] = []
    for x in range(N):
        if x not in BAD:
            found += {"map": [[x, x]], "filter": [x], "flat_map": [x, x], "each": []}[operator]
            continue
        out = [x, x] if operator == "flat_map" else []
        if policy == "collect":
            out.append(("failed", x))
        elif policy == "replace":
            out += {"map": [[-x, -x - 1]], "filter": [x], "flat_map": [-x, -x - 1], "each": []}[operator]
        found += out
    return found


def check_account(stage: Any) -> None:
    """Every element that was taken has one end, and what a stage sent the next one took."""
    before = None
    for stats in stage.pipeline_stats():
        ended = stats.emitted + stats.filtered + stats.failed + stats.timed_out + stats.lost
        assert stats.taken == ended, stats
        assert stats.in_hand == 0
        assert before is None or before.sent == stats.taken, (before, stats)
        before = stats


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("operator", ["map", "filter", "flat_map", "each"])
def test_every_policy_of_every_operator(front: tuple[Any, bool], operator: str, policy: str) -> None:
    module, is_async = front
    call: Callable[..., Any] = getattr(module, operator)
    if operator == "flat_map":
        function: Any = async_children if is_async else children
    else:
        function = async_f if is_async else f
    stage = call(function, range(N), workers=2, maxsize=4, on_error=POLICIES[policy], retries=1, backoff=0)
    ordered = module.ordered(stage)
    assert plain(list(ordered)) == expected(operator, policy)
    stats = stage.stats()
    assert (stats.taken, stats.emitted, stats.failed, stats.retried) == (N, N - 2, 2, 2)
    check_account(ordered)


def test_a_failure_tells_everything(front: tuple[Any, bool]) -> None:
    module, is_async = front
    stage = module.map(async_f if is_async else f, range(4), on_error="collect", retries=2, backoff=0)
    (failure,) = [x for x in stage if isinstance(x, Failure)]
    assert (failure.item, failure.index, failure.attempts) == (3, (3,), 3)
    assert isinstance(failure.error, CustomError)
    assert failure.error.number == 3
    assert failure.error.__traceback__ is None
    assert failure.stage in failure.traceback
    assert "raise CustomError" in failure.traceback


@pytest.mark.parametrize("on_error", [None, "raise"])
def test_errors_are_raised_after_all_tries(front: tuple[Any, bool], on_error: Any) -> None:
    module, is_async = front
    stage = module.map(async_f if is_async else f, range(N), on_error=on_error, retries=2, backoff=0)
    with pytest.raises(CustomError, match="f has 3") as caught:
        list(stage)
    assert caught.value.number == 3
    stats = stage.stats()
    assert (stats.failed, stats.retried) == (1, 2)
    assert stats.taken == stats.emitted + stats.failed + stats.lost


def test_a_handler_that_raises_ends_the_run(front: tuple[Any, bool]) -> None:
    module, is_async = front

    def handler(error: Exception, x: int) -> Any:
        raise KeyError(x) from error

    with pytest.raises(KeyError, match="3"):
        list(module.map(async_f if is_async else f, range(N), on_error=handler))


def test_a_handler_of_tasks_may_be_async() -> None:
    async def handler(error: Exception, x: int) -> Any:
        await asyncio.sleep(0)
        return -x

    assert list(io.ordered(io.map(async_f, range(5), on_error=handler)))[3] == -3


@pytest.mark.parametrize("module", [pr, th, sync])
def test_elsewhere_it_is_refused(module: Any) -> None:
    async def handler(error: Exception, x: int) -> Any: ...

    with pytest.raises(TypeError, match="on_error is async"):
        module.map(f, [1], on_error=handler)


@pytest.mark.parametrize(
    ("option", "value", "error"),
    [
        ("on_error", "ignore", ValueError),
        ("on_error", 5, TypeError),
        ("retries", -1, ValueError),
        ("retries", 1.5, TypeError),
        ("retries", True, TypeError),
        ("backoff", -1, ValueError),
        ("backoff", "1", TypeError),
        ("on_worker_death", "ignore", ValueError),
        ("on_worker_death", None, TypeError),
    ],
)
def test_a_wrong_option_is_refused_at_once(option: str, value: Any, error: type[Exception]) -> None:
    for module in FRONT_ENDS.values():
        with pytest.raises(error, match=option):
            module.map(f, [1], **{option: value})


def test_a_retry_that_succeeds_leaves_no_trace_in_the_results(front: tuple[Any, bool]) -> None:
    """A flat_map that fails once after two children: they are not sent again, and the numbers go on."""
    module, _ = front
    tried: set[int] = set()

    def flaky(x: int) -> Iterator[Any]:
        for i in range(4):
            if i == 2 and x not in tried:
                tried.add(x)
                raise CustomError("flaky", x)
            yield x, i

    stage = module.flat_map(flaky, range(5), workers=1, retries=1, backoff=0)
    elements = list(module.ordered(stage).to_iterable(return_index=True))
    assert [(element.index, element.value) for element in elements] == [
        ((x, i), (x, i)) for x in range(5) for i in range(4)
    ]
    stats = stage.stats()
    assert (stats.emitted, stats.failed, stats.retried, stats.sent) == (5, 0, 5, 20)


def test_two_consumers_get_the_same(front: tuple[Any, bool]) -> None:
    module, is_async = front
    shared = module.map(async_f if is_async else f, range(N), workers=2, on_error="collect")
    both = module.concat([module.map(same, shared), module.map(same, shared)])
    found = plain(list(both))
    assert sorted(map(repr, found)) == sorted(map(repr, 2 * expected("map", "collect")))


def same(x: Any) -> Any:
    return x


def test_a_timeout_follows_the_policy(front: tuple[Any, bool]) -> None:
    module, is_async = front

    def slow(x: int) -> int:
        if x == 3:
            end = time.monotonic() + 30
            while time.monotonic() < end:
                time.sleep(0.01)
        return x

    async def async_slow(x: int) -> int:
        if x == 3:
            await asyncio.sleep(30)
        return x

    if module is io and not is_async:
        pytest.skip("a function that is not async cannot be cancelled")
    function: Any = async_slow if is_async else slow
    options = {"timeout": 0.1, "retries": 1, "backoff": 0}
    stage = module.map(function, range(6), on_error="collect", **options)
    results = list(module.ordered(stage))
    assert plain(results) == [0, 1, 2, ("failed", 3), 4, 5]
    assert isinstance(results[3].error, TimeoutError)
    assert results[3].attempts == 2
    stats = stage.stats()
    assert (stats.timed_out, stats.retried, stats.failed) == (1, 1, 0)
    with pytest.raises(TimeoutError, match=r"longer than 0\.1 s"):
        list(module.map(function, range(6), on_error="raise", **options))
    dropping = module.map(function, range(6), timeout=0.1)
    assert list(module.ordered(dropping)) == [0, 1, 2, 4, 5]
    assert dropping.stats().timed_out == 1
    replacing = module.map(function, range(6), on_error=lambda error, x: -x, timeout=0.1)
    assert list(module.ordered(replacing)) == [0, 1, 2, -3, 4, 5]


@pytest.mark.parametrize("module", [pr, th, io])
def test_a_pipeline_can_be_left_while_a_worker_backs_off(module: Any, fork: None) -> None:
    stage = module.map(f, range(N), retries=5, backoff=60)
    iterator = iter(stage)
    assert next(iterator) == [0, 0]
    began = time.monotonic()
    iterator.close()
    assert time.monotonic() - began < 30


def test_results_that_cannot_be_sent_are_failures(start_method: str) -> None:
    stage = pr.map(unpicklable, range(6), workers=2, on_error="collect")
    results = list(pr.ordered(stage))
    assert plain(results) == [0, 1, 2, ("failed", 3), 4, 5]
    assert "cannot be pickled" in str(results[3].error)


def unpicklable(x: int) -> Any:
    return Unpicklable() if x == 3 else x


@pytest.mark.parametrize("module", [pr, th])
def test_elements_that_cannot_be_read_are_failures(module: Any, fork: None) -> None:
    """Sent by one process, to be read by another one or by a thread of the parent."""
    sent = pr.map(explosive, range(6))
    stage = module.map(same, sent, on_error="collect")
    results = list(module.ordered(stage))
    assert plain(results) == [0, 1, 2, ("failed", None), 4, 5]
    assert "explosive 3" in str(results[3].error)
    assert list(module.ordered(module.map(same, sent, on_error="skip"))) == [0, 1, 2, 4, 5]
    with pytest.raises(ValueError, match="explosive 3"):
        list(module.map(same, sent))


def explosive(x: int) -> Any:
    return Explosive(3) if x == 3 else x


@pytest.mark.parametrize("module", [th, sync])
def test_what_ends_a_program_is_no_failure(module: Any) -> None:
    def interrupted(x: int) -> int:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        list(module.map(interrupted, range(3), on_error="skip", retries=3))
