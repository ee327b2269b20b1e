"""One execution of a pipeline: plan, allocate, start, deliver, end, join, free.

Whatever ends a run (exhaustion, an error, a consumer that leaves, Ctrl-C, garbage collection, the
interpreter's exit) takes the same road out: `Run.close`. It returns when every process, thread and task of
the run is gone. A thread whose f does not return cannot be ended by anybody; it is named in a warning.
"""

from __future__ import annotations

import atexit
import contextvars
import os
import sys
import threading
import time
import warnings
from collections.abc import Callable, Generator, Iterable, Iterator
from typing import TYPE_CHECKING, Any

from pypeln._core.living import Living
from pypeln._core.memory import COUNTS, RunAborted
from pypeln._core.queue import CLOSED, InPort
from pypeln._core.results import Bypass, Results
from pypeln.element import Element
from pypeln.errors import ForkedRunError
from pypeln.platforms import refuse_on_windows, usable_cpus
from pypeln.run.callbacks import learn
from pypeln.run.interrupts import interrupts_held
from pypeln.run.notes import add_note, note_end_of_main_thread
from pypeln.run.order import Ordering, ordered_elements
from pypeln.run.plan import Plan, PlannedStage, WorkerKind
from pypeln.run.stats import counted
from pypeln.run.time_limit import TimeLimits
from pypeln.run.wiring import Wiring, is_ring, places

if TYPE_CHECKING:
    from pypeln.run.diagnosis import WatchedRun
    from pypeln.run.supervisor import Supervisor
    from pypeln.run.task_control import TaskRun
    from pypeln.run.worker_thread import WorkerThread
    from pypeln.transport.loop_queue import LoopQueue

# How long threads may finish their element when the run is aborted, before f is interrupted, ...
GRACE_S = 0.1
# ... and until they are left behind with a warning; how long a start in another thread may take to end.
JOIN_S = 1.0

# How long the consumer's thread leaves the event loop alone that has just given it many elements: the longest
# that an element is delayed, and a hundred times what a hand-over of the GIL costs.
LOOP_BATCH_S = 0.001

# The longest that the consumer's thread leaves results of processes lying, where there are as many of those
# as CPUs, and being woken for each result would take a CPU from one of them.
LONGEST_NAP_S = 0.001

_live: Living[Run] = Living()
_ends_in_pid = 0
_interpreter_ends = False


