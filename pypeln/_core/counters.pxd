"""The counters of a stage, for compiled modules that count: see counters.pyx."""


cdef class Counters:
    cdef public long long taken
    cdef public long long emitted
    cdef public long long filtered
    cdef public long long failed
    cdef public long long timed_out
    cdef public long long lost
    cdef public long long sent
    cdef public long long retried
    cdef public long long restarts
