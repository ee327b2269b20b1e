from libc.stdint cimport uint16_t, uint64_t

from pypeln._core.c cimport PP_OK, pp_head
from pypeln._core.queue cimport OutPort

ctypedef uint16_t[64] vector_u16


cdef class Outlets:
    cdef list ports
    cdef OutPort only  # the one port, where there is but one and it adds nothing to lanes
    cdef vector_u16 lanes
    cdef list ends
    cdef Py_ssize_t n
    cdef readonly bint wants_ends
    cdef object unsendable
    cdef bint sending
    cdef int known    # references to what is sent that whoever sends it will drop; 0: some may stay
    # Of the element in hand: how many puts this try has come to, and how many more are out since earlier
    # tries, which must not be put again.
    cdef uint64_t puts
    cdef uint64_t skip
    cdef uint64_t waited_ns  # for room, all told
    cdef inline int send(self, object value, const pp_head *head, const uint64_t *extra) except -1:
        """Put an element everywhere.

        What loading or offering raises comes as it is, with `sending` left set: a try block here would cost
        as much as a queue, so callers have one around many elements and ask `wrapped` what to raise.
        """
        self.sending = True
        if self.only is not None and self.skip == 0:
            self.only.known = self.known
            if self.only.give(value, head, extra) != PP_OK:
                self.wait(self.only)
            self.puts += 1
        else:
            self.send_to_all(value, head, extra)
        self.sending = False
        return 0
    cdef int send_to_all(self, object value, const pp_head *head, const uint64_t *extra) except -1
    cdef int wait(self, OutPort port) except -1
    cdef object wrapped(self, object error, const pp_head *head, const uint64_t *extra)
    cdef int end(self, const pp_head *head, const uint64_t *extra, uint64_t count) except -1
    cdef int end_at(self, Py_ssize_t i, const pp_head *head, const uint64_t *extra, uint64_t count) except -1
    cdef int end_element(self, const pp_head *head, const uint64_t *extra) except -1
    cdef int again(self) except -1
    cdef inline void last_try(self) noexcept:
        """No other try follows: what this one did not come to again is out nevertheless."""
        self.puts += self.skip
        self.skip = 0
