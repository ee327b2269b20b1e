# cython: language_level=3
"""Interrupting a function that runs in a thread: only it, and never what the thread does next.

Python can raise an exception in another thread at its next bytecode, but the function may return before that,
and the exception would then hit whoever runs next. A guard is a word that both sides change by
compare-and-swap: the thread moves it to RUNNING around the function; who interrupts moves RUNNING to FIRING,
plants the exception, and says FIRED. A thread that finds on its way out that it was fired at takes the
exception back, if it has not been raised yet.

Nothing of this runs Python bytecode in the guarded thread, so the exception cannot strike inside the guard
itself.
"""

from libc.stdint cimport uint32_t

from pypeln._core.c cimport load32, pp_a32, store32

import threading

cdef extern from "atomics.h" nogil:
    bint pp_cas32(pp_a32 *p, uint32_t *expected, uint32_t wanted) noexcept

cdef extern from "Python.h":
    int PyThreadState_SetAsyncExc(unsigned long ident, void *exc)

cdef extern from *:
    """
    #if defined(_WIN32)
    #include <windows.h>
    #define pp_yield() SwitchToThread()
    #else
    #include <sched.h>
    #define pp_yield() sched_yield()
    #endif
    """
    void pp_yield() nogil

cdef enum:
    IDLE = 0
    RUNNING = 1
    FIRING = 2
    FIRED = 3


class Interrupted(BaseException):
    """What is raised in the thread. Never reaches the user, unless his function catches BaseException."""


cdef class Guard:
    """Guards the functions that one thread runs. Made in that thread."""

    def __cinit__(self):
        store32(&self.state, IDLE)
        self.ident = threading.get_ident()
        self.reason = None

    cdef int begin(self) except -1:
        store32(&self.state, RUNNING)
        return 0

    cdef int end(self) except -1:
        """1 when the function was interrupted, whether or not it noticed."""
        cdef uint32_t seen = RUNNING
        if pp_cas32(&self.state, &seen, IDLE):
            return 0
        if seen == IDLE:
            return 0
        with nogil:
            while load32(&self.state) == FIRING:
                pp_yield()
        seen = RUNNING
        if pp_cas32(&self.state, &seen, IDLE):
            return 0
        PyThreadState_SetAsyncExc(self.ident, NULL)
        store32(&self.state, IDLE)
        return 1

    def enter(self):
        """The thread is about to run the function."""
        self.begin()

    def leave(self) -> bool:
        """It is back. True when it was interrupted: `why` says for what reason."""
        return self.end() == 1

    @property
    def why(self):
        """The reason given with the last interruption."""
        return self.reason

    def fire(self, str reason, still=None) -> bool:
        """From another thread: interrupt the function, if it is running now.

        Args:
            reason: What `why` tells afterwards.
            still: Called when the function can no longer return unnoticed: whether it is to be interrupted
                after all.
        """
        cdef uint32_t seen = RUNNING
        if not pp_cas32(&self.state, &seen, FIRING):
            return False
        if still is not None and not still():
            store32(&self.state, RUNNING)
            return False
        self.reason = reason
        PyThreadState_SetAsyncExc(self.ident, <void *>Interrupted)
        store32(&self.state, FIRED)
        return True
