"""What the public calls of all operators share: their kind of worker, and how they become stages."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pypeln.graph.options import UNDEFINED
from pypeln.graph.partial import Partial
from pypeln.graph.stage import IoStage, Stage
from pypeln.run.plan import Operator, WorkerKind


class Calls:
    """The calls of one kind of worker.

    Args:
        kind: Who executes the stages.
        name: The module that the user calls, `pr`: error messages name it.
    """

    def __init__(self, kind: WorkerKind, name: str) -> None:
        self.kind = kind
        self.name = name

    @property
    def is_io(self) -> bool:
        """Whether `f` may be async, a source an async iterable, and the workers without bound."""
        return self.kind is WorkerKind.TASK

    def make(self, operator: Operator, **description: Any) -> Stage[Any]:
        """A stage of this kind; `description` as in `Stage`, already checked."""
        stage_type: type[Stage[Any]] = IoStage if self.is_io else Stage
        return stage_type(operator=operator, kind=self.kind, **description)

    def complete(self, completed: Callable[[Any], Any], stage: Any, call: str) -> Any:
        """`completed(stage)`, or a partial of it when the stage was left out."""
        return Partial(completed, call) if stage is UNDEFINED else completed(stage)
