# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False, cdivision=True
"""Decodes payloads (payload.pxd has the layout). Believes nothing that it reads but pickle streams."""
cimport cython
from cpython.bytearray cimport PyByteArray_AS_STRING
from cpython.buffer cimport PyBUF_READ
from cpython.bytearray cimport PyByteArray_FromStringAndSize
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.float cimport PyFloat_FromDouble
from cpython.list cimport PyList_New, PyList_SET_ITEM
from cpython.long cimport PyLong_FromLong, PyLong_FromLongLong
from cpython.memoryview cimport PyMemoryView_FromMemory
from cpython.object cimport PyObject, PyTypeObject
from cpython.ref cimport Py_INCREF
from cpython.tuple cimport PyTuple_New, PyTuple_SET_ITEM
from libc.stdint cimport int8_t, int16_t, int32_t, int64_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memcmp, memcpy

from pypeln._core.arena cimport Arena
from pypeln._core.c cimport (
    PP_COPIED_OUT, PP_COPIED_TYPE, PP_OK, PP_READ_ONLY, pp_arena_note, pp_block_at, pp_descriptor,
    pp_reference,
)
from pypeln._core.objects cimport class_of
from pypeln._core.payload cimport *

from importlib import import_module
from pickle import loads as pickle_loads


cdef extern from "Python.h":
    """
    #ifdef Py_GIL_DISABLED
    #define PP_HAS_GIL 0
    #else
    #define PP_HAS_GIL 1
    #endif
    """
    const bint PP_HAS_GIL
    void* PyUnicode_DATA(PyObject* value)
    Py_ssize_t PyUnicode_GET_LENGTH(PyObject* value)
    object PyUnicode_FromKindAndData(int kind, const void* source, Py_ssize_t length)
    object PyUnicode_New(Py_ssize_t length, Py_UCS4 largest)
    dict new_dict "__Pyx_PyDict_NewPresized" (Py_ssize_t size)
    int PyDict_SetItem(object value, object key, object item) except -1
    PyObject* PyDict_GetItemWithError(object value, object key) except? NULL
    object PyObject_GenericGetDict(object value, void* context)
    void PyUnicode_InternInPlace(PyObject** text)
    bint PyUnicode_CHECK_INTERNED(PyObject* text)
    object pp_new "PyBaseObject_Type.tp_new" (PyTypeObject* cls, object arguments, void* keywords)
    bint PyType_HasFeature(PyTypeObject* cls, unsigned long feature)
    const unsigned long Py_TPFLAGS_TUPLE_SUBCLASS
    object pp_new_tuple "PyTuple_Type.tp_new" (PyTypeObject* cls, object arguments, void* keywords)
    void Py_XDECREF(PyObject* value)


cdef enum:
    KEY_MAX = 32  # longest dict key that is cached
    KEY_CACHE_BITS = 9
    VIEW_MIN = 4096  # a shorter stream or buffer is copied faster than a view of it is made


class CorruptElement(ValueError):
    """A payload is not one that an Encoder wrote.

    Either the memory it travelled in was overwritten, or its two ends run different builds of pypeln.

    Example:
        >>> from pypeln._core.codec import decode
        >>> decode(b"")
        Traceback (most recent call last):
        ...
        pypeln._core.decoder.CorruptElement: payload of 0 bytes is malformed at byte 0: no value here
    """


cdef struct Cursor:
    const unsigned char* start
    const unsigned char* at
    const unsigned char* end
    uint64_t pieces    # where the first piece begins; 0 before there is one
    uint64_t reached   # where the last one ended
    PyObject* opening  # an Opening


@cython.final
cdef class Opening:
    pass


cdef Opening NOWHERE = Opening()


cdef inline void copy(void* destination, const void* source, size_t nbytes) noexcept:
    if nbytes < COPY_WITHOUT_GIL:
        memcpy(destination, source, nbytes)
    else:
        with nogil:
            memcpy(destination, source, nbytes)


