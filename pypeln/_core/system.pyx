# cython: language_level=3, auto_pickle=False
"""What only the system can say or do, the same on all of them: the core's clock, who lives, descriptors."""

from libc.errno cimport errno

from pypeln._core.c cimport PP_OK, pp_now_ns, pp_process_born, pp_process_follow

import os

cdef extern from *:
    """
    #ifdef _WIN32
    #include <io.h>
    #define pp_close_fd _close
    #else
    #include <unistd.h>
    #define pp_close_fd close
    #endif
    """
    int pp_close_fd(int fd)


cdef class DescriptorPair:
    """Two descriptors, or the same twice, that are closed with this object; -1 for none.

    Not by a `__del__`: Ctrl-C may strike in Python code wherever it is, and what is raised there is lost.
    """

    cdef public int listen_fd, ring_fd

    def __cinit__(self, *_args, **_kwargs):
        self.listen_fd = self.ring_fd = -1

    def close(self):
        """Free the descriptors. Idempotent."""
        self._close()

    cdef void _close(self) noexcept:
        cdef int listen_fd = self.listen_fd, ring_fd = self.ring_fd
        self.listen_fd = self.ring_fd = -1
        if listen_fd >= 0:
            pp_close_fd(listen_fd)
        if ring_fd >= 0 and ring_fd != listen_fd:
            pp_close_fd(ring_fd)

    def __dealloc__(self):
        self._close()


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
