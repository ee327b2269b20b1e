"""What runs inside a worker process, from its first line to its last.

A worker process dies with its parent, whatever f is doing: it holds the reading end of a pipe whose writing
end only the parent has, and is killed when that end closes. It ignores Ctrl-C, which is for the parent to act
on.
"""

from __future__ import annotations

import atexit
import gc
import multiprocessing.util
import os
import signal
import sys
import threading
from typing import Any

from pypeln._core.arena import Arenas, bear_arrays_in
from pypeln._core.feeder import feed
from pypeln._core.guard import Guard
from pypeln._core.memory import Ledger, RunAborted, Segment, Window, fault_point
from pypeln._core.outlets import Outlets
from pypeln._core.queue import InPort, OutPort
from pypeln._core.system import die_with
from pypeln._core.worker import Worker
from pypeln.descriptors import anonymous_file, handed, received
from pypeln.element import Element
from pypeln.errors import WorkerDied
from pypeln.run.batching import Batching, BatchWorker
from pypeln.run.callbacks import WorkerInfo, finish, prepare
from pypeln.run.main_classes import define_classes, pickled_classes
from pypeln.run.main_module import main_is_imported
from pypeln.run.notes import note_place, unsendable
from pypeln.run.numbering import close_generator
from pypeln.run.order import Ordering, reorder_stage
from pypeln.run.plan import PlannedStage
from pypeln.run.policy import Recovery
from pypeln.run.reports import ReportWriter
from pypeln.run.wiring import WindowPlan
from pypeln.transport.bells import ring_fd
from pypeln.transport.shared_memory import SharedQueue

# The descriptors among what a job has.
HANDED = ("report_fd", "alive_fd", "dump_fd", "stage_fd")


class ProcessJob:
    """All that one worker process needs. Inherited by a fork, pickled for a spawn.

    A plain class, like those of `plan`: dataclasses are slow to import.

    Attributes:
        stage: Its stage.
        worker: Its index in the stage.
        number: Its place in the ledger.
        colleagues: The places of all workers of the stage.
        holder: Its process's place among those that hold blocks of arenas; 0 is the parent's.
        control: The segment of the run.
        ledger: Size and offset of the ledger there.
        arenas: Those of all queues of the run.
        inlet: The queue it takes from; None for a source.
        outlets: The queues it puts into, each with its producer number there.
        ends: For each outlet, whether it carries END marks.
        lanes_in: How many lanes arrive.
        windows: Those that its source must not run ahead of, or that it moves as an `ordered` stage.
        report_fd: Where it reports.
        alive_fd: Readable, at its end, when the parent is gone.
        dump_fd: Where it writes its stacks when it is asked to; -1: it is not asked.
        stage_fd: Where it reads its stage and classes, when it is not forked.
        stage_name: The stage's name in the plan.
        death: Of what the worker before this one died, when its element is lost.
    """

    def __init__(
        self,
        *,
        stage: PlannedStage,
        worker: int,
        number: int,
        colleagues: range,
        holder: int,
        control: Segment,
        ledger: tuple[int, int],
        arenas: Arenas,
        inlet: SharedQueue | None,
        outlets: list[tuple[SharedQueue, int]],
        ends: list[bool],
        lanes_in: int,
        windows: list[WindowPlan],
        dump_fd: int,
    ) -> None:
        self.stage = stage
        self.stage_name = stage.name
        self.worker = worker
        self.number = number
        self.colleagues = colleagues
        self.holder = holder
        self.control = control
        self.ledger = ledger
        self.arenas = arenas
        self.inlet = inlet
        self.outlets = outlets
        self.ends = ends
        self.lanes_in = lanes_in
        self.windows = windows
        self.report_fd = -1
        self.alive_fd = -1
        self.dump_fd = dump_fd
        self.stage_fd = -1
        self.death: WorkerDied | None = None

    @property
    def calls_f(self) -> bool:
        """Whether its elements are taken and answered for one by one."""
        return not (self.stage.operator.feeds or self.stage.operator.holds_many)

    @property
    def sees_again(self) -> bool:
        """Whether an element may be given to another process, after the death of one that had it in hand."""
        return self.stage.policy.restarts or self.stage.timeout > 0

    def __getstate__(self) -> dict[str, Any]:
        self._write_stage()
        state = self.__dict__.copy()
        del state["stage"]
        for name in HANDED:
            state[name] = handed(state[name]) if state[name] >= 0 else None
        return state

    def _write_stage(self) -> None:
        """Put stage and classes, pickled, into a file: beside what multiprocessing sends the new process.

        That goes through a pipe, which holds 64 KiB and is read on once the process has imported the program.
        If the import ends the process, who has more to write gets a BrokenPipeError, which does not say why,
        or (`spawn`, until CPython 3.13) waits for ever, because it has the reading end open itself.
        """
        import pickle
        from multiprocessing.spawn import get_preparation_data

        # Bytes until the worker can report what reading them raises.
        imported = main_is_imported(get_preparation_data(""))
        stage = _pickled_stage(self.stage, by_reference=imported)
        classes = {} if imported else pickled_classes()
        self.stage_fd = anonymous_file("pypeln-stage")
        with open(self.stage_fd, "wb", closefd=False) as file:
            pickle.dump((stage, classes), file)

    def forget_written_stage(self) -> None:
        """The process has started, or has not: what was written for it is its own."""
        if self.stage_fd >= 0:
            os.close(self.stage_fd)
            self.stage_fd = -1

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        for name in HANDED:
            setattr(self, name, -1 if state[name] is None else received(state[name]))

    def load_stage(self) -> None:
        """Read the stage, where it came in a file.

        Raises:
            Exception: Whatever a function of the stage, or what belongs to it, raises when it is unpickled
                here.
        """
        import pickle

        if self.stage_fd >= 0:
            with open(self.stage_fd, "rb") as file:
                self.stage_fd = -1
                file.seek(0)
                stage, classes = pickle.load(file)
            define_classes(classes)
            self.stage = pickle.loads(stage)


