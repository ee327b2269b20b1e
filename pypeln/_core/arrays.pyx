# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False, cdivision=True
"""A numpy array as bytes that describe it, and back; its data travels on its own.

    dtype ndim|order shape strides

The dtype is one byte for the common ones, otherwise PICKLED and its pickle; ndim and order share a byte;
sizes are LEB128, strides are there for order STRIDED only, zigzag LEB128. Importing this module imports
numpy, so that only processes that have arrays do; it fills in `decoder.array_calls`.
"""

cimport numpy as np
from cpython.buffer cimport PyBUF_SIMPLE, PyBuffer_Release, PyObject_GetBuffer
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.object cimport PyObject, PyTypeObject
from cpython.ref cimport Py_DECREF, Py_INCREF
from libc.stdint cimport uint64_t, uintptr_t
from libc.string cimport memcpy

from pypeln._core.arena cimport Arenas, BlockView
from pypeln._core.c cimport store64
from pypeln._core.decoder cimport array_calls
from pypeln._core.payload cimport T_NUMPY
from pypeln._core.pickling cimport extent_of

import pickle

from pypeln._core.arena import bear_arrays

np.import_array()

cdef extern from "numpy/arrayobject.h":
    bint PyDataType_REFCHK(np.dtype descr)
    PyTypeObject PyArray_Type
    int NPY_MAXDIMS
    object PyArray_NewFromDescr(
        PyTypeObject *type, np.dtype descr, int nd, const np.npy_intp *dims, const np.npy_intp *strides,
        void *data, int flags, PyObject *obj)
    int PyArray_SetBaseObject(np.ndarray array, object base) except -1
    void PyArray_UpdateFlags(np.ndarray array, int flags)
    object PyArray_NewCopy(np.ndarray array, np.NPY_ORDER order)
    void PyArray_ScalarAsCtype(object scalar, void *number)
    object PyArray_Scalar(void *data, np.dtype descr, PyObject *base)

cdef extern from "Python.h":
    PyTypeObject *Py_TYPE(PyObject *value)

cdef enum:
    PICKLED = 0xFF  # the dtype
    IN_C_ORDER = 0
    IN_F_ORDER = 1
    STRIDED = 2
    NDIM_MOST = 63  # what fits beside the order
    PICKLES_KEPT = 256
    ASIDE_MIN = 2048  # smaller ones go within the pickle, as numpy does it
    DESCRIPTION_MAX = 4096

COMMON = "?bBhHiIqQefdFD"
cdef str NUMBERS = "?bBhHiIlLqQefdFD"
cdef list dtypes = [np.dtype(char) for char in COMMON]
# Of the scalars that are numbers, in this order: each is a type of its own, `long` and `long long` too.
cdef list number_dtypes = [np.dtype(char) for char in NUMBERS]
cdef list number_types = [dtype.type for dtype in number_dtypes]
cdef PyTypeObject *number_type[32]
cdef size_t number_nbytes[32]
cdef unsigned char numbers = 0
cdef object _dtype
for _type, _dtype in zip(number_types, number_dtypes):
    number_type[numbers] = <PyTypeObject *><PyObject *>_type
    number_nbytes[numbers] = _dtype.itemsize
    numbers += 1
# For the type numbers of numpy's own dtypes: the place in COMMON + 1. `long` is one of two others.
cdef unsigned char[256] codes
for _code, _dtype in enumerate(dtypes):
    codes[<int>_dtype.num] = <unsigned char>(_code + 1)
for _dtype in (np.dtype("l"), np.dtype("L")):
    codes[<int>_dtype.num] = <unsigned char>(dtypes.index(_dtype) + 1)

cdef dict pickles = {}    # of dtypes that were described before
cdef dict unpickled = {}


cdef inline int _take(const unsigned char **at, const unsigned char *end, uint64_t *number) except -1:
    cdef int shift = 0
    cdef unsigned char digit
    number[0] = 0
    while True:
        if at[0] == end or shift > 56:
            raise ValueError("the description of an array ends too early or has a size with too many digits")
        digit = at[0][0]
        at[0] += 1
        number[0] |= <uint64_t>(digit & 0x7F) << shift
        if digit < 0x80:
            return 0
        shift += 7


