"""One payload -> one Python value."""
from cpython.object cimport PyObject, PyTypeObject
from libc.stdint cimport uint64_t, uintptr_t

from pypeln._core.arena cimport Arena, Arenas
from pypeln._core.c cimport load64, pp_a64, pp_reference


cdef class Opening:
    """Where a payload lies, so that what is large in it can be looked at where it is."""
    cdef Arenas arenas           # None: everything is copied
    cdef Arena arena             # that the payload lies in; None when it is in no block
    cdef uint64_t offset         # of the encoded value there
    cdef const pp_reference *refs
    cdef uint64_t nrefs
    cdef Arena found             # of the reference read last
    cdef dict classes            # of objects, by the names that came for them
    cdef bint copies             # views could be written to by somebody who may see the element again


# Raises CorruptElement on anything that no Encoder writes, and never reads outside the nbytes. Pickle
# streams are trusted: what unpickling raises comes through unchanged.
cdef object decode_payload(const unsigned char* data, size_t nbytes, Opening opening)


# What `arrays` does, for a decoder and an encoder that must not import numpy: that module fills it in.
cdef struct ArrayCalls:
    pp_a64 type                  # the address of numpy.ndarray; 0 as long as `arrays` is not imported
    Py_ssize_t (*describe)(PyObject *array, unsigned char *room, Py_ssize_t nbytes_room) except? -2
    object (*rebuild)(const unsigned char *description, size_t nbytes, size_t *used, object base, char *data,
                      size_t data_nbytes, bint writeable)
    int (*extent)(PyObject *array, char **low, size_t *nbytes) except -1
    bint (*writeable)(PyObject *array) noexcept
    PyObject *(*base)(PyObject *array) noexcept
    PyObject *(*compact)(PyObject *array) except NULL
    size_t (*put_number)(PyObject *value, unsigned char *room) except? 0
    object (*get_number)(unsigned char kind, const unsigned char *source, size_t nbytes, size_t *used)
    PyObject *of_pickler         # the Arenas of who pickles at this moment, or NULL

cdef ArrayCalls array_calls

cdef inline PyTypeObject *array_type() noexcept:
    """numpy.ndarray, of which there may be values; NULL as long as `array_calls` is empty."""
    return <PyTypeObject *><uintptr_t>load64(&array_calls.type)


# The same for `dates`, which imports datetime.
cdef struct DateCalls:
    pp_a64 known                 # 0 as long as `dates` is not imported
    size_t (*put)(PyObject *value, unsigned char *room) except? 0
    object (*get)(unsigned char tag, const unsigned char *source)

cdef DateCalls date_calls

cdef inline bint dates_are_known() noexcept:
    return load64(&date_calls.known) != 0
