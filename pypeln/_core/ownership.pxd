from cpython.object cimport PyObject
from libc.stdint cimport uint64_t


cdef struct Met:
    PyObject *what
    Py_ssize_t found    # references to it from what was walked
    bint held           # somebody else has it, or something above it


cdef class Reach:
    """What hangs on an element, and which of it nobody else has. Valid until Python code runs."""
    cdef Met *table
    cdef uint64_t size       # of the table, a power of two
    cdef uint64_t count
    cdef PyObject **todo
    cdef uint64_t ntodo
    cdef uint64_t todo_size
    cdef bint holding        # the second walk: what is met is held
    cdef bint lost           # too much, or no memory: nothing is owned
    # known: references to the root that its sender will drop. also: a list of further roots, or NULL.
    cdef int explore(self, PyObject *root, Py_ssize_t known, PyObject *also) except -1
    cdef bint owns(self, PyObject *what) noexcept
    cdef Met *_find(self, PyObject *what) noexcept
    cdef void _meet(self, PyObject *what) noexcept
    cdef void _walk(self) noexcept
    cdef void _push(self, PyObject *what) noexcept
    cdef void _grow(self) noexcept