cdef inline unsigned char *_put(unsigned char *at, uint64_t number) noexcept:
    while number >= 0x80:
        at[0] = <unsigned char>(number | 0x80)
        at += 1
        number >>= 7
    at[0] = <unsigned char>number
    return at + 1


cdef bytes _pickled(np.dtype dtype):
    """A dtype as bytes. By identity: two that are equal may differ in their metadata."""
    known = pickles.get(id(dtype))
    if known is None:
        if len(pickles) == PICKLES_KEPT:
            pickles.clear()
        known = pickles[id(dtype)] = (pickle.dumps(dtype, 5), dtype)
    return known[0]


cdef Py_ssize_t describe(PyObject *value, unsigned char *room, Py_ssize_t nbytes_room) except? -2:
    """Write the description of an array; its bytes, or -1 when it is to be pickled."""
    cdef np.ndarray array = <np.ndarray>value
    cdef int i, order, ndim = np.PyArray_NDIM(array), number = np.PyArray_TYPE(array)
    cdef np.dtype dtype = <np.dtype><PyObject *>np.PyArray_DESCR(array)
    cdef unsigned char *at = room
    cdef bytes pickled
    cdef np.npy_intp stride
    if number < 0 or number >= 24 or number == np.NPY_OBJECT or PyDataType_REFCHK(dtype) or ndim > NDIM_MOST:
        return -1
    if codes[number] and np.PyArray_ISNOTSWAPPED(array) and dtype is dtypes[codes[number] - 1]:
        at[0] = codes[number] - 1
        at += 1
    elif codes[number] and np.PyArray_ISNOTSWAPPED(array) and dtype.metadata is None:
        at[0] = codes[number] - 1
        at += 1
    else:
        pickled = _pickled(dtype)
        if PyBytes_GET_SIZE(pickled) > nbytes_room - (NDIM_MOST * 20 + 16):
            return -1
        at[0] = PICKLED
        at = _put(at + 1, PyBytes_GET_SIZE(pickled))
        memcpy(at, PyBytes_AS_STRING(pickled), PyBytes_GET_SIZE(pickled))
        at += PyBytes_GET_SIZE(pickled)
    order = IN_C_ORDER
    if not np.PyArray_IS_C_CONTIGUOUS(array):
        order = IN_F_ORDER if np.PyArray_IS_F_CONTIGUOUS(array) else STRIDED
    at[0] = <unsigned char>(ndim | order << 6)
    at += 1
    for i in range(ndim):
        at = _put(at, np.PyArray_DIM(array, i))
    if order == STRIDED:
        for i in range(ndim):
            stride = np.PyArray_STRIDE(array, i)
            at = _put(at, <uint64_t>stride << 1 if stride >= 0 else ((<uint64_t>~stride) << 1) | 1)
    return at - room