cdef object decode_payload(const unsigned char* data, size_t nbytes, Opening opening):
    cdef Cursor cursor
    cdef unsigned char tag = data[0] if nbytes else 0
    # As below, but without a cursor; scalars.pxd has those that are shorter still.
    if T_SHORT_STR <= tag < T_SHORT_INT and nbytes == <size_t>1 + tag - T_SHORT_STR:
        return decode_short_str(data + 1, nbytes - 1)
    cursor = Cursor(data, data, data + nbytes, 0, 0, <PyObject*>opening)
    if nbytes and data[0] == T_PICKLE:
        cursor.at += 1
        return unpickle(&cursor)
    value = decode_value(&cursor, 0)
    expect_end(&cursor)
    return value


cdef object decode_value(Cursor* cursor, int depth):
    cdef unsigned char tag
    cdef double real
    cdef int16_t int16
    cdef int32_t int32
    cdef int64_t int64
    cdef const unsigned char* source
    cdef size_t size
    if cursor.at == cursor.end:
        corrupt(cursor, "no value here")
    tag = cursor.at[0]
    cursor.at += 1
    if tag >= T_SHORT_INT:
        return PyLong_FromLong(<long>tag - T_SHORT_INT + SHORT_INT_MIN)
    if tag >= T_SHORT_STR:
        size = tag - T_SHORT_STR
        return decode_short_str(take(cursor, size), size)
    if tag == T_FLOAT:
        memcpy(&real, take(cursor, 8), 8)
        return PyFloat_FromDouble(real)
    if tag == T_NONE:
        return None
    if tag == T_TRUE:
        return True
    if tag == T_FALSE:
        return False
    if tag == T_INT8:
        return PyLong_FromLong(<int8_t>take(cursor, 1)[0])
    if tag == T_INT16:
        memcpy(&int16, take(cursor, 2), 2)
        return PyLong_FromLong(int16)
    if tag == T_INT32:
        memcpy(&int32, take(cursor, 4), 4)
        return PyLong_FromLong(int32)
    if tag == T_INT64:
        memcpy(&int64, take(cursor, 8), 8)
        return PyLong_FromLongLong(int64)
    if T_TUPLE <= tag <= T_DICT or tag == T_OBJECT or tag == T_SET or tag == T_FROZENSET or tag == T_NAMED:
        if depth == MAX_DEPTH:
            corrupt(cursor, "containers are nested too deep")
        if tag == T_NAMED:
            return decode_named_tuple(cursor, depth)
        if tag == T_SET:
            return decode_set(cursor, depth)
        if tag == T_FROZENSET:
            return frozenset(decode_set(cursor, depth))
        if tag == T_OBJECT:
            return decode_object(cursor, depth)
        if tag == T_TUPLE:
            return decode_tuple(cursor, depth)
        if tag == T_DICT:
            return decode_dict(cursor, depth)
        return decode_list(cursor, depth)
    if tag == T_BIG_INT:
        size = take_size(cursor)
        source = take(cursor, size)
        return int.from_bytes(PyBytes_FromStringAndSize(<char*>source, size), "little", signed=True)
    if tag & ~<unsigned char>T_PIECE in (T_BYTES, T_STR1, T_STR2, T_STR4):
        source = take_octets(cursor, tag, &size)
        if tag & T_PIECE:
            note_copied(cursor, size)
        if tag & ~<unsigned char>T_PIECE == T_BYTES:
            return copied_bytes(source, size)
        return decode_str(cursor, 1 << ((tag & ~<unsigned char>T_PIECE) - T_STR1), source, size)
    if tag == T_ARRAY:
        return decode_array(cursor)
    if T_DATE <= tag <= T_TIMEDELTA:
        return decode_date(cursor, tag)
    if tag == T_NUMPY:
        return decode_number(cursor)
    cursor.at -= 1
    corrupt(cursor, f"no value begins with 0x{tag:02x}")


cdef inline void note_copied(Cursor* cursor, size_t nbytes) noexcept:
    """What has memory of its own, whatever it arrives in."""
    cdef Opening opening = <Opening>cursor.opening
    if opening.arena is not None:
        pp_arena_note(&opening.arena.handle, PP_COPIED_TYPE, nbytes)


cdef object decode_array(Cursor* cursor):
    cdef char* data = NULL
    cdef size_t nbytes = 0, used = 0
    cdef bint read_only = False
    base = region(cursor, &data, &nbytes, &read_only)
    know_arrays()
    try:
        value = array_calls.rebuild(
            cursor.at, cursor.end - cursor.at, &used, base, data, nbytes, not read_only)
    except ValueError as error:
        corrupt(cursor, str(error))
    cursor.at += used
    return value