def _pickled_stage(stage: PlannedStage, by_reference: bool) -> bytes:
    """The stage, if possible by reference where the child has the same `__main__`, and else by value.

    A class copied by value would be another class there. By value goes what has no importable name: lambdas,
    closures, functions of a notebook.
    """
    import pickle

    if by_reference:
        try:
            return pickle.dumps(stage)
        except Exception:  # pickle raises many types for "cannot"
            pass
    from pypeln import by_value

    return by_value.dumps(stage)


def main(job: ProcessJob) -> None:
    """The whole life of a worker process."""
    if sys.platform == "win32":
        raise AssertionError("refused before")
    fault_point(b"process born")
    die_with(job.alive_fd)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if callable(signal.getsignal(signal.SIGTERM)):
        # A handler that a fork inherits is for the program to clean up after itself, which a worker is not.
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})  # see process_start.ctrl_c_held_back
    if job.dump_fd >= 0:
        from pypeln.run.process_stacks import listen

        listen(job.dump_fd)
    leave = _Leave()
    reports = ReportWriter(job.report_fd)
    desk: Desk | None = None
    try:
        job.load_stage()
        fault_point(b"stage loaded")
        desk = Desk(job)
        desk.work()
    except RunAborted:
        pass
    except SystemExit:
        raise  # the process ends with this code, and the run reports that it did
    except BaseException as error:  # whatever f raised
        index = None if desk is None else desk.index()
        note_place(error, job.stage_name, index)
        fault_point(b"error to report")
        reports.failure(error, index)
        fault_point(b"error reported")
    else:
        fault_point(b"outlets closed")
        reports.finished()
        fault_point(b"end reported")
    leave.now_if_free()