cdef object rebuild(
    const unsigned char *description, size_t nbytes, size_t *used, object base, char *data,
    size_t data_nbytes, bint writeable,
):
    """The array of a description, on memory that `base` keeps alive.

    Raises:
        ValueError: This is no description, or the array would reach beyond its data.
    """
    cdef const unsigned char *at = description
    cdef const unsigned char *end = description + nbytes
    cdef np.dtype dtype
    cdef np.npy_intp[64] shape
    cdef np.npy_intp[64] strides
    cdef uint64_t number = 0, span, reach, low = 0, high = 0
    cdef int i, order, ndim, flags = np.NPY_ARRAY_WRITEABLE if writeable else 0
    cdef bint empty = False
    if nbytes < 2:
        raise ValueError("the description of an array ends too early")
    number = at[0]
    at += 1
    if number < <uint64_t>len(dtypes):
        dtype = dtypes[number]
    elif number == PICKLED:
        dtype = _unpickled_dtype(&at, end)
    else:
        raise ValueError("the description of an array begins with no dtype")
    if at == end:
        raise ValueError("the description of an array ends too early")
    order = at[0] >> 6
    ndim = at[0] & 63
    at += 1
    if order > STRIDED or ndim > min(NPY_MAXDIMS, NDIM_MOST):
        raise ValueError("the description of an array has an impossible order or number of dimensions")
    span = dtype.itemsize
    for i in range(ndim):
        _take(&at, end, &number)
        shape[i] = <np.npy_intp>number
        if number == 0:
            empty = True
    if order == STRIDED:
        for i in range(ndim):
            _take(&at, end, &number)
            strides[i] = ~<np.npy_intp>(number >> 1) if number & 1 else <np.npy_intp>(number >> 1)
            if empty or shape[i] <= 1 or strides[i] == 0:
                continue
            reach = <uint64_t>(strides[i] if strides[i] > 0 else -strides[i])
            if reach > data_nbytes or <uint64_t>(shape[i] - 1) > data_nbytes // reach:
                raise ValueError("an array would reach beyond its data")
            reach *= shape[i] - 1
            if strides[i] > 0:
                high += reach
            else:
                low += reach
            if low + high > data_nbytes:
                raise ValueError("an array would reach beyond its data")
        if not empty and low + high + dtype.itemsize > data_nbytes:
            raise ValueError("an array would reach beyond its data")
    elif not empty:
        for i in range(ndim):
            if span and <uint64_t>shape[i] > data_nbytes // span:
                raise ValueError("an array would reach beyond its data")
            span *= shape[i]
        if span > data_nbytes:
            raise ValueError("an array would reach beyond its data")
    if order == IN_F_ORDER:
        flags |= np.NPY_ARRAY_F_CONTIGUOUS
    Py_INCREF(dtype)  # stolen
    array = PyArray_NewFromDescr(
        &PyArray_Type, dtype, ndim, shape, strides if order == STRIDED else NULL, data + low, flags, NULL)
    Py_INCREF(base)  # stolen
    PyArray_SetBaseObject(array, base)
    PyArray_UpdateFlags(
        array, np.NPY_ARRAY_C_CONTIGUOUS | np.NPY_ARRAY_F_CONTIGUOUS | np.NPY_ARRAY_ALIGNED)
    used[0] = at - description
    return array


cdef np.dtype _unpickled_dtype(const unsigned char **at, const unsigned char *end):
    cdef uint64_t size = 0
    _take(at, end, &size)
    if size > <uint64_t>(end - at[0]):
        raise ValueError("the description of an array ends too early")
    pickled = PyBytes_FromStringAndSize(<const char *>at[0], size)
    at[0] += size
    dtype = unpickled.get(pickled)
    if dtype is None:
        try:
            dtype = pickle.loads(pickled)
        except Exception as error:
            raise ValueError("the description of an array has a dtype that cannot be unpickled") from error
        if not isinstance(dtype, np.dtype) or dtype.hasobject:
            raise ValueError("the description of an array has a dtype that holds objects")
        if len(unpickled) == PICKLES_KEPT:
            unpickled.clear()
        unpickled[pickled] = dtype
    return dtype


cdef int extent(PyObject *value, char **low, size_t *nbytes) except -1:
    """The memory that an array reaches: where it begins, and how far it goes."""
    cdef np.ndarray array = <np.ndarray>value
    cdef int i, ndim = np.PyArray_NDIM(array)
    cdef char *start = <char *>np.PyArray_DATA(array)
    cdef char *end = start + np.PyArray_ITEMSIZE(array)
    cdef np.npy_intp reach
    if np.PyArray_SIZE(array) == 0:
        end = start
        ndim = 0
    for i in range(ndim):
        reach = (np.PyArray_DIM(array, i) - 1) * np.PyArray_STRIDE(array, i)
        if reach > 0:
            end += reach
        else:
            start += reach
    low[0] = start
    nbytes[0] = end - start
    return 0


cdef bint writeable(PyObject *value) noexcept:
    return np.PyArray_ISWRITEABLE(<np.ndarray>value)


cdef PyObject *base(PyObject *value) noexcept:
    return <PyObject *>np.PyArray_BASE(<np.ndarray>value)


cdef PyObject *compact(PyObject *value) except NULL:
    """A new reference to an array of the same elements that fills the memory it reaches."""
    cdef np.ndarray array = <np.ndarray>value
    cdef char *low = NULL
    cdef size_t nbytes = 0
    extent(value, &low, &nbytes)
    # Overlapping elements (a stride of zero) fill less memory than they are; gaps fill more.
    if nbytes != <size_t>(np.PyArray_SIZE(array) * np.PyArray_ITEMSIZE(array)):
        array = PyArray_NewCopy(array, np.NPY_KEEPORDER)
    elif not np.PyArray_IS_C_CONTIGUOUS(array) and not np.PyArray_IS_F_CONTIGUOUS(array):
        array = PyArray_NewCopy(array, np.NPY_KEEPORDER)
    Py_INCREF(array)
    return <PyObject *>array


