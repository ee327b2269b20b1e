"""What becomes of an element that `f` could not do, in every kind of worker.

An element fails when `f` raises an Exception for it, when it takes longer than `timeout`, when its result
cannot be sent, and when its worker dies. It is first tried again, `retries` times; what then happens is the
`Answer`. Where the words are defined for users: `map`'s docstring and docs/errors.md.
"""

from __future__ import annotations

import enum
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from pypeln.errors import WorkerDied
from pypeln.exception_pickling import traceback_text
from pypeln.failure import Failure
from pypeln.run.notes import note_place

if TYPE_CHECKING:
    from pypeln.run.plan import PlannedStage

# How often an element whose worker died is given to another one, when `retries` does not say.
DEATH_RETRIES: Final = 3
LONGEST_BACKOFF_S: Final = 60.0


class Outcome(enum.IntEnum):
    """How an element of a stage ends, and which counter it is counted in. As in lease.h."""

    EMITTED = 0
    FILTERED = 1
    FAILED = 2
    TIMED_OUT = 3
    LOST = 4


class Answer(enum.IntEnum):
    """What is done about an element that failed for the last time."""

    RAISE = 0  # end the run with the error
    SKIP = 1  # drop it
    COLLECT = 2  # emit a Failure in its place
    REPLACE = 3  # emit what the user's function makes of it


_ANSWERS: Final = {"raise": Answer.RAISE, "skip": Answer.SKIP, "collect": Answer.COLLECT}


class ErrorPolicy:
    """The policy of one stage. Immutable; travels to worker processes with the stage.

    Args:
        on_error: "raise", "skip", "collect", a function of error and element, or None.
        retries: How often an element is tried again; None for the default of each kind of failure.
        backoff: Seconds before the first retry; doubled for each further one.
        restarts: Whether a worker process that died is replaced.
    """

    __slots__ = ("backoff", "on_error", "restarts", "retries")

    def __init__(
        self,
        on_error: str | Callable[[Exception, Any], Any] | None = None,
        retries: int | None = None,
        backoff: float = 0.1,
        restarts: bool = False,
    ) -> None:
        self.on_error = on_error
        self.retries = retries
        self.backoff = backoff
        self.restarts = restarts

    def retries_after(self, outcome: int) -> int:
        """How often an element is tried again that failed in this way, counting all tries that it had."""
        if self.retries is not None:
            return self.retries
        return DEATH_RETRIES if self.restarts and outcome == Outcome.LOST else 0

    @property
    def counts_tries(self) -> bool:
        """Whether anybody will ask how often an element was tried."""
        return self.restarts or bool(self.retries)

    def delay_s(self, tries: int) -> float:
        """How long to wait before the next try, after so many."""
        return min(self.backoff * 2.0 ** min(tries - 1, 100), LONGEST_BACKOFF_S)

    def answer(self, outcome: int) -> Answer:
        """What to do about an element that ends like this."""
        if self.on_error is None:
            # As pypeln always has: a time-out drops its element.
            return Answer.SKIP if outcome == Outcome.TIMED_OUT else Answer.RAISE
        if isinstance(self.on_error, str):
            return _ANSWERS[self.on_error]
        return Answer.REPLACE


DEFAULT: Final = ErrorPolicy()


class Recovery:
    """The policy of a stage as one of its workers follows it.

    Args:
        stage: The stage.
        sleep: Waits for so many seconds, or raises RunAborted when the run ends.
        death: Of what the worker before this one died.
    """

    def __init__(
        self,
        stage: PlannedStage,
        sleep: Callable[[float], Any] = time.sleep,
        death: WorkerDied | None = None,
    ) -> None:
        self._stage = stage
        self._policy = stage.policy
        self._sleep = sleep
        self._death = death
        self.retries = self._policy.retries_after(Outcome.FAILED)
        self.counts_tries = self._policy.counts_tries
        # Whether anybody will ask for an element that failed.
        self.wants_element = self.retries > 0 or self._policy.on_error not in (None, "raise", "skip")

    def answer(self, outcome: int) -> Answer:
        """What to do about an element that ends like this."""
        return self._policy.answer(outcome)

    def wait(self, tries: int) -> Any:
        """Let the time pass that lies before the next try; for tasks an awaitable."""
        return self._sleep(self._policy.delay_s(tries))

    def error(self, outcome: int) -> BaseException:
        """The error of an element for which nothing was raised: it took too long, or killed its worker."""
        if outcome == Outcome.LOST and self._death is not None:
            return self._death
        return TimeoutError(f"f took longer than {self._stage.timeout:g} s")

    def failure(self, error: BaseException, item: Any, index: tuple[int, ...], tries: int) -> Failure:
        """The element that stands for one that failed.

        It has the traceback as text only: the frames would keep everything that `f` had in its hands.
        """
        note_place(error, self._stage.name, index)
        text = traceback_text(error)
        return Failure(item, error.with_traceback(None), text, self._stage.name, index, max(tries, 1))

    def replacement(self, error: BaseException, item: Any, index: tuple[int, ...]) -> Any:
        """What the user's function returns in the place of `f`; for tasks perhaps an awaitable."""
        note_place(error, self._stage.name, index)
        assert callable(self._policy.on_error)
        return self._policy.on_error(error, item)  # type: ignore[arg-type]