cdef object region(Cursor* cursor, char** data, size_t* nbytes, bint* read_only):
    """A buffer: the object that keeps its memory alive, a view or a copy."""
    cdef unsigned char where = take(cursor, 1)[0]
    cdef const unsigned char* source
    cdef Opening opening = <Opening>cursor.opening
    cdef Arena arena = opening.arena
    cdef uint64_t offset = 0
    cdef bint viewable = opening.arenas is not None and not opening.copies
    read_only[0] = where & REGION_READ_ONLY
    where &= ~<unsigned char>REGION_READ_ONLY
    if where == REGION_INLINE:
        nbytes[0] = take_size(cursor)
        source = take(cursor, nbytes[0])
        arena = None
    elif where == REGION_PIECE:
        source = take_piece(cursor, nbytes)
        offset = opening.offset + (source - cursor.start)
    elif where == REGION_REFERENCE:
        source = referred(cursor, opening, &offset, nbytes, read_only)
        arena = opening.found
    else:
        corrupt(cursor, f"no buffer is at 0x{where:02x}")
    if arena is not None and opening.arenas is not None and nbytes[0] >= VIEW_MIN:
        if viewable:
            view = arena.view(offset, nbytes[0], read_only[0])
            if view is not None:
                data[0] = <char*>source
                return view
        else:
            pp_arena_note(&arena.handle, PP_COPIED_OUT, nbytes[0])
    if read_only[0] and where != REGION_REFERENCE:
        buffer = copied_bytes(source, nbytes[0])
        data[0] = PyBytes_AS_STRING(buffer)
    else:
        buffer = PyByteArray_FromStringAndSize(NULL, nbytes[0])
        data[0] = PyByteArray_AS_STRING(buffer)
        copy(data[0], source, nbytes[0])
    return buffer


cdef const unsigned char* referred(
    Cursor* cursor, Opening opening, uint64_t* offset, size_t* nbytes, bint* read_only
) except NULL:
    """Where a region lies that is in another block."""
    cdef size_t number = take_size(cursor)
    cdef size_t within = take_size(cursor)
    cdef pp_descriptor block
    nbytes[0] = take_size(cursor)
    if number >= opening.nrefs or opening.arenas is None:
        corrupt(cursor, f"there is no reference {number}")
    cdef pp_reference ref = opening.refs[number]
    if ref.flags & PP_READ_ONLY:
        read_only[0] = True
    cdef Arena arena = opening.arenas.get(ref.arena)
    opening.found = arena
    offset[0] = ref.offset + within
    if (pp_block_at(&arena.handle, ref.offset, 0, &block) != PP_OK or block.offset != ref.offset
            or within > block.nbytes or nbytes[0] > block.nbytes - within):
        corrupt(cursor, f"{nbytes[0]} bytes at {within} are not in the block that is referred to")
    return <const unsigned char*>arena.address(offset[0])


cdef tuple decode_tuple(Cursor* cursor, int depth):
    cdef Py_ssize_t i, size = take_count(cursor, 1)
    cdef tuple value = PyTuple_New(size)
    cdef object item
    for i in range(size):
        item = decode_value(cursor, depth + 1)
        Py_INCREF(item)
        PyTuple_SET_ITEM(value, i, item)
    return value


cdef list decode_list(Cursor* cursor, int depth):
    cdef Py_ssize_t i, size = take_count(cursor, 1)
    cdef list value = PyList_New(size)
    cdef object item
    for i in range(size):
        item = decode_value(cursor, depth + 1)
        Py_INCREF(item)
        PyList_SET_ITEM(value, i, item)
    return value


cdef set decode_set(Cursor* cursor, int depth):
    cdef Py_ssize_t _i, size = take_count(cursor, 1)
    cdef set value = set()
    cdef object item
    for _i in range(size):
        item = decode_hashable(cursor, depth, "a set has an item")
        value.add(item)
    if len(value) != size:
        corrupt(cursor, "a set has an item twice")
    return value