class Run:
    """One execution of a plan.

    Args:
        plan: What to execute; not of sync stages only.
        async_sink: Whether the consumer is a coroutine: the task stages then run in its loop.

    Raises:
        MemoryError: There is no memory for the queues.
        ValueError: The pipeline has too many workers.
    """

    def __init__(self, plan: Plan, async_sink: bool = False) -> None:
        self.plan = plan
        self.aborted = False
        self.error: BaseException | None = None
        self.supervisor: Supervisor | None = None
        self.tasks: TaskRun | None = None
        self._threads: list[WorkerThread] = []
        self._on_abort: list[Callable[[], None]] = []
        self._lock = threading.Lock()
        self._starting = threading.RLock()
        self._ended_early = threading.Event()
        self._complete = False
        self._closed = False
        self._pid = os.getpid()
        self._context = contextvars.copy_context()
        _refuse_what_is_missing(plan)
        with interrupts_held():  # or Ctrl-C may come between a descriptor and whoever is to close it
            self.wiring = Wiring(plan, async_sink)
        plan.stats.follow(self._counts, self.wiring.memory)
        self.sink: InPort | LoopQueue = self._open_sink()
        self.watched: WatchedRun | None = None
        if setting := os.environ.get("PYPELN_DEBUG"):
            from pypeln.run.diagnosis import watched_run

            refuse_on_windows("PYPELN_DEBUG")
            self.watched = watched_run(self, setting)
        _live.add(self)

    def start(self) -> None:
        """Start every worker; Ctrl-C waits until that is done, and so does a `close` from another thread.

        Raises:
            RuntimeError: The interpreter ends, and nobody waits for this thread; or the run has been closed.
            Exception: What the system, or a function that cannot be sent, has against the start.
        """
        with self._starting, interrupts_held():
            if _interpreter_ends and threading.current_thread().daemon:
                raise RuntimeError(
                    "the program has ended, and does not wait for this thread, which is a daemon: it starts "
                    "no pipeline any more"
                )
            if self._closed:
                raise self.outcome()
            try:
                self._start()
            except RuntimeError as error:
                note_end_of_main_thread(error)
                raise

    def _start(self) -> None:
        """Processes first: to fork a process that has threads is asking for trouble."""
        stages = self.plan.stages
        for stage in stages:
            if stage.kind is WorkerKind.THREAD:
                from pypeln.run.worker_thread import WorkerThread

                for worker in range(stage.workers):
                    self._threads.append(WorkerThread(self, stage, worker, self._context.copy()))
        timed = [thread for thread in self._threads if thread.stage.timeout > 0]
        if self.wiring.has_processes or timed:
            from pypeln.run.supervisor import Supervisor

            _end_all_before_children_are_awaited()
            # Known before it starts anything, so that `close` ends what it has started.
            self.supervisor = Supervisor(self, self._jobs(), timed)
            self.supervisor.start_processes()
            self.supervisor.start_watching()
        if self.watched is not None:
            self.watched.start()
        tasks = [stage for stage in stages if stage.kind is WorkerKind.TASK]
        if tasks:
            from pypeln.run.task_control import TaskRun

            self.tasks = TaskRun(self, tasks)
            if not self.wiring.async_sink:
                self.tasks.start_thread()
        for thread in self._threads:
            thread.thread.start()

    def fail(self, error: BaseException) -> None:
        """End the run with this error. From any thread; only the first one counts."""
        with self._lock:
            if self.error is None and not self._complete and not self.aborted:
                self.error = error
        self.abort()

    def abort(self) -> None:
        """Make every worker stop as soon as it can. From any thread; idempotent."""
        with self._lock:
            if self.aborted:
                return
            self.aborted = True
        self._ended_early.set()
        self.wiring.abort()
        for wake in self._on_abort:
            wake()
        if self.tasks is not None:
            self.tasks.abort()
        if self.supervisor is not None:
            self.supervisor.wake()

    def source_iterator(self, stage: PlannedStage) -> Iterator[Any]:
        """What a feeder iterates. A queue that others put into is told when this run stops listening."""
        feed = getattr(stage.source, "_feed_run", None)
        if feed is None:
            return iter(stage.source)
        iterator, wake = feed(lambda: self.aborted)
        self._on_abort.append(wake)
        if self.aborted:
            wake()
        return iterator  # type: ignore[no-any-return]

    def sleep(self, seconds: float) -> None:
        """Let a worker thread wait. Raises RunAborted when the run ends early."""
        if self._ended_early.wait(seconds):
            raise RunAborted

    def complete(self) -> None:
        """The consumer has had every element: whatever the workers still do is their way out."""
        self._complete = True

    def close(self) -> None:
        """End the run, if it has not ended, and wait until everything it started is gone. Idempotent."""
        if self._closed or os.getpid() != self._pid:
            return
        self._closed = True
        if not self._complete:
            self.abort()
        # Before Python 3.13 an exception in Thread.join marks a living thread as ended, and nothing waits for
        # it then.
        with interrupts_held(then=self.abort):
            # Then all that is to be ended is known. A start that takes longer may never end: its fork server
            # may be importing a program that does not come back.
            if self._starting.acquire(timeout=JOIN_S):
                self._starting.release()
            stuck = self._join_threads()
            if self.tasks is not None and not self.tasks.join():
                stuck.append("its event loop")
            if self.supervisor is not None:
                self.supervisor.finish()
            if self.watched is not None:
                self.watched.close()
        _live.discard(self)
        self.plan.stats.freeze()
        if stuck:
            warnings.warn(
                f"the pipeline has ended, but {', '.join(stuck)} did not: a function or source that blocks "
                "in a thread cannot be stopped from outside. Give what blocks a timeout of its own",
                RuntimeWarning,
                stacklevel=2,
            )
        else:
            self.wiring.close()
            self._let_go()

    @property
    def succeeded(self) -> bool:
        """Whether the consumer has had every element, and no worker failed on its way out."""
        return self._complete and self.error is None

    def outcome(self) -> BaseException:
        """What to raise, once, when the run did not succeed."""
        if os.getpid() != self._pid:
            return ForkedRunError(
                "this pipeline is running in another process, of which this one is a forked copy; "
                "iterate the stage anew to start a run of your own"
            )
        # Its traceback leads back to the run: not to be kept here as well.
        error, self.error = self.error, None
        return error or RuntimeError("the pipeline was closed while it was being iterated")

    def _counts(self, stage: PlannedStage) -> dict[str, int]:
        """The counts of a stage of native workers."""
        first = self.wiring.first[stage.id]
        sums = dict.fromkeys(COUNTS, 0)
        for place in range(first, first + places(stage)):
            for name, count in self.wiring.ledger.counts(place).items():
                sums[name] += count
        return sums

    def _let_go(self) -> None:
        """Drop the parts: they refer to each other, and would keep the memory until it is collected."""
        self._on_abort.clear()
        for each in self._threads:
            each.let_go()
        self._threads.clear()
        if self.tasks is not None:
            self.tasks.let_go()
            self.tasks = None
        self.supervisor = None
        self.watched = None

    def _open_sink(self) -> InPort | LoopQueue:
        queue = self.wiring.queues[self.plan.sink]
        if not is_ring(queue):
            return queue
        port = queue.inlet(self.wiring.sink_owner)
        edge = self.plan.edges[self.plan.sink]
        kinds = {self.plan.stages[id].kind for id in edge.producers}
        if edge.maxsize == 0 and kinds == {WorkerKind.TASK}:
            port.leave_alone(LOOP_BATCH_S)
        busy = sum(places(stage) for stage in self.plan.stages if stage.kind is WorkerKind.PROCESS)
        if kinds == {WorkerKind.PROCESS} and busy >= usable_cpus():
            port.spare_wakes(LONGEST_NAP_S)
        return port

    def _jobs(self) -> list[Any]:
        """What each worker process is to do."""
        from pypeln.run.worker_process import ProcessJob

        wiring, plan = self.wiring, self.plan
        jobs: list[ProcessJob] = []
        for stage in plan.stages:
            if stage.kind is not WorkerKind.PROCESS:
                continue
            assert wiring.control is not None
            learn(stage)
            first = wiring.first[stage.id]
            if stage.operator.feeds:
                windows = [each for each in wiring.windows if each.source == stage.id]
            else:
                windows = wiring.windows_behind(stage) if stage.operator.reorders else []
            for worker in range(places(stage)):
                outlets = [
                    (wiring.shared_queue(outlet.edge), wiring.producer_base[stage.id, which] + worker)
                    for which, outlet in enumerate(stage.outlets)
                ]
                jobs.append(
                    ProcessJob(
                        stage=stage,
                        worker=worker,
                        number=first + worker,
                        colleagues=range(first, first + places(stage)),
                        holder=len(jobs) + 1,
                        control=wiring.control,
                        ledger=(wiring.workers, 0),
                        arenas=wiring.arenas,
                        inlet=None if stage.inlet is None else wiring.shared_queue(stage.inlet),
                        outlets=outlets,
                        ends=[plan.edges[outlet.edge].ends for outlet in stage.outlets],
                        lanes_in=1 if stage.inlet is None else plan.edges[stage.inlet].lanes,
                        windows=[each.described() for each in windows],
                        dump_fd=-1 if self.watched is None else self.watched.open_dump(first + worker),
                    )
                )
        return jobs

    def _join_threads(self) -> list[str]:
        """Wait for the worker threads; the names of those that did not come."""
        began = time.monotonic()
        waiting = [each for each in self._threads if each.thread.ident is not None]
        while waiting:
            for each in waiting:
                each.thread.join(0.02 if self.aborted else 0.1)
            waiting = [each for each in waiting if each.thread.is_alive()]
            if self.aborted:
                passed = time.monotonic() - began
                if passed > JOIN_S:
                    break
                if passed > GRACE_S:
                    for each in waiting:
                        each.interrupt()
        return [each.thread.name for each in waiting]


