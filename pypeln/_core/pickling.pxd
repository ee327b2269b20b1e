from cpython.object cimport PyObject


cdef class Extent:
    """The memory that an array reaches, with its gaps, as bytes of their own."""
    cdef object owner
    cdef char *low
    cdef Py_ssize_t nbytes
    cdef bint read_only
    cdef char *storage       # of a tensor: where that begins, if nobody else has it; NULL otherwise


cdef class Pickling:
    """Pickles values, with their large buffers beside the stream. Belongs to one thread; not reentrant."""
    cdef object pickler
    cdef object table        # of the pickler; a copy of copyreg's with more in it
    cdef list chunks
    cdef list views          # of the value being pickled; None as long as there are none
    cdef bint busy
    cdef object dumps(self, object value)
    cdef int _prepare(self) except -1


cdef extent_of(object owner, char *low, Py_ssize_t nbytes, bint read_only)