cdef object decode_number(Cursor* cursor):
    cdef unsigned char kind = take(cursor, 1)[0]
    cdef size_t used = 0
    know_arrays()
    try:
        value = array_calls.get_number(kind, cursor.at, cursor.end - cursor.at, &used)
    except ValueError as error:
        corrupt(cursor, str(error))
    cursor.at += used
    return value


cdef int know_arrays() except -1:
    """With numpy, which processes without arrays do without."""
    if array_type() == NULL:
        import_module("pypeln._core.arrays")
    return 0


cdef object decode_date(Cursor* cursor, unsigned char tag):
    cdef const unsigned char* source = take(cursor, DATE_BYTES)
    if not dates_are_known():
        import_module("pypeln._core.dates")
    try:
        return date_calls.get(tag, source)
    except (ValueError, OverflowError) as error:
        corrupt(cursor, str(error))


cdef dict decode_dict(Cursor* cursor, int depth):
    cdef Py_ssize_t _i, size = take_count(cursor, 2)
    cdef dict value = new_dict(size)
    cdef object key, item
    for _i in range(size):
        if PP_HAS_GIL and cursor.at < cursor.end and T_SHORT_STR < cursor.at[0] <= T_SHORT_STR + KEY_MAX:
            key = decode_key(cursor)
        else:
            key = decode_hashable(cursor, depth, "a dict has a key")
        item = decode_value(cursor, depth + 1)
        PyDict_SetItem(value, key, item)
    if len(value) != size:
        corrupt(cursor, "a dict has a key twice")
    return value


cdef object decode_named_tuple(Cursor* cursor, int depth):
    cdef object cls = decode_class(cursor, True)
    cdef tuple items = decode_tuple(cursor, depth)
    if len(items) != len(cls._fields):
        corrupt(cursor, f"a {cls.__name__} has {len(cls._fields)} items, and not {len(items)}")
    return pp_new_tuple(<PyTypeObject*>cls, (items,), NULL)


cdef object decode_object(Cursor* cursor, int depth):
    cdef Py_ssize_t _i, size
    cdef dict attributes
    cdef object key, item
    cdef object cls = decode_class(cursor, False)
    cdef object value = pp_new(<PyTypeObject*>cls, (), NULL)
    size = take_count(cursor, 2)
    attributes = PyObject_GenericGetDict(value, NULL)
    for _i in range(size):
        key = decode_attribute(cursor)
        item = decode_value(cursor, depth + 1)
        PyDict_SetItem(attributes, key, item)
    if len(attributes) != size:
        corrupt(cursor, "an object has an attribute twice")
    return value


cdef object decode_class(Cursor* cursor, bint named):
    cdef Opening opening = <Opening>cursor.opening
    cdef PyObject* known
    cdef object name = decode_value(cursor, MAX_DEPTH)
    if type(name) is not str:
        corrupt(cursor, "the name of a class should come here")
    if opening is NOWHERE:  # no run in which a class stays the same
        classes = {}
    elif opening.classes is None:
        classes = opening.classes = {}
    else:
        classes = opening.classes
    known = PyDict_GetItemWithError(classes, name)
    if known != NULL:
        cls = <object>known
    else:
        try:
            cls = class_of(<str>name)
        except LookupError as error:
            corrupt(cursor, error.args[0])
        classes[name] = cls
    if PyType_HasFeature(<PyTypeObject*>cls, Py_TPFLAGS_TUPLE_SUBCLASS) != named:
        corrupt(cursor, f"{name!r} is {'no' if named else 'a'} named tuple")
    return cls


cdef object decode_attribute(Cursor* cursor):
    """The name of an attribute, interned, as that of all objects of this process is."""
    cdef PyObject* name
    cdef object key
    if PP_HAS_GIL and cursor.at < cursor.end and T_SHORT_STR < cursor.at[0] <= T_SHORT_STR + KEY_MAX:
        key = decode_key(cursor)
    else:
        key = decode_value(cursor, MAX_DEPTH)
        if type(key) is not str:
            corrupt(cursor, "the name of an attribute should come here")
    name = <PyObject*>key
    if PyUnicode_CHECK_INTERNED(name):
        return key
    Py_INCREF(key)  # the pointer's own, which it exchanges
    PyUnicode_InternInPlace(&name)
    interned = <object>name
    Py_XDECREF(name)
    return interned


