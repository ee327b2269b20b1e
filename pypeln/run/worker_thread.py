"""What runs inside a worker thread: feeders of sources, and the workers of thread stages."""

from __future__ import annotations

import contextvars
import threading
from typing import TYPE_CHECKING

from pypeln._core.arena import send_results_to
from pypeln._core.feeder import feed
from pypeln._core.guard import Guard, Interrupted
from pypeln._core.memory import RunAborted
from pypeln._core.outlets import Outlets
from pypeln._core.worker import Worker
from pypeln.element import Element
from pypeln.errors import PipelineError
from pypeln.run.batching import Batching, BatchWorker
from pypeln.run.callbacks import WorkerInfo, finish, prepare
from pypeln.run.notes import note_place, unsendable
from pypeln.run.numbering import close_generator
from pypeln.run.order import Ordering, reorder_stage
from pypeln.run.plan import PlannedStage
from pypeln.run.policy import Recovery

if TYPE_CHECKING:
    from pypeln.run.run import Run


class WorkerThread:
    """One worker thread of a run.

    Args:
        run: The run.
        stage: Its stage.
        worker: Its index in the stage.
        context: The context variables it sees.
    """

    def __init__(self, run: Run, stage: PlannedStage, worker: int, context: contextvars.Context) -> None:
        self.stage = stage
        self.worker = worker
        self.number = run.wiring.first[stage.id] + worker
        self.guard: Guard | None = None
        self._run = run
        self._loop: Worker | BatchWorker | None = None
        self.thread = threading.Thread(
            target=context.run, args=(self._main,), name=f"pypeln {stage.name} worker {worker}", daemon=True
        )

    def interrupt_if_late(self) -> None:
        """Raise in f, when it has taken longer than the stage's timeout for one element."""
        ledger, limit = self._run.wiring.ledger, self.stage.timeout
        if self.guard is not None and ledger.busy_s(self.number) > limit:
            self.guard.fire("timeout", lambda: ledger.busy_s(self.number) > limit)

    def interrupt(self) -> None:
        """Raise in f, if it is running: the run ends."""
        if self.guard is not None:
            self.guard.fire("abort")

    @property
    def index(self) -> tuple[int, ...] | None:
        """element_index of what it took last."""
        loop = self._loop
        return None if loop is None else loop.index

    def let_go(self) -> None:
        """The thread has ended, or was never started: a thread that was not keeps what it would have run."""
        del self.thread

    def _main(self) -> None:
        self.guard = Guard()
        try:
            self._work()
        except RunAborted:
            pass
        except Interrupted:
            pass  # only ever planted when the run ends; nothing of the user's is running here
        except BaseException as error:  # whatever f raised
            index = None if self._loop is None else self._loop.index
            if isinstance(error, SystemExit):
                error = _explained(error, self.stage)
            note_place(error, self.stage.name, index)
            self._run.fail(error)
        finally:
            self._loop = None

    def _work(self) -> None:
        run, stage = self._run, self.stage
        wiring = run.wiring
        assert self.guard is not None
        info = WorkerInfo(self.worker)
        outlets = Outlets(
            [wiring.outlet(stage, self.worker, which) for which in range(len(stage.outlets))],
            [outlet.lane for outlet in stage.outlets],
            [run.plan.edges[outlet.edge].ends for outlet in stage.outlets],
            unsendable(stage.name),
        )
        send_results_to(wiring.birthplace(stage))
        injection = prepare(stage, info)
        if stage.operator.feeds:
            iterator = run.source_iterator(stage)
            try:
                windows = wiring.windows_of(stage)
                feed(iterator, outlets, windows, wiring.ledger, self.number, Element, self.guard)
            finally:
                close_generator(iterator)
        elif stage.operator.reorders:
            inlet = wiring.inlet(stage, self.worker)
            assert stage.inlet is not None
            ordering = Ordering(run.plan.edges[stage.inlet].lanes, wiring.windows_behind(stage))
            reorder_stage(inlet, outlets, ordering, wiring.ledger, self.number)
        elif stage.batching is not None:
            inlet = wiring.inlet(stage, self.worker)
            assert stage.inlet is not None
            batching = Batching(stage.batching, run.plan.edges[stage.inlet].lanes)
            self._loop = BatchWorker(inlet, outlets, batching, wiring.ledger, self.number)
            self._loop.run()
            self._loop = None
        else:
            self._loop = Worker(
                stage.operator.emission,
                stage.f,
                injection.kwargs,
                injection.wants_index,
                wiring.inlet(stage, self.worker),
                outlets,
                wiring.ledger,
                self.number,
                Recovery(stage, run.sleep),
                self.guard,
                stage.timeout > 0 or run.watched is not None,
            )
            self._loop.run()
            self._loop = None
        wiring.ledger.finish(self.number)
        first = wiring.first[stage.id]
        places = range(first, first + stage.workers)
        finish(stage, info, injection, lambda: wiring.ledger.active(places))
        outlets.close()


def _explained(error: SystemExit, stage: PlannedStage) -> PipelineError:
    """SystemExit of a worker thread would end the consumer's program if it were raised there."""
    explained = PipelineError(
        f"a function of stage {stage.name} called sys.exit({error.code!r}) in a thread, which cannot end the "
        "program from there; raise another exception to end the pipeline"
    )
    explained.__cause__ = error
    return explained
