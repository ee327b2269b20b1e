"""Interrupting a function in a thread: only it, and nothing that runs after it."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from pypeln._core.guard import Guard, Interrupted


class Guarded:
    """A thread that runs a function under a guard and says what came of it."""

    def __init__(self, function: Callable[[], None]) -> None:
        self.guard: Guard | None = None
        self.running = threading.Event()
        self.outcome: list[object] = []
        self._function = function
        self._thread = threading.Thread(target=self._main)
        self._thread.start()
        self.running.wait()

    def _main(self) -> None:
        self.guard = Guard()
        self.guard.enter()
        try:
            self.running.set()
            self._function()
            self.outcome.append("returned")
        except Interrupted:
            self.outcome.append("interrupted")
        self.outcome.append(self.guard.leave())
        self.outcome.append(self.guard.why)

    def join(self) -> list[object]:
        self._thread.join()
        return self.outcome


def endless() -> None:
    while True:
        pass


def test_a_running_function_is_interrupted() -> None:
    guarded = Guarded(endless)
    assert guarded.guard is not None
    assert guarded.guard.fire("timeout")
    assert guarded.join() == ["interrupted", True, "timeout"]


def test_it_is_interrupted_only_once() -> None:
    guarded = Guarded(endless)
    assert guarded.guard is not None
    assert guarded.guard.fire("first")
    guarded.guard.fire("second")
    assert guarded.join()[0] == "interrupted"


def test_nobody_is_interrupted_who_should_not_be_after_all() -> None:
    go_on = threading.Event()
    guarded = Guarded(go_on.wait)
    assert guarded.guard is not None
    assert not guarded.guard.fire("timeout", lambda: False)
    go_on.set()
    assert guarded.join() == ["returned", False, None]


def test_whether_it_is_to_be_interrupted_is_asked_while_it_cannot_return() -> None:
    guarded = Guarded(endless)
    assert guarded.guard is not None
    asked: list[bool] = []
    assert guarded.guard.fire("timeout", lambda: asked.append(True) or True)
    assert asked == [True]
    assert guarded.join()[1:] == [True, "timeout"]


def test_before_and_after_the_function_there_is_nothing_to_interrupt() -> None:
    guard = Guard()
    assert not guard.fire("timeout")
    guard.enter()
    assert not guard.leave()
    assert not guard.fire("timeout")
    assert guard.why is None


def test_leaving_without_having_entered_is_no_interruption() -> None:
    assert not Guard().leave()


def test_an_interruption_that_came_too_late_is_taken_back() -> None:
    """The function notices nothing, but the guard knows, and the exception never strikes afterwards."""
    guard = Guard()
    ready, fired = threading.Event(), threading.Event()

    def fire() -> None:
        ready.wait()
        guard.fire("late")
        fired.set()

    def until_fired() -> None:
        # A function of its own: CPython 3.13 leaves the jump back of a loop out of the `try` that it is in.
        while not fired.is_set():
            pass

    thread = threading.Thread(target=fire)
    thread.start()
    guard.enter()
    ready.set()
    interrupted = False
    try:
        until_fired()
    except Interrupted:
        interrupted = True
    assert guard.leave()
    thread.join()
    for _ in range(1000):  # bytecode, in which an exception that was still planted would be raised
        pass
    assert interrupted or fired.is_set()
    assert guard.why == "late"


def test_under_fire_no_exception_strikes_outside_of_the_function() -> None:
    rounds = 3000
    guard_of: list[Guard] = []
    ready, over = threading.Event(), threading.Event()
    inside = outside = noticed = 0

    def work() -> None:
        nonlocal inside, outside, noticed
        guard = Guard()
        guard_of.append(guard)
        ready.set()
        for _ in range(rounds):
            try:
                try:
                    guard.enter()  # may be interrupted before it has returned
                    for _ in range(20):
                        pass
                except Interrupted:
                    inside += 1
                finally:
                    noticed += guard.leave()
                for _ in range(20):
                    pass
            except Interrupted:
                outside += 1

    def shoot() -> None:
        while not over.is_set():
            guard_of[0].fire("shot")

    worker = threading.Thread(target=work)
    worker.start()
    ready.wait()
    shooter = threading.Thread(target=shoot)
    shooter.start()
    worker.join()
    over.set()
    shooter.join()
    assert outside == 0
    assert noticed >= inside


@pytest.mark.parametrize("error", [KeyError, StopIteration])
def test_errors_of_the_function_are_its_own(error: type[Exception]) -> None:
    guard = Guard()
    guard.enter()
    with pytest.raises(error):
        raise error
    assert not guard.leave()
