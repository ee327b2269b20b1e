"""How the operators that call a function become stages: map, filter, flat_map, each."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pypeln.graph import options
from pypeln.graph.stage import Stage
from pypeln.operators.calls import Calls
from pypeln.operators.from_iterable import as_stage
from pypeln.run.plan import Emission, Operator, WorkerKind
from pypeln.run.policy import ErrorPolicy


class Applying(Calls):
    """Calls with the arguments that every function-calling operator takes."""

    def policy(
        self, operator: Operator, on_error: Any, retries: Any, backoff: Any, on_worker_death: Any
    ) -> ErrorPolicy:
        """What becomes of elements that `f` cannot do, checked."""
        call = f"{self.name}.{operator.name}"
        checked = options.checked_on_error(call, on_error)
        if callable(checked) and not self.is_io:
            options.check_not_async(call, checked, "on_error")
        return ErrorPolicy(
            checked,
            options.checked_retries(call, retries),
            options.checked_seconds(call, "backoff", backoff, "retry at once"),
            options.checked_choice(call, "on_worker_death", on_worker_death, ("raise", "restart"))
            == "restart",
        )

    def apply(
        self,
        operator: Operator,
        f: Any,
        stage: Any,
        workers: Any,
        maxsize: Any,
        timeout: Any,
        on_start: Any,
        on_done: Any,
        policy: ErrorPolicy,
        then: Callable[[Stage[Any]], Any] | None = None,
    ) -> Any:
        """The stage that applies `f`, or a partial of it; everything but the stage is checked at once.

        Args:
            policy: What becomes of elements that `f` cannot do.
            then: What to do with the complete stage, instead of returning it.
        """
        call = f"{self.name}.{operator.name}"
        if not self.is_io:
            # What map makes of an async function, its coroutines, a later stage of tasks can still await; but
            # no coroutine leaves a process.
            if operator.emission is not Emission.RESULT or self.kind is WorkerKind.PROCESS:
                options.check_not_async(call, f)
            options.check_not_async(call, on_start, "on_start")
            options.check_not_async(call, on_done, "on_done")
        description = {
            "f": options.checked_function(call, "f", f),
            "workers": options.checked_workers(call, workers, least=0 if self.is_io else 1),
            "maxsize": options.checked_maxsize(call, maxsize),
            "timeout": options.checked_seconds(call, "timeout", timeout, "none"),
            "on_start": options.checked_callback(call, "on_start", on_start),
            "on_done": options.checked_callback(call, "on_done", on_done),
            "policy": policy,
        }

        def completed(value: Any) -> Any:
            made = self.make(operator, inputs=(as_stage(self, call, "stage", value),), **description)
            return made if then is None else then(made)

        return self.complete(completed, stage, call)
