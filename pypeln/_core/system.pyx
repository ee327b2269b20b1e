# cython: language_level=3
"""What only the system can say, the same on all of them: the core's clock, who lives, dying with a parent."""

from libc.errno cimport errno

from pypeln._core.c cimport PP_OK, pp_now_ns, pp_process_born, pp_process_follow

import os


def now_ns() -> int:
    """The clock that leases are kept by: monotonic, and of all processes the same.

    `time.monotonic_ns` is another one on Windows before Python 3.13.
    """
    return pp_now_ns()


def process_born(int pid) -> int:
    """A number that tells a living process from others that had or will have its pid; 0 for a dead one."""
    return pp_process_born(pid)


def die_with(int alive) -> None:
    """Have this process killed when another one ends, whatever its threads are doing then.

    Args:
        alive: The reading end of a pipe that this process alone has; its writing end has only the other one.
            On Windows a handle of the other process.

    Raises:
        OSError: The system does not do it.
    """
    if pp_process_follow(alive) != PP_OK:
        raise OSError(errno, f"cannot follow another process: {os.strerror(errno)}")
