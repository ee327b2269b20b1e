"""Ways in which a worker process ends that it should not, and functions that end so."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable

# The element at which `DieAt` ends its process.
DEADLY = 20


def be_killed() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def be_terminated() -> None:
    os.kill(os.getpid(), signal.SIGTERM)


def leave_without_a_word() -> None:
    os._exit(0)


def leave_with_a_code() -> None:
    os._exit(3)


def sys_exit() -> None:
    sys.exit()


def sys_exit_with_a_code() -> None:
    sys.exit(4)


# And the exit code that each of them leaves.
ENDINGS = {
    be_killed: -signal.SIGKILL,
    be_terminated: -signal.SIGTERM,
    leave_without_a_word: 0,
    leave_with_a_code: 3,
    sys_exit: 0,
    sys_exit_with_a_code: 4,
}


class DieAt:
    """A function that ends its process at one element."""

    def __init__(self, ending: Callable[[], None]) -> None:
        self.ending = ending

    def __call__(self, x: int) -> int:
        if x == DEADLY:
            self.ending()
        return x
