from libc.stdint cimport uint64_t

from pypeln._core.c cimport pp_a64, pp_lease, pp_segment, pp_window


cdef class Segment:
    cdef pp_segment segment


cdef class Ledger:
    cdef pp_lease *leases
    cdef void *heap
    cdef readonly Py_ssize_t workers
    cdef Segment segment
    cdef pp_lease *at(self, Py_ssize_t worker) except NULL


cdef class Window:
    cdef pp_window *window
    cdef void *heap
    cdef int bell
    cdef Segment segment


cdef class Roster:
    cdef pp_a64 *words
    cdef Py_ssize_t places
    cdef Segment segment
