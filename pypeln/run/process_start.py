"""Starting a process so that neither a Ctrl-C meanwhile nor a failure leaves anything behind."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
from collections.abc import Iterator
from multiprocessing.process import BaseProcess

from pypeln.run.main_module import (
    NAME_PREFIX,
    fork_server_was_unguarded,
    import_note,
    only_a_file_that_exists,
    unguarded,
)
from pypeln.run.notes import add_note

# multiprocessing flushes the streams before it forks, which takes their locks. A copy that is made while
# another thread has one waits for it at its own end, for ever: runs of several threads fork in turn.
_forking = threading.Lock()

# As many descriptors as asking the fork server takes: a connection and two pipes.
PIPES_TO_ASK = 3


def start_process(process: BaseProcess, start_method: str) -> None:
    """`process.start()`, without the descriptors that multiprocessing forgets when fork is refused.

    Raises:
        OSError: The system cannot start another process.
        RuntimeError: The interpreter, which ends, starts no other process.
        EOFError: The fork server has died.
        UnguardedMainError: It died because it came to this pipeline when it imported the program.
        Exception: What pickling the process's arguments raised, when it is spawned.
    """
    if start_method == "forkserver":
        _have_descriptors(PIPES_TO_ASK)
    try:
        with _forking if start_method == "fork" else only_a_file_that_exists():
            process.start()
    except BaseException as error:  # also a RuntimeError, by which an interpreter that ends refuses
        for fd in _forgotten(error):
            os.close(fd)
        if isinstance(error, (ConnectionError, EOFError)):
            _explain(error, process, start_method)
        raise


def _nobody_forks() -> None:
    """In a forked copy: the thread that had the lock is at its end."""
    global _forking
    _forking = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_nobody_forks)


def _have_descriptors(pipes: int) -> None:
    """Whether so many more pipes can be opened, found out before the fork server is asked.

    It dies of a client that connects and then has nothing to send, because its pipes cannot be opened. With
    it goes the news of every process that it has started, of other runs as well. So in CPython 3.10 to 3.13.

    Raises:
        OSError: They cannot.
    """
    opened: list[int] = []
    try:
        for _ in range(pipes):
            opened += os.pipe()
    finally:
        for fd in opened:
            os.close(fd)


def _explain(error: Exception, process: BaseProcess, start_method: str) -> None:
    """Say why a fork server does not answer.

    Raises:
        UnguardedMainError: It came to this pipeline when it imported the program.
    """
    if start_method != "forkserver":
        return
    if fork_server_was_unguarded():
        raise unguarded(process.name.removeprefix(NAME_PREFIX), start_method) from None
    add_note(error, import_note(start_method))


def _forgotten(error: BaseException) -> list[int]:
    """What popen_fork._launch left open: it makes two pipes, forks, and does not close them when that fails.

    So in CPython 3.10 to 3.14. A function of its own, because a frame that keeps one of those it has called
    is kept by it.
    """
    step = error.__traceback__
    while step is not None:  # as `traceback` does, which takes longer to import than a process to start
        frame, step = step.tb_frame, step.tb_next
        module, function = frame.f_globals.get("__name__"), frame.f_code.co_name
        if (module, function) == ("multiprocessing.popen_fork", "_launch"):
            if hasattr(frame.f_locals["self"], "pid"):
                return []  # it has forked, and they have an owner
            names = ("parent_r", "child_w", "child_r", "parent_w")
            return [frame.f_locals[name] for name in names if name in frame.f_locals]
    return []


@contextlib.contextmanager
def ctrl_c_held_back(start_method: str) -> Iterator[None]:
    """Processes that are started inside are born with SIGINT blocked, and unblock it once they ignore it.

    Otherwise one that has just been forked, or an interpreter that is still importing, would answer Ctrl-C
    with a traceback of its own. Here it is delivered at the end. Children of a fork server are out of reach:
    they get the server's mask.
    """
    if sys.platform == "win32":
        raise AssertionError("refused before")
    if start_method != "fork":
        from multiprocessing import forkserver, resource_tracker

        # Starting the tracker unblocks SIGINT, and a fork server would hand the mask to all its children,
        # ours or not.
        resource_tracker.ensure_running()
        if start_method == "forkserver":
            with only_a_file_that_exists():
                forkserver.ensure_running()
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
