"""Every error that pypeln itself raises.

Errors of the user's own functions arrive as what they are; these are for what only a pipeline can say.
"""

from __future__ import annotations

from pypeln._core.memory import RunAborted as RunAborted  # raised inside workers; users never see it


class PipelineError(Exception):
    """The base of pypeln's own errors."""


class WorkerDied(PipelineError):
    """A worker process ended without saying why: killed by a signal, or through `os._exit`.

    Attributes:
        stage: Name of the stage, as in `map(f)`.
        worker: Index of the worker in its stage.
        pid: Its process id.
        exitcode: What it exited with; negative is the number of the signal that killed it. None when the
            system could not tell.
        elements: `element_index` of each element it had in hand.
    """

    def __init__(
        self,
        stage: str,
        worker: int,
        pid: int,
        exitcode: int | None,
        elements: tuple[tuple[int, ...], ...] = (),
    ) -> None:
        super().__init__(stage, worker, pid, exitcode, elements)
        self.stage = stage
        self.worker = worker
        self.pid = pid
        self.exitcode = exitcode
        self.elements = elements

    def __str__(self) -> str:
        import signal

        how = "ended for an unknown reason"
        if self.exitcode is not None and self.exitcode < 0:
            try:
                how = f"was killed by {signal.Signals(-self.exitcode).name}"
            except ValueError:
                how = f"was killed by signal {-self.exitcode}"
        elif self.exitcode is not None:
            how = f"exited with code {self.exitcode}"
        hand = ", ".join(str(index) for index in self.elements) or "none"
        return (
            f"worker {self.worker} of stage {self.stage} (pid {self.pid}) {how}; "
            f"elements in hand, by element_index: {hand}"
        )


class RemoteError(PipelineError):
    """An error of a worker that could not be pickled: its type name, message and traceback as text.

    Attributes:
        type_name: Qualified name of the original type.
        message: Its text.
        traceback: The worker's traceback, formatted.
    """

    def __init__(self, type_name: str, message: str, traceback: str = "") -> None:
        super().__init__(type_name, message, traceback)
        self.type_name = type_name
        self.message = message
        self.traceback = traceback

    def __str__(self) -> str:
        return f"{self.type_name}: {self.message}"


class EncodeError(PipelineError, TypeError):
    """An element could not be sent to or from a process, because it cannot be pickled.

    The message names the stage and the element; the cause is what pickle said.
    """


class UnguardedMainError(PipelineError, RuntimeError):
    """A program starts a pipeline of processes while one of its processes is still importing it.

    With the start methods `spawn` and `forkserver` every process imports the program. What only the program
    itself is to do must stand under `if __name__ == "__main__":`.
    """


class ForkedRunError(PipelineError, RuntimeError):
    """A forked copy of a process touched a pipeline that is running in the original."""
