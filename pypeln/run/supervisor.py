"""Starts worker processes, watches and buries them, puts others in their place; interrupts late threads.

One thread for a run that needs it. It sleeps in poll() on the workers' pidfds and report pipes, and on a bell
of its own. A process is dead when the kernel says so on its pidfd, never because it was silent for long: a
stopped process may go on, and would write into what was given to somebody else.
"""

from __future__ import annotations

import os
import select
import signal
import sys
import threading
import time
from typing import TYPE_CHECKING

from pypeln._core import memory
from pypeln._core.memory import STARTING, WAITING, WORKING, fault_point
from pypeln._core.system import now_ns
from pypeln.errors import WorkerDied
from pypeln.run.main_module import UNGUARDED, import_note, refuse_while_imported, unguarded
from pypeln.run.notes import add_note, note_end_of_main_thread, note_place
from pypeln.run.policy import Answer, Outcome
from pypeln.run.process_handle import WorkerProcess
from pypeln.run.process_start import ctrl_c_held_back
from pypeln.run.reports import ErrorReport, Finished, Traceback
from pypeln.run.worker_process import ProcessJob
from pypeln.transport.bells import Bell

if TYPE_CHECKING:
    from pypeln.run.run import Run
    from pypeln.run.worker_thread import WorkerThread

# When a run is aborted, f may finish its element for this long before its process is told to go, ...
GRACE_S = 0.1
# ... and after this much more it is not asked any longer.
TERM_S = 0.4

# A place is filled anew this long after it was filled last, at the soonest, and twice as long for each worker
# in a row that did not come to work at all, up to a limit. So many of those in a row end the run.
RESTART_S = 0.05
LONGEST_RESTART_S = 0.4
FRUITLESS = 12

# Time-outs are looked at this often at least, while f is running somewhere where they matter.
CLOSEST_LOOK_S = 0.005
FARTHEST_LOOK_S = 0.05


