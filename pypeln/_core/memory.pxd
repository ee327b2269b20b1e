from libc.stdint cimport uint64_t

from pypeln._core.c cimport load64, pp_a64, pp_lease, pp_segment, pp_window, store64


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


cdef inline void add(pp_a64 *counter, uint64_t count) noexcept:
    # Only its worker writes a counter, others read it: no read-modify-write is needed.
    store64(counter, load64(counter) + count)


cdef inline void more(pp_a64 *counter) noexcept:
    add(counter, 1)
