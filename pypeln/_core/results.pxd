from pypeln._core.queue cimport InPort


cdef class Bypass:
    cdef InPort port