def reduce_array(np.ndarray array not None):
    """How an array is pickled within something else: its description, and a buffer for its data."""
    cdef unsigned char[DESCRIPTION_MAX] room
    cdef char *low = NULL
    cdef size_t nbytes = 0
    cdef Py_ssize_t written
    cdef object compacted
    extent(<PyObject *>array, &low, &nbytes)
    written = -1 if nbytes < ASIDE_MIN else describe(<PyObject *>array, room, sizeof(room))
    if written < 0:
        return array.__reduce_ex__(5)
    if array_calls.of_pickler == NULL or (<Arenas><object>array_calls.of_pickler).find(low) is None:
        # What is copied is copied without its gaps.
        compacted = <object>compact(<PyObject *>array)
        Py_DECREF(compacted)  # the pointer was a reference of its own
        array = compacted
        extent(<PyObject *>array, &low, &nbytes)
        written = describe(<PyObject *>array, room, sizeof(room))
    buffer = extent_of(array, low, nbytes, not np.PyArray_ISWRITEABLE(array))
    return array_on, (PyBytes_FromStringAndSize(<const char *>room, written), pickle.PickleBuffer(buffer))


def array_on(bytes description not None, buffer):
    """The array that was pickled, on the buffer that has arrived."""
    cdef size_t used = 0
    cdef Py_buffer data
    cdef BlockView view
    if type(buffer) is BlockView:
        view = <BlockView>buffer
        return rebuild(
            <const unsigned char *>PyBytes_AS_STRING(description), PyBytes_GET_SIZE(description), &used,
            view, view.start(), view.nbytes, not view.read_only)
    PyObject_GetBuffer(buffer, &data, PyBUF_SIMPLE)
    try:
        # The array keeps what has the buffer, which nobody else knows and so nobody resizes.
        return rebuild(
            <const unsigned char *>PyBytes_AS_STRING(description), PyBytes_GET_SIZE(description), &used,
            buffer, <char *>data.buf, data.len, not data.readonly)
    finally:
        PyBuffer_Release(&data)


cdef size_t put_number(PyObject *pointer, unsigned char *room) except? 0:
    """Write one of numpy's scalars that are numbers; 0 when it is none."""
    cdef PyTypeObject *kind = Py_TYPE(pointer)
    cdef unsigned char i
    for i in range(numbers):
        if number_type[i] == kind:
            room[0] = T_NUMPY
            room[1] = i
            PyArray_ScalarAsCtype(<object>pointer, room + 2)
            return 2 + number_nbytes[i]
    return 0


cdef object get_number(unsigned char kind, const unsigned char *source, size_t nbytes, size_t *used):
    """What `put_number` wrote behind the tag and the type. Raises ValueError when that is no number."""
    if kind >= numbers or nbytes < number_nbytes[kind]:
        raise ValueError(f"{nbytes} bytes are no number of type {kind}")
    used[0] = number_nbytes[kind]
    return PyArray_Scalar(<void *>source, number_dtypes[kind], NULL)


array_calls.describe = describe
array_calls.put_number = put_number
array_calls.get_number = get_number
array_calls.rebuild = rebuild
array_calls.extent = extent
array_calls.writeable = writeable
array_calls.base = base
array_calls.compact = compact
store64(&array_calls.type, <uintptr_t>&PyArray_Type)  # last: from now on others call the rest


def description(np.ndarray array not None):
    """An array's description as bytes; None when it has to be pickled."""
    cdef unsigned char[4096] room
    cdef Py_ssize_t written = describe(<PyObject *>array, room, sizeof(room))
    return None if written < 0 else PyBytes_FromStringAndSize(<const char *>room, written)


def described(bytes description not None, bytearray data not None, bint writeable=True):
    """The array of a description, on this data."""
    cdef size_t used = 0
    array = rebuild(
        <const unsigned char *>PyBytes_AS_STRING(description), PyBytes_GET_SIZE(description), &used, data,
        data, len(data), writeable)
    return array, used


bear_arrays()