cdef inline object decode_short_str(const unsigned char* source, size_t size):
    cdef uint64_t word, bits = 0
    cdef size_t i
    if size < 8:  # PyUnicode_FromKindAndData knows the shared strings of one character
        return PyUnicode_FromKindAndData(1, source, size)
    for i in range(0, size - 8, 8):
        memcpy(&word, source + i, 8)
        bits |= word
    memcpy(&word, source + size - 8, 8)
    if (bits | word) & <uint64_t>0x8080808080808080ULL:
        return PyUnicode_FromKindAndData(1, source, size)
    value = PyUnicode_New(size, 127)
    memcpy(PyUnicode_DATA(<PyObject*>value), source, size)
    return value


# The keys of records repeat from element to element. One shared str per key saves allocating and hashing
# it each time, and in the receiver the memory, as pickle's memo does within one value.
cdef PyObject* key_cache[1 << KEY_CACHE_BITS]


cdef object decode_key(Cursor* cursor):
    cdef size_t size = cursor.at[0] - T_SHORT_STR
    cdef const unsigned char* source
    cdef PyObject* cached
    cdef PyObject** place
    cdef uint64_t first = 0, last = 0
    cursor.at += 1
    source = take(cursor, size)
    if size >= 8:
        memcpy(&first, source, 8)
        memcpy(&last, source + size - 8, 8)
    elif size >= 4:
        memcpy(&first, source, 4)
        memcpy(&last, source + size - 4, 4)
    else:
        first = source[0]
        last = (<uint64_t>source[size // 2] << 8) | source[size - 1]
    first = (first ^ size) * <uint64_t>0x9E3779B97F4A7C15ULL
    place = &key_cache[((first ^ last) * <uint64_t>0xD6E8FEB86659FD93ULL) >> (64 - KEY_CACHE_BITS)]
    cached = place[0]
    if (cached != NULL and <size_t>PyUnicode_GET_LENGTH(cached) == size
            and memcmp(PyUnicode_DATA(cached), source, size) == 0):
        return <object>cached
    key = PyUnicode_FromKindAndData(1, source, size)
    Py_INCREF(key)
    place[0] = <PyObject*>key
    Py_XDECREF(cached)
    return key


cdef object decode_hashable(Cursor* cursor, int depth, str what):
    value = decode_value(cursor, depth + 1)
    try:
        hash(value)
    except TypeError:
        corrupt(cursor, f"{what} that cannot be hashed")
    return value


cdef object decode_str(Cursor* cursor, int width, const unsigned char* source, size_t nbytes):
    cdef size_t i, length = nbytes // width
    cdef Py_UCS4 largest = 0
    cdef uint16_t* ucs2
    cdef uint32_t* ucs4
    if nbytes % width:
        corrupt(cursor, "a str ends within a character")
    if width == 1:
        return PyUnicode_FromKindAndData(1, source, length)
    # PyUnicode_FromKindAndData wants aligned characters and believes any code point above U+FFFF.
    value = PyUnicode_New(length, 0xFFFF if width == 2 else 0x10FFFF)
    memcpy(PyUnicode_DATA(<PyObject*>value), source, nbytes)
    if width == 2:
        ucs2 = <uint16_t*>PyUnicode_DATA(<PyObject*>value)
        for i in range(length):
            largest = max(largest, <Py_UCS4>ucs2[i])
    else:
        ucs4 = <uint32_t*>PyUnicode_DATA(<PyObject*>value)
        for i in range(length):
            largest = max(largest, <Py_UCS4>ucs4[i])
    if largest > 0x10FFFF or largest < (0x100 if width == 2 else 0x10000):
        corrupt(cursor, "a str has characters of another width")
    return value


cdef object copied_bytes(const unsigned char* source, size_t nbytes):
    octets = PyBytes_FromStringAndSize(NULL, nbytes)
    copy(PyBytes_AS_STRING(octets), source, nbytes)
    return octets


cdef object unpickle(Cursor* cursor):
    cdef size_t _i, size, count = take_count(cursor, REGION_MIN)
    cdef const unsigned char* source
    cdef char* data = NULL
    cdef unsigned char tag
    cdef bint read_only = False
    cdef list buffers = []
    for _i in range(count):
        buffers.append(region(cursor, &data, &size, &read_only))
    tag = take(cursor, 1)[0]
    if tag & ~<unsigned char>T_PIECE != T_BYTES:
        corrupt(cursor, "a pickle stream should begin here")
    source = take_octets(cursor, tag, &size)
    expect_end(cursor)
    if size >= VIEW_MIN:
        note_copied(cursor, size)
    if size < VIEW_MIN:
        stream = PyBytes_FromStringAndSize(<char*>source, size)
    else:  # the unpickler drops the view before it returns
        stream = PyMemoryView_FromMemory(<char*>source, size, PyBUF_READ)
    if count:
        return pickle_loads(stream, buffers=buffers)
    return pickle_loads(stream)


cdef inline const unsigned char* take(Cursor* cursor, size_t nbytes) except NULL:
    cdef const unsigned char* source = cursor.at
    if <size_t>(cursor.end - source) < nbytes:
        too_short(cursor, nbytes, "bytes")
    cursor.at = source + nbytes
    return source


cdef inline size_t take_size(Cursor* cursor) except? <size_t>-1:
    cdef size_t size = 0
    cdef int shift = 0
    cdef unsigned char octet
    while True:
        octet = take(cursor, 1)[0]
        size |= <size_t>(octet & 0x7F) << shift
        if octet < 0x80:
            return size
        shift += 7
        if shift >= 8 * <int>sizeof(size_t) - 1:
            corrupt(cursor, "a size has too many digits")


# A count is believed only as far as the payload could hold so many: nothing huge is allocated for it.
cdef inline size_t take_count(Cursor* cursor, size_t nbytes_each) except? <size_t>-1:
    cdef size_t count = take_size(cursor)
    if count > <size_t>(cursor.end - cursor.at) // nbytes_each:
        too_short(cursor, count, "items")
    return count


cdef inline const unsigned char* take_octets(Cursor* cursor, unsigned char tag, size_t* nbytes) except NULL:
    if tag & T_PIECE:
        return take_piece(cursor, nbytes)
    nbytes[0] = take_size(cursor)
    return take(cursor, nbytes[0])


cdef const unsigned char* take_piece(Cursor* cursor, size_t* nbytes) except NULL:
    cdef uint64_t[2] field
    cdef uint64_t size = cursor.end - cursor.start
    memcpy(field, take(cursor, 16), 16)
    if cursor.pieces == 0:
        cursor.pieces = cursor.reached = field[0]
    if field[0] == 0 or field[0] > size or field[1] > size - field[0] or field[0] != aligned(cursor.reached):
        corrupt(cursor, f"no piece of {field[1]} bytes lies at {field[0]}")
    cursor.reached = field[0] + field[1]
    nbytes[0] = field[1]
    return cursor.start + field[0]


cdef inline int expect_end(Cursor* cursor) except -1:
    cdef size_t head = cursor.at - cursor.start
    cdef size_t nbytes = cursor.end - cursor.start
    if cursor.pieces == 0:
        if head != nbytes:
            corrupt(cursor, "the value ends here, the payload does not")
    elif aligned(head) != cursor.pieces or cursor.reached != nbytes:
        corrupt(cursor, "its pieces do not fill what follows")
    return 0


cdef int too_short(Cursor* cursor, size_t count, str what) except -1:
    corrupt(cursor, f"{count} {what} should follow")


cdef int corrupt(Cursor* cursor, str what) except -1:
    cdef size_t nbytes = cursor.end - cursor.start
    cdef size_t place = cursor.at - cursor.start
    raise CorruptElement(f"payload of {nbytes} bytes is malformed at byte {place}: {what}")


def decode(bytes payload not None):
    """Decode the payload of one element.

    Args:
        payload: What encode returned.

    Returns:
        The value. Out-of-band buffers are fresh memory, writable unless they were read-only.

    Raises:
        CorruptElement: The payload is not one that encode writes.
        Exception: Whatever unpickling the value raises.

    Example:
        >>> from pypeln._core.codec import decode, encode
        >>> decode(encode({"a": 1.5}))
        {'a': 1.5}
    """
    return decode_payload(
        <const unsigned char*>PyBytes_AS_STRING(payload), PyBytes_GET_SIZE(payload), NOWHERE)