def _refuse_what_is_missing(plan: Plan) -> None:
    """Raises NotImplementedError for stages that this platform cannot run."""
    for stage in plan.stages:
        if stage.kind in (WorkerKind.PROCESS, WorkerKind.TASK):
            refuse_on_windows(f"stage {stage.name!r} of {stage.kind.name.lower()} workers")
        elif stage.kind is WorkerKind.THREAD and stage.timeout > 0:
            refuse_on_windows(f"the timeout of stage {stage.name!r}")


def iterate(plan: Plan, return_index: bool) -> Results:
    """Run a plan, starting with the first `next`.

    Args:
        plan: What to run.
        return_index: Yield Elements instead of values.

    Returns:
        An iterator over values, or Elements. It raises:

        - WorkerDied: A worker process was killed or left.
        - BaseException: What a function or a source of the pipeline raised.
    """
    # A generator that had its Results would never be collected when they are dropped; so it has what they
    # share.
    bypass = Bypass()
    return Results(_run(plan, return_index, bypass), bypass)


def _run(plan: Plan, return_index: bool, bypass: Bypass) -> Generator[Any, None, None]:
    limits = TimeLimits()
    try:
        if all(stage.kind is WorkerKind.SYNC for stage in plan.stages):
            from pypeln.run import inline_host

            elements: Iterable[Element] = inline_host.execute(plan, limits)
            if return_index:
                yield from elements
            else:
                for element in elements:
                    yield element.value
            return
        if plan.trailing:
            import pypeln.run.inline_host  # noqa: F401  # while there is all that an import needs
        run = Run(plan)
        try:
            run.start()
            if run.watched is not None:
                run.watched.consumer = sys._getframe()
            port = run.sink
            assert isinstance(port, InPort)
            if not (return_index or plan.trailing or plan.sink_reorders):
                bypass.open(port)
                yield from port
            else:
                if plan.sink_ordered is not None:
                    ordering = Ordering(plan.edges[plan.sink].lanes, run.wiring.windows_behind(None))
                    counters = plan.stats.counters(plan.sink_ordered.id)
                    elements = counted(ordered_elements(port, ordering), counters)
                else:
                    elements = _elements(port)
                if plan.trailing:
                    from pypeln.run import inline_host

                    elements = inline_host.execute_trailing(plan.trailing, elements, limits, plan.stats)
                for element in elements:
                    yield element if return_index else element.value
                    if port.foreign:  # there may be more here that waits for its turn
                        raise RunAborted
            run.complete()
        except Exception as error:
            if isinstance(run.sink, InPort) and run.sink.is_opening:
                note = f"element {run.sink.index} of the pipeline cannot be read in the consumer's process"
                add_note(error, note)
            raise
        except GeneratorExit:
            raise  # before this module is asked for a name: when the interpreter ends it may have none
        except RunAborted:
            # The error is raised below: here it would have this one's frames as its context, and keep the
            # ports.
            pass
        finally:
            bypass.shut()
            run.close()
        if not run.succeeded:
            raise run.outcome()
    finally:
        limits.close()


def _elements(port: InPort) -> Iterator[Element]:
    while True:
        value = port.take()
        if value is CLOSED:
            return
        yield Element(port.index, value)


def _end_all() -> None:
    """At the end of the interpreter: every run ends, and no thread that nobody waits for starts another.

    multiprocessing would wait for the worker processes of one that is started now, and its worker threads
    stop wherever they are.
    """
    global _interpreter_ends
    _interpreter_ends = True  # first: a run is either seen here, or sees this
    for run in _live:
        run.close()


def _end_all_before_children_are_awaited() -> None:
    """Once in each process: multiprocessing waits for children at exit; its workers never run `atexit`."""
    global _ends_in_pid
    if _ends_in_pid != os.getpid():
        from multiprocessing.util import Finalize

        Finalize(None, _end_all, exitpriority=100)
        _ends_in_pid = os.getpid()


def _disown_all() -> None:
    """In a forked copy: the runs belong to the original, and so does its end."""
    global _interpreter_ends
    _interpreter_ends = False
    for run in _live:
        if isinstance(run.sink, InPort):
            run.sink.disown()
    _live.clear()


atexit.register(_end_all)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_disown_all)
