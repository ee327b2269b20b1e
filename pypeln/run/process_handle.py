"""One worker process, as the supervisor holds it: starting it, being told of its death, burying it."""

from __future__ import annotations

import os
import time
from multiprocessing.process import BaseProcess
from typing import Any

from pypeln._core.memory import fault_point
from pypeln.run.death import Death
from pypeln.run.main_module import NAME_PREFIX
from pypeln.run.private_fds import close_private, own_privately
from pypeln.run.process_start import start_process
from pypeln.run.reports import ReportReader
from pypeln.run.worker_process import ProcessJob, main

# How long another thread may take to tell the exit code of a process that it has reaped.
FOREIGN_REAP_S = 0.1


class WorkerProcess:
    """One worker process: its job, and what is known of it."""

    def __init__(self, job: ProcessJob) -> None:
        self.job = job
        self.process: BaseProcess | None = None
        self.death: Death | None = None
        self.alive_fd = -1  # its closing, by us or by our death, is the worker's
        self.reports: ReportReader | None = None
        self.may_report = False
        self.finished = False
        self.failed = False
        self.late_since_ns = 0  # started_ns of the element that it was killed for
        self.started_at = 0.0
        self.fruitless = 0  # processes in a row, until now, that died before or after their work
        # The element handed on last as one that kills, by how many had ended in this place before it.
        self.lost_after: int | None = None
        self.due_at: float | None = None  # when the next one is to be started

    def start(self, context: Any) -> None:
        """Start the process, with a new pipe for its reports and one that tells it that this process lives.

        Raises:
            Exception: It could not be started, or not be watched; then there is no process.
        """
        reading, self.job.report_fd = _pipe_to_child(parent_reads=True)
        try:
            # Its own, because a description that several processes share asks to signal only one of them.
            self.alive_fd, self.job.alive_fd = _pipe_to_child(parent_reads=False)
            try:
                process = context.Process(
                    target=main, args=(self.job,), name=NAME_PREFIX + self.job.stage.name
                )
                start_process(process, context.get_start_method())
                fault_point(b"process started")
            except BaseException:
                self._release_alive()
                raise
            finally:
                self.job.forget_written_stage()
                os.close(self.job.alive_fd)
        except BaseException:
            close_private(reading)
            raise
        finally:
            os.close(self.job.report_fd)
        self.started_at = time.monotonic()
        self.process = process
        self.reports = ReportReader(reading)
        self.may_report = True
        try:
            self.death = Death(process)
        except BaseException:
            process.kill()
            self.bury()
            raise

    @property
    def death_fd(self) -> int:
        """Readable when the process has ended."""
        assert self.death is not None
        return self.death.fd

    def bury(self) -> int | None:
        """Reap the process and free what belongs to it; its exit code."""
        process: Any = self.process
        assert process is not None and self.reports is not None
        code = self._reap(process)
        if self.death is not None:
            self.death.close()
            self.death = None
        self.reports.close()
        self.reports = None
        self._release_alive()
        # Not the process itself: in CPython 3.10 a start in another thread, which still has it in the list of
        # those to reap, would fail by an AttributeError.
        process._popen.close()
        self.process = None
        return code

    @staticmethod
    def _reap(process: Any) -> int | None:
        """Wait until a process has ended; its exit code, None when somebody else has taken it.

        Whoever starts a process has multiprocessing reap all that have ended. In another thread it may be
        between the system's answer and the note it makes of it, and will be back in a moment. For good the
        code is gone when the program ignores SIGCHLD or waits for all children itself.
        """
        process.join()
        give_up_at = time.monotonic() + FOREIGN_REAP_S
        while process.exitcode is None:
            if time.monotonic() > give_up_at:
                process._popen.returncode = 255  # what multiprocessing says for unknown; it asks no more
                return None
            time.sleep(0.0005)
        code: int = process.exitcode
        return code

    def _release_alive(self) -> None:
        close_private(self.alive_fd)
        self.alive_fd = -1


def _pipe_to_child(parent_reads: bool) -> tuple[int, int]:
    """A pipe as (our end, the child's end)."""
    reading, writing = os.pipe()
    ours, childs = (reading, writing) if parent_reads else (writing, reading)
    return own_privately(ours), childs
