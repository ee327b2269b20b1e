from libc.stdint cimport uint16_t, uint64_t

from pypeln._core.c cimport pp_head
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
    cdef int send(
        self, object value, const pp_head *head, const uint64_t *extra, uint64_t *waited_ns
    ) except -1
    cdef inline bint is_simple(self) noexcept:
        return self.only is not None and self.skip == 0
    cdef int send_one(self, object value, const pp_head *head, const uint64_t *extra) except -1
    cdef int wait(self, OutPort port, uint64_t *waited_ns) except -1
    cdef object wrapped(self, object error, const pp_head *head, const uint64_t *extra)
    cdef int end(self, const pp_head *head, const uint64_t *extra, uint64_t count) except -1
    cdef int end_at(self, Py_ssize_t i, const pp_head *head, const uint64_t *extra, uint64_t count) except -1
    cdef int end_element(self, const pp_head *head, const uint64_t *extra) except -1
    cdef int again(self) except -1
    cdef int last_try(self) except -1
