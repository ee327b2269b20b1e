"""The main module in worker processes that are not forked: whether they import it, and what goes wrong.

multiprocessing has a spawned process import the main module before anything else, so that what is pickled by
reference is found there. A program without `if __name__ == "__main__":` then runs a second time, and comes to
its own pipeline again, in a process that is to be a worker of it.
"""

from __future__ import annotations

import contextlib
import os
import sys
import threading
import time
import types
from collections.abc import Iterator
from typing import Any

from pypeln.errors import UnguardedMainError

# What a worker process exits with when the import of the program has brought it to a pipeline. Python itself
# exits with 1, multiprocessing with 1 and 255, shells with 126 and above; sysexits.h has 64 to 78.
UNGUARDED = 113

# How long a fork server that has closed its connections may take to end.
SERVER_ENDS_S = 1.0

# How the names of worker processes begin: multiprocessing gives a process its name before it imports.
NAME_PREFIX = "pypeln "

_hiding = threading.Lock()


def main_is_imported(preparation: dict[str, Any]) -> bool:
    """Whether a process that is not forked has the main module under the name `__main__`.

    Args:
        preparation: What `multiprocessing.spawn.get_preparation_data` tells such a process.
    """
    if "init_main_from_path" in preparation:
        return True
    # `python -m package` runs package.__main__, which multiprocessing does not import a second time.
    name = preparation.get("init_main_from_name", "__main__")
    return not (name == "__main__" or name.endswith(".__main__"))


@contextlib.contextmanager
def only_a_file_that_exists() -> Iterator[None]:
    """Meanwhile the main module has no file when it came from stdin, or its file is gone.

    A spawned process would look for a file named <stdin>, and die.
    """
    main = sys.modules["__main__"]
    with _hiding:
        file = getattr(main, "__file__", None)
        hidden = isinstance(file, str) and getattr(main, "__spec__", None) is None and not _exists(file)
        if hidden:
            del main.__file__
        try:
            yield
        finally:
            if hidden:
                main.__file__ = file


def _nobody_hides() -> None:
    """In a forked copy: the thread that had the lock is not there."""
    global _hiding
    _hiding = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_nobody_hides)


def _exists(file: str) -> bool:
    from multiprocessing import process

    # Where multiprocessing looks for it, whatever the working directory is now.
    return os.path.exists(os.path.join(process.ORIGINAL_DIR or "", file))  # type: ignore[attr-defined]


def say_errors_in_one_piece() -> None:
    """In a worker process that is importing the program: a traceback is written by one call.

    All workers of a stage import the program at the same time, and may die of the same error. Until Python
    3.12 the interpreter writes its last line in four pieces, and "RuntimeErrorRuntimeError: : " names none.
    """
    process = sys.modules.get("multiprocessing.process")
    if process is None or sys.excepthook is not sys.__excepthook__:
        return
    current = process.current_process()
    if getattr(current, "_inheriting", False) and current.name.startswith(NAME_PREFIX):
        sys.excepthook = _say_in_one_piece


def _say_in_one_piece(
    kind: type[BaseException], error: BaseException, trace: types.TracebackType | None
) -> None:
    import traceback

    if sys.stderr is not None:
        sys.stderr.write("".join(traceback.format_exception(kind, error, trace)))
        sys.stderr.flush()


def refuse_while_imported() -> None:
    """Starts no pipeline in a process that is still importing the program which has started it.

    A worker process of pypeln ends, and the run that has started it says why. So does a fork server, which
    from CPython 3.13.1 on imports the program before it forks anything.

    Raises:
        UnguardedMainError: Somebody else has started this process.
    """
    from multiprocessing import process

    current = process.current_process()
    if not getattr(current, "_inheriting", False):
        return
    if current.name.startswith(NAME_PREFIX):
        # At once, without what the program does at its end, and without a traceback for each worker.
        os._exit(UNGUARDED)
    message = (
        f"the process {current.name} has imported the program that started it, and comes to a pipeline of "
        f"processes there. {WHAT_TO_WRITE}"
    )
    if current.name == "MainProcess":  # a fork server: only what it forks has a name of its own
        print(f"pypeln: {message}", file=sys.stderr, flush=True)  # it may be the server of others
        os._exit(UNGUARDED)
    raise UnguardedMainError(message)


def fork_server_was_unguarded() -> bool:
    """Whether the fork server, which does not answer, has ended with `UNGUARDED`."""
    from multiprocessing import forkserver

    pid = forkserver._forkserver._forkserver_pid  # type: ignore[attr-defined]
    if sys.platform == "win32" or pid is None or not hasattr(os, "waitid"):
        return False
    give_up_at = time.monotonic() + SERVER_ENDS_S
    while time.monotonic() < give_up_at:
        try:
            # Left for multiprocessing to reap.
            ended = os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT | os.WNOHANG)
        except ChildProcessError:
            return False
        if ended is not None:
            return bool(ended.si_status == UNGUARDED)
        time.sleep(0.001)
    return False


def unguarded(stage_name: str, start_method: str) -> UnguardedMainError:
    """What a run says whose worker process has ended with `UNGUARDED`."""
    return UnguardedMainError(
        f"the worker processes of {stage_name} import the program before they work, because the start method "
        f'is "{start_method}", and come to a pipeline there. {WHAT_TO_WRITE}'
    )


def import_note(start_method: str) -> str:
    """What may help after the death of a worker process that has not come to its work."""
    return (
        f'with the start method "{start_method}" a worker process imports the program first; if that has '
        f"failed, the traceback is above. {WHAT_TO_WRITE}"
    )


WHAT_TO_WRITE = """\
Write below its functions and classes

    if __name__ == "__main__":
        ...

and put there, indented, what only the program itself is to do: its pipelines, and set_start_method."""
