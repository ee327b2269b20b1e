# cython: language_level=3
"""What became of the elements of a stage, where its workers are no native ones."""


cdef class Counters:
    """As in lease.h: `taken` is the sum of those from `emitted` to `lost`, and of what is in hand."""
