from libc.stdint cimport uint32_t, uint64_t

from cpython.object cimport PyObject

from pypeln._core.c cimport pp_head, pp_ring
from pypeln._core.queue cimport InPort, OutPort


cdef class LocalRing:
    cdef pp_ring *ring
    cdef void *memory
    cdef uint64_t nbytes


cdef class LocalIn(InPort):
    cdef LocalRing home
    cdef bint own


cdef class LocalOut(OutPort):
    cdef LocalRing home
    cdef object value
    cdef object further
    cdef pp_head head
    cdef int hand_over(self, void *value, const pp_head *place, unsigned char kind) noexcept
