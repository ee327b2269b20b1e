"""Between small scalars and their payloads, written into the loops that move them: most elements are such.

payload.pxd has the layout.
"""
from cpython.object cimport PyObject, PyTypeObject
from libc.stdint cimport int8_t, int16_t, int32_t, int64_t
from libc.string cimport memcpy

from pypeln._core.decoder cimport Opening, decode_payload
from pypeln._core.payload cimport *

# Declared here for PyObject *: Cython's own declarations take `object`, which would be counted.
cdef extern from "Python.h":
    """
    #if PY_VERSION_HEX < 0x030C0000
    #define PP_UNICODE_READY(value) PyUnicode_READY(value)
    #else
    #define PP_UNICODE_READY(value) 0
    #endif

    /* Where the low bytes of a long long begin. */
    #if PY_BIG_ENDIAN
    #define PP_LOW_BYTES(nbytes) (sizeof(long long) - (nbytes))
    #else
    #define PP_LOW_BYTES(nbytes) 0
    #endif

    /* Whether an int has at most 64 bits, and which. Most are of one digit, whose value costs no call. */
    static inline int pp_long_value(PyObject *value, long long *number) {
        int overflow = 0;
    #if PY_VERSION_HEX >= 0x030C0000
        if (PyUnstable_Long_IsCompact((PyLongObject *)value)) {
            *number = PyUnstable_Long_CompactValue((PyLongObject *)value);
            return 1;
        }
    #else
        Py_ssize_t digits = Py_SIZE(value);
        if (-1 <= digits && digits <= 1) {
            *number = digits == 0 ? 0 : digits * (long long)((PyLongObject *)value)->ob_digit[0];
            return 1;
        }
    #endif
        *number = PyLong_AsLongLongAndOverflow(value, &overflow);
        return overflow == 0;
    }
    """
    size_t PP_LOW_BYTES(size_t nbytes)
    int PP_UNICODE_READY(PyObject* value) except -1
    bint pp_long_value(PyObject* value, long long* number) noexcept
    PyTypeObject PyLong_Type, PyFloat_Type, PyUnicode_Type
    PyObject* Py_None
    PyObject* Py_True
    PyObject* Py_False
    PyTypeObject* Py_TYPE(PyObject* value)
    double PyFloat_AS_DOUBLE(PyObject* value)
    int PyUnicode_KIND(PyObject* value)
    void* PyUnicode_DATA(PyObject* value)
    Py_ssize_t PyUnicode_GET_LENGTH(PyObject* value)
    object PyLong_FromLong(long value)
    object PyLong_FromLongLong(long long value)
    object PyFloat_FromDouble(double value)


cdef inline void put(unsigned char* room, unsigned char tag, const void* number, size_t nbytes) noexcept:
    room[0] = tag
    memcpy(room + 1, <const unsigned char*>number + PP_LOW_BYTES(nbytes), nbytes)


cdef inline size_t put_int(PyObject* value, unsigned char* room) except? 0:
    """The payload of an int of at most 64 bits; 0 when it has more."""
    cdef long long number
    if not pp_long_value(value, &number):
        return 0
    if SHORT_INT_MIN <= number <= SHORT_INT_MAX:
        room[0] = <unsigned char>(T_SHORT_INT + (number - SHORT_INT_MIN))
        return 1
    if number == <int8_t>number:
        room[0] = T_INT8
        room[1] = <unsigned char>number
        return 2
    if number == <int16_t>number:
        put(room, T_INT16, &number, 2)
        return 3
    if number == <int32_t>number:
        put(room, T_INT32, &number, 4)
        return 5
    put(room, T_INT64, &number, 8)
    return 9


cdef inline size_t put_float(PyObject* value, unsigned char* room) noexcept:
    cdef double real = PyFloat_AS_DOUBLE(value)
    room[0] = T_FLOAT
    memcpy(room + 1, &real, 8)
    return 9


cdef inline unsigned char singleton_tag(PyObject* value) noexcept:
    """The payload of None, True or False; 0 for anything else."""
    return T_NONE if value == Py_None else T_TRUE if value == Py_True else T_FALSE if value == Py_False else 0


cdef inline size_t encode_scalar(object value, unsigned char* room) except? 0:
    """The payload of an int, float, None, bool or short str into room for SCALAR_MAX bytes; how long it is.

    0 for anything else.
    """
    cdef PyObject* pointer = <PyObject*>value
    cdef PyTypeObject* kind = Py_TYPE(pointer)
    cdef size_t length
    if kind == &PyLong_Type:
        return put_int(pointer, room)
    if kind == &PyFloat_Type:
        return put_float(pointer, room)
    if kind == &PyUnicode_Type:
        PP_UNICODE_READY(pointer)
        length = PyUnicode_GET_LENGTH(pointer)
        if PyUnicode_KIND(pointer) != 1 or length >= SCALAR_MAX:
            return 0
        room[0] = <unsigned char>(T_SHORT_STR + length)
        memcpy(room + 1, PyUnicode_DATA(pointer), length)
        return 1 + length
    room[0] = singleton_tag(pointer)
    return room[0] != 0


cdef inline object decode(const unsigned char* data, size_t nbytes, Opening opening):
    """The value of any payload."""
    cdef unsigned char tag = data[0] if nbytes else 0
    cdef double real
    cdef int16_t int16
    cdef int32_t int32
    cdef int64_t int64
    if tag >= T_SHORT_INT and nbytes == 1:
        return PyLong_FromLong(<long>tag - T_SHORT_INT + SHORT_INT_MIN)
    if tag == T_INT32 and nbytes == 5:
        memcpy(&int32, data + 1, 4)
        return PyLong_FromLong(int32)
    if tag == T_INT16 and nbytes == 3:
        memcpy(&int16, data + 1, 2)
        return PyLong_FromLong(int16)
    if tag == T_FLOAT and nbytes == 9:
        memcpy(&real, data + 1, 8)
        return PyFloat_FromDouble(real)
    if tag == T_INT64 and nbytes == 9:
        memcpy(&int64, data + 1, 8)
        return PyLong_FromLongLong(int64)
    return decode_payload(data, nbytes, opening)
