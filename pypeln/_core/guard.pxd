from pypeln._core.c cimport pp_a32


cdef class Guard:
    cdef pp_a32 state
    cdef readonly unsigned long ident
    cdef object reason
    cdef int begin(self) except -1
    cdef int end(self) except -1
