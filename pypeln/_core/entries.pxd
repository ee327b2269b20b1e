"""Entries, and the ends of queues for coroutines: see entries.pyx."""

from libc.stdint cimport uint64_t

from cpython.object cimport PyObject


cdef enum:
    TAKEN = 0
    NOTHING_YET = 1
    NO_MORE = 2


# Where an element belongs. `further` is its index, a tuple that is owned; NULL stands for (first,).
cdef struct Place:
    PyObject *further
    uint64_t first
    uint64_t lane


cdef struct Slot:
    PyObject *value  # owned
    Place place
    uint64_t count
    bint is_end


cdef object take_value(Slot *slot)
cdef void clear_place(Place *place) noexcept
cdef tuple index_at(const Place *place)
cdef tuple as_entry(Slot *slot)
cdef int read_entry(tuple entry, Slot *slot) except -1
cdef int read_place(tuple index, uint64_t lane, Place *place) except -1


cdef class LoopEnd:
    cdef int pop(self, Slot *slot) except -1
    cdef int push(self, object value, const Place *place, uint64_t lane) except -1


cdef class LoopBuffer(LoopEnd):
    cdef Slot *slots
    cdef Py_ssize_t size
    cdef Py_ssize_t head
    cdef Py_ssize_t length
    cdef public Py_ssize_t bound
    cdef public Py_ssize_t limit
    cdef public Py_ssize_t resume_at
    cdef public Py_ssize_t producers
    cdef readonly bint aborted
    cdef readonly object takers
    cdef readonly object putters
    cdef Slot *append(self) except NULL
    cdef int fetch(self, Slot *slot) except -1
    cdef int drop(self) except -1