class _Leave:
    """Ending the process without the interpreter's farewell, when there is nobody to say it to.

    Everything that Python runs in a forked copy copies pages of its parent, two microseconds each. The
    farewell costs more than the work of a short pipeline. It is for exit functions, finalizers, threads and
    children, if f has made any.
    """

    def __init__(self) -> None:
        # Until now everything here is the parent's, and the parent's to finalize.
        gc.freeze()
        self._exit_functions = atexit._ncallbacks()
        self._finalizers = len(multiprocessing.util._finalizer_registry)  # type: ignore[attr-defined]

    def now_if_free(self) -> None:
        """Does not return if there is nothing that an ordinary exit would do."""
        if (
            threading.active_count() > 1
            or atexit._ncallbacks() != self._exit_functions
            or len(multiprocessing.util._finalizer_registry) != self._finalizers  # type: ignore[attr-defined]
            or multiprocessing.active_children()
        ):
            return
        for stream in (sys.stdout, sys.stderr):
            try:
                stream.flush()
            except (AttributeError, OSError, ValueError):  # none, closed, or nobody reads it
                pass
        os._exit(0)


class Desk:
    """A worker's place of work: its ports, and the stage's functions."""

    def __init__(self, job: ProcessJob) -> None:
        self.job = job
        workers, offset = job.ledger
        self.ledger = Ledger(workers, job.control, offset)
        for arena in job.arenas:
            arena.adopt(job.holder, job.number + 1)
        self.inlet: InPort | None = None
        if job.inlet is not None:
            self.inlet = job.inlet.inlet(job.number + 1, self.ledger, job.number, job.sees_again)
        ports: list[OutPort] = [
            queue.outlet(job.number + 1, producer, self.ledger, job.number, which)
            for which, (queue, producer) in enumerate(job.outlets)
        ]
        lanes = [outlet.lane for outlet in job.stage.outlets]
        self.outlets = Outlets(ports, lanes, job.ends, unsendable(job.stage.name))
        self._windows: list[Window] = []
        for plan in job.windows:
            assert plan.region is not None
            plan.window = Window(None, job.control, plan.region.offset, ring_fd(plan.bell))
            self._windows.append(plan.window)
        self._worker: Worker | BatchWorker | None = None

    def work(self) -> None:
        """From on_start to the close of the outlets."""
        job, stage = self.job, self.job.stage
        info = WorkerInfo(job.worker)
        injection = prepare(stage, info)
        fault_point(b"on_start done")
        if job.outlets and (job.calls_f or stage.batching is not None):
            bear_arrays_in(job.outlets[0][0].arena)
        if stage.operator.feeds:
            iterator = iter(stage.source)
            try:
                feed(iterator, self.outlets, self._windows, self.ledger, job.number, Element, Guard())
            finally:
                close_generator(iterator)
        elif stage.operator.reorders:
            assert self.inlet is not None
            ordering = Ordering(job.lanes_in, job.windows)
            reorder_stage(self.inlet, self.outlets, ordering, self.ledger, job.number)
        elif stage.batching is not None:
            assert self.inlet is not None
            batching = Batching(stage.batching, job.lanes_in)
            self._worker = BatchWorker(self.inlet, self.outlets, batching, self.ledger, job.number)
            self._worker.run()
            self._worker = None
        else:
            assert self.inlet is not None
            self._worker = Worker(
                stage.operator.emission,
                stage.f,
                injection.kwargs,
                injection.wants_index,
                self.inlet,
                self.outlets,
                self.ledger,
                job.number,
                Recovery(stage, death=job.death),
                None,
                stage.timeout > 0 or job.dump_fd >= 0,
            )
            self._worker.run()
            self._worker = None
        fault_point(b"inlet empty")
        self.ledger.finish(job.number)
        fault_point(b"worker finished")
        finish(stage, info, injection, lambda: self.ledger.active(job.colleagues))
        fault_point(b"on_done done")
        self.outlets.close()

    def index(self) -> tuple[int, ...] | None:
        """element_index of the element in hand."""
        return None if self._worker is None else self._worker.index