class Supervisor:
    """Watches over the workers of one run.

    Args:
        run: The run.
        jobs: One for each worker process.
        threads: Worker threads whose stages have a timeout.
    """

    def __init__(self, run: Run, jobs: list[ProcessJob], threads: list[WorkerThread]) -> None:
        self._run = run
        self._workers = [WorkerProcess(job) for job in jobs]
        self._threads = threads
        self._bell = Bell()
        self._thread = threading.Thread(target=self._watch, name="pypeln supervisor", daemon=True)
        self._deadline = 0.0
        self._next_signal = signal.SIGTERM
        self._over = False
        self._lock = threading.Lock()
        self._freed = False

    def start_processes(self) -> None:
        """Start every worker process. On an error those that run already are ended.

        Raises:
            OSError: The system cannot start another process.
            Exception: What pickling the stage's functions raised, when processes are spawned.
            UnguardedMainError: This process is still importing the program that started it.
            RuntimeError: The run was closed meanwhile.
        """
        import multiprocessing

        refuse_while_imported()
        self._context = multiprocessing.get_context()
        try:
            with ctrl_c_held_back(self._context.get_start_method()):
                for worker in self._workers:
                    if self._run.aborted:  # by a `close` from another thread, which waits for this
                        raise self._run.outcome()
                    worker.start(self._context)
        except BaseException:
            self._end_all()
            raise

    def start_watching(self) -> None:
        """From now on deaths are noticed."""
        self._thread.start()

    def pids(self) -> dict[int, int]:
        """The process of each worker that has one, by its place in the ledger. From any thread."""
        found = {}
        for worker in self._workers:
            process = worker.process
            try:
                if process is not None and process.pid is not None:
                    found[worker.job.number] = process.pid
            except ValueError:  # buried meanwhile
                pass
        return found

    def wake(self) -> None:
        """The run's state has changed: look at it. From any thread, also after the end."""
        with self._lock:
            if not self._freed:
                self._bell.ring()

    def finish(self) -> None:
        """No thread needs watching any more: end as soon as every process has."""
        self._over = True
        self.wake()
        if self._thread.ident is not None:
            self._thread.join()
        self._end_all()  # those that nobody watched, because the thread could not be started
        self._free()

    def _free(self) -> None:
        with self._lock:
            if self._freed:
                return
            self._freed = True
        del self._thread  # one that was never started keeps what it would have run
        self._bell.close()

    # ---- in the supervisor's thread ----

    def _watch(self) -> None:
        try:
            while self._step():
                pass
        except BaseException as error:  # a supervisor that dies silently would be a hang
            self._run.fail(error)
            self._end_all()

    def _step(self) -> bool:
        """Wait for news and act on it; False when there is nothing left to watch."""
        if sys.platform == "win32":
            raise AssertionError("refused before")
        self._start_due()
        living = [worker for worker in self._workers if worker.process is not None]
        if not (living or self._waiting()) and (self._over or not self._threads):
            return False
        poll = select.poll()
        poll.register(self._bell.listen_fd, select.POLLIN)
        for worker in living:
            poll.register(worker.death_fd, select.POLLIN)
            if worker.may_report and worker.reports is not None:
                poll.register(worker.reports.fd, select.POLLIN)
        wait_s = self._wait_s(living)
        news = dict(poll.poll(None if wait_s is None else wait_s * 1000))
        if self._bell.listen_fd in news:
            os.read(self._bell.listen_fd, 8)
        for worker in living:
            if worker.reports is not None and worker.reports.fd in news:
                self._read(worker)
            if worker.process is not None and worker.death_fd in news:
                self._died(worker)
        if self._run.aborted:
            self._hurry()
        else:
            self._check_time()
        return True

    def _read(self, worker: WorkerProcess) -> None:
        """Act on what a worker reports."""
        assert worker.reports is not None
        reports, ended = worker.reports.read()
        # A pipe at its end would be news for ever, while its worker takes its leave.
        worker.may_report = not ended
        for report in reports:
            if isinstance(report, Finished):
                worker.finished = True
            elif isinstance(report, ErrorReport):
                worker.failed = True
                error = report.error
                error.__cause__ = Traceback(report.traceback)
                self._run.fail(error)

    def _died(self, worker: WorkerProcess) -> None:
        """A process has ended, as the kernel says."""
        self._read(worker)
        assert worker.process is not None
        pid = worker.process.pid or 0
        fault_point(b"death noticed")
        code = worker.bury()
        fault_point(b"dead buried")
        # Whether it died with the element for which it was killed, or had gone on to another one.
        late, worker.late_since_ns = worker.late_since_ns, 0
        ledger, number = self._run.wiring.ledger, worker.job.number
        still_late = late == ledger.started_ns(number)
        at_work = ledger.state(number) in (WAITING, WORKING)
        self._settle(worker.job)
        if worker.finished or worker.failed or self._run.aborted:
            return
        if late:
            self._timed_out(worker, still_late)
        else:
            self._killed(worker, pid, code, at_work)

    def _settle(self, job: ProcessJob) -> None:
        """After a death: decide what had been published, then give back what the dead worker held."""
        ledger, number = self._run.wiring.ledger, job.number
        publishing_to = ledger.publishing_to(number)
        for which, (queue, _) in enumerate(job.outlets):
            if which == publishing_to:
                queue.ring.settle(ledger, number, number + 1)
        fault_point(b"ring settled")
        undo = job.calls_f and ledger.undoes(number)
        for arena in self._run.wiring.arenas:
            arena.settle(number + 1, job.holder, undo)
        fault_point(b"arenas settled")
        for queue, _ in job.outlets:
            queue.ring.mend(ledger, number, number + 1)
        if job.inlet is not None:
            job.inlet.ring.mend(ledger, number, number + 1)
        fault_point(b"rings mended")
        if job.calls_f:
            ledger.settle(number)
        fault_point(b"ledger settled")
        self._run.wiring.wake_all()

    def _timed_out(self, worker: WorkerProcess, still_late: bool) -> None:
        """A process was killed for an element that took too long: try it again, or do as the policy says.

        Not still late: the kill hit another element, between the look and it, which is not to suffer.
        """
        ledger, job = self._run.wiring.ledger, worker.job
        fate = memory.RETRY
        if still_late and ledger.has_element(job.number):
            policy = job.stage.policy
            if ledger.tries(job.number) > policy.retries_after(Outcome.TIMED_OUT) or not policy.counts_tries:
                fate = memory.TIMED_OUT
                if policy.answer(Outcome.TIMED_OUT) == Answer.RAISE:
                    index = self._element_in_hand(job)
                    ledger.end_element(job.number, Outcome.TIMED_OUT)
                    error = TimeoutError(f"f took longer than {job.stage.timeout:g} s")
                    note_place(error, job.stage.name, index)
                    self._run.fail(error)
                    return
        self._restart(worker, fate, time.monotonic())

    def _killed(self, worker: WorkerProcess, pid: int, code: int | None, at_work: bool) -> None:
        """A process died that nobody here has killed. At work: not in on_start or on_done."""
        ledger, job = self._run.wiring.ledger, worker.job
        policy = job.stage.policy
        index = self._element_in_hand(job)
        elements = () if index is None else (index,)
        death = WorkerDied(job.stage.name, job.worker, pid, code, elements)
        start_method = self._context.get_start_method()
        if start_method != "fork" and ledger.state(job.number) == STARTING:
            if code == UNGUARDED:
                self._run.fail(unguarded(job.stage.name, start_method))
                return
            if code == 1:  # what Python exits with after an exception
                add_note(death, import_note(start_method))
        if not (policy.restarts and job.calls_f):
            if job.calls_f:
                if index is not None:
                    ledger.end_element(job.number, Outcome.LOST)
            else:
                ledger.lose_rest(job.number)
            self._run.fail(death)
            return
        fate = memory.RETRY
        if index is not None:
            tries = max(1, ledger.tries(job.number))
            ledger.note_try(job.number, tries)
            if tries > policy.retries_after(Outcome.LOST):
                fate = memory.LOST
                # Whoever dies of handing the element on as the policy says would do so for ever. Its index
                # does not name it: where branches join, elements of the same source element share one.
                answered = ledger.answered(job.number)
                if policy.answer(Outcome.LOST) == Answer.RAISE or answered == worker.lost_after:
                    ledger.end_element(job.number, Outcome.LOST)
                    self._run.fail(death)
                    return
                job.death, worker.lost_after = death, answered
        worker.fruitless = 0 if at_work else worker.fruitless + 1
        if worker.fruitless == FRUITLESS:
            add_note(
                death,
                f"{FRUITLESS} processes in a row have died in this place while they started, in on_start or "
                "in on_done",
            )
            self._run.fail(death)
            return
        pause_s = min(RESTART_S * 2**worker.fruitless, LONGEST_RESTART_S)
        self._restart(worker, fate, worker.started_at + pause_s)

    def _element_in_hand(self, job: ProcessJob) -> tuple[int, ...] | None:
        """element_index of what a dead worker had taken and not answered for."""
        ledger = self._run.wiring.ledger
        if job.inlet is None or not ledger.has_element(job.number):
            return None
        leased = job.inlet.inlet(job.number + 1, ledger, job.number)
        return leased.index if leased.resume() else None

    def _restart(self, worker: WorkerProcess, fate: int, due_at: float) -> None:
        """Have another process take the place of one that died."""
        ledger, job = self._run.wiring.ledger, worker.job
        ledger.set_fate(job.number, fate)
        ledger.set_state(job.number, STARTING)
        ledger.add(job.number, "restarts")
        if fate != memory.LOST:
            job.death = None
        worker.due_at = due_at
        fault_point(b"replacement due")

    def _waiting(self) -> list[float]:
        """When processes are to be started."""
        return [worker.due_at for worker in self._workers if worker.due_at is not None]

    def _start_due(self) -> None:
        """Start the processes whose time has come."""
        for worker in self._workers:
            if worker.due_at is None:
                continue
            if self._run.aborted:
                worker.due_at = None
            elif worker.due_at <= time.monotonic():
                worker.due_at = None
                try:
                    with ctrl_c_held_back(self._context.get_start_method()):
                        worker.start(self._context)
                    fault_point(b"replacement started")
                except BaseException as error:  # fork refused: the run cannot go on
                    note_end_of_main_thread(error)
                    self._run.fail(error)

    def _wait_s(self, living: list[WorkerProcess]) -> float | None:
        """How long nothing can need attention unless somebody says so."""
        if self._run.aborted:
            return max(0.0, self._deadline - time.monotonic()) if self._deadline else 0.0
        ledger = self._run.wiring.ledger
        limits = [(worker.job.stage.timeout, worker.job.number) for worker in living]
        limits += [(thread.stage.timeout, thread.number) for thread in self._threads]
        waits = [limit - ledger.busy_s(number) for limit, number in limits if limit > 0]
        if waits:
            waits = [min(max(min(waits), CLOSEST_LOOK_S), FARTHEST_LOOK_S)]
        waits += [max(0.0, due_at - time.monotonic()) for due_at in self._waiting()]
        return min(waits, default=None)

    def _check_time(self) -> None:
        """Kill processes and interrupt threads whose f has taken too long."""
        ledger = self._run.wiring.ledger
        for thread in self._threads:
            thread.interrupt_if_late()
        for worker in self._workers:
            limit, number = worker.job.stage.timeout, worker.job.number
            if limit <= 0 or worker.process is None or worker.late_since_ns:
                continue
            started = ledger.started_ns(number)
            if started and now_ns() - started > limit * 1e9:
                worker.late_since_ns = started
                fault_point(b"process late")
                worker.process.kill()
                fault_point(b"late killed")

    def _hurry(self) -> None:
        """The run is aborted: see that every process goes."""
        if sys.platform == "win32":
            raise AssertionError("refused before")
        now = time.monotonic()
        if not self._deadline:
            self._deadline = now + GRACE_S
        elif now >= self._deadline:
            self._kill_all(self._next_signal)
            self._deadline = now + TERM_S
            self._next_signal = signal.SIGKILL

    def _end_all(self) -> None:
        """Kill and reap every process that is there."""
        if sys.platform == "win32":
            raise AssertionError("refused before")
        self._kill_all(signal.SIGKILL)
        for worker in self._workers:
            if worker.process is not None:
                worker.bury()

    def _kill_all(self, number: signal.Signals) -> None:
        for worker in self._workers:
            if worker.process is not None and worker.process.pid is not None:
                try:
                    os.kill(worker.process.pid, number)
                except ProcessLookupError:
                    pass
