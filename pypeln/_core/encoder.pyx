# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False, cdivision=True
# cython: auto_pickle=False
"""Encodes values as payloads (payload.pxd has the layout).

Only the exact built-in types are written natively, and plain objects (objects.pyx), because pickling one int
costs ten times as much as handing it over. A value goes to pickle *as a whole* when it holds anything else,
nests deeper than MAX_DEPTH, or holds one mutable container twice, whose identity only pickle's memo keeps.
"""
cimport cython
from cpython.buffer cimport Py_buffer
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.dict cimport PyDict_Copy
from cpython.mem cimport PyMem_RawCalloc, PyMem_RawFree, PyMem_RawRealloc
from cpython.memoryview cimport PyMemoryView_GET_BUFFER
from cpython.object cimport PyObject, PyTypeObject
from cpython.ref cimport Py_DECREF
from cpython.sequence cimport PySequence_List
from libc.stdint cimport uint64_t, uintptr_t
from libc.string cimport memcpy, memset

from pypeln._core.arena cimport Arena, BlockView
from pypeln._core.c cimport (
    PP_COPIED_BUSY, PP_COPIED_HELD, PP_COPIED_IN, PP_LENT, PP_OK, pp_block_at, pp_descriptor,
)
from pypeln._core.decoder cimport array_calls, array_type, date_calls, dates_are_known
from pypeln._core.growing cimport with_room
from pypeln._core.loans cimport Loans
from pypeln._core.objects cimport name_of
from pypeln._core.ownership cimport Reach
from pypeln._core.payload cimport *
from pypeln._core.pickling cimport Extent, Pickling
from pypeln._core.references cimport OTHERS_RUN, references_to
from pypeln._core.scalars cimport PP_UNICODE_READY, put_float, put_int, singleton_tag

import copyreg
from importlib import import_module
from sys import modules

from pypeln._core.memory import CorruptMemory


# Declared here for PyObject *: Cython's own declarations take `object`, which would count references
# to every element of a container twice.
cdef extern from "Python.h":
    """
    /* What the memoryviews of one buffer share. */
    #define PP_MANAGED_BUFFER(view) ((PyObject *)((PyMemoryViewObject *)(view))->mbuf)
    """
    PyTypeObject PyLong_Type, PyFloat_Type, PyUnicode_Type, PyBytes_Type
    PyTypeObject PyTuple_Type, PyList_Type, PyDict_Type, PySet_Type, PyFrozenSet_Type
    PyObject* Py_None
    PyObject* Py_True
    PyObject* Py_False
    PyTypeObject* Py_TYPE(PyObject* value)
    Py_ssize_t Bytes_GET_SIZE "PyBytes_GET_SIZE" (PyObject* value)
    char* Bytes_AS_STRING "PyBytes_AS_STRING" (PyObject* value)
    int PyUnicode_KIND(PyObject* value)
    void* PyUnicode_DATA(PyObject* value)
    Py_ssize_t PyUnicode_GET_LENGTH(PyObject* value)
    bint PyTuple_Check(PyObject* value)
    Py_ssize_t PyTuple_GET_SIZE(PyObject* value)
    PyObject* PyTuple_GET_ITEM(PyObject* value, Py_ssize_t i)
    Py_ssize_t PyList_GET_SIZE(PyObject* value)
    PyObject* PyList_GET_ITEM(PyObject* value, Py_ssize_t i)
    Py_ssize_t PyDict_Size(PyObject* value)
    PyObject* PyDict_GetItemWithError(object value, object key) except? NULL
    object PyObject_GenericGetDict(object value, void* context)
    PyObject* PyMemoryView_GET_BASE(PyObject* view)
    PyObject* PP_MANAGED_BUFFER(PyObject* view)
    bint PyDict_Next(PyObject* value, Py_ssize_t* position, PyObject** key, PyObject** item)


cdef enum:
    NATIVE = 0  # what Encoder._native found
    NOT_NATIVE = 1
    CHANGED = 2  # by another thread, or by the garbage collector, while it was walked

    SEEN_FIRST = 16  # as long as Encoder.seen
    SEEN_KEPT = 8192  # clear() frees a larger table of those above

    # Copying 2 KiB twice costs less than the book-keeping of a piece; above it the second copy shows.
    PIECE_MIN = 2048

    # Pickle writes a str, bytes or tuple that occurs many times once. Written natively, a few shared
    # tuples of tuples can grow without bound; what may be such a repetition is counted, and past this
    # much the value goes to pickle. So a payload never exceeds the value's own size by more.
    REPEATED_MAX = 65536

    HEAD_FIRST = 256
    HEAD_KEPT = 1048576  # clear() frees a larger head

    DOUBTED_MAX = 16  # as long as Encoder.doubted

    CLASSES_MAX = 256  # programs may make classes without end

cdef dict copyreg_table = copyreg.dispatch_table

# Compared by address: looking an attribute of a module up for each buffer costs more.
cdef PyTypeObject* BLOCK_VIEW = <PyTypeObject*><PyObject*>BlockView
cdef PyTypeObject* EXTENT = <PyTypeObject*><PyObject*>Extent
cdef PyTypeObject* MEMORYVIEW = <PyTypeObject*><PyObject*>memoryview


cdef inline bint _is_plain_name(PyObject* key) noexcept:
    """Whether it is an attribute's, and none that pickle would call, as the object's own __reduce_ex__."""
    cdef const unsigned char* text
    if Py_TYPE(key) != &PyUnicode_Type:
        return False
    PP_UNICODE_READY(key)
    text = <const unsigned char*>PyUnicode_DATA(key)
    return PyUnicode_KIND(key) != 1 or text[0] != c"_" or text[1] != c"_"


@cython.final
cdef class Encoder:
    def __cinit__(self):
        self.held = []
        self.loans = Loans()

    def __dealloc__(self):
        PyMem_RawFree(self.data)
        PyMem_RawFree(self.pieces)
        PyMem_RawFree(self.seen_more)

    def to_bytes(self, value):
        """Encode a value and return its payload.

        Args:
            value: Any picklable object.

        Returns:
            The payload as bytes, independent of later changes to the value.

        Raises:
            Exception: Whatever pickling the value raises.

        Example:
            >>> from pypeln._core.codec import Encoder, decode
            >>> decode(Encoder().to_bytes((1, "a")))
            (1, 'a')
        """
        self.encode(value)
        payload = PyBytes_FromStringAndSize(NULL, self.total)
        self.write_to(<unsigned char*>PyBytes_AS_STRING(payload))
        self.clear()
        return payload

    cdef int encode(self, object value) except -1:
        cdef int found
        self.reached = self.snapshots = False
        self.root = <PyObject*>value
        self.owned = self.known != 0 and references_to(<PyObject*>value) == self.known
        found = self._all_of(self.root)
        if found == CHANGED:
            # Not to pickle: in free-threaded builds that crashes on what others change.
            self.snapshots = True
            found = self._all_of(self.root)
        if found != NATIVE and self._learns_of_more():
            found = self._all_of(self.root)
        if found == NATIVE and self.ndoubted and self._doubt_is_cleared():
            found = self._all_of(self.root)
        if found != NATIVE:
            self._forget()
            self._pickle(value)
        self.root = NULL
        if self.npieces:
            self._place_pieces()
        else:
            self.total = self.nbytes
        if self.loans.ncounted:
            self.loans.report()
        return 0

    cdef int _all_of(self, PyObject* value) except -1:
        self._forget()
        return self._native(value, 0, True, True)

    cdef bint _learns_of_more(self) except -1:
        """Whether there may be arrays or dates from now on, and were none before."""
        cdef bint arrays = array_type() == NULL and "numpy" in modules
        cdef bint dates = not dates_are_known() and "datetime" in modules
        if arrays:
            import_module("pypeln._core.arrays")
        if dates:
            import_module("pypeln._core.dates")
        return arrays or dates

    cdef void write_to(self, unsigned char* destination) noexcept:
        if self.total < COPY_WITHOUT_GIL:
            self.write_to_nogil(destination)
        else:
            with nogil:
                self.write_to_nogil(destination)

    cdef void write_to_nogil(self, unsigned char* destination) noexcept nogil:
        cdef size_t i, end = self.nbytes
        cdef Piece* piece
        memcpy(destination, self.data, end)
        for i in range(self.npieces):
            piece = &self.pieces[i]
            # Gaps are zeroed: what stood in a reused block before is nobody else's business.
            memset(destination + end, 0, piece.offset - end)
            memcpy(destination + piece.offset, piece.source, piece.nbytes)
            end = piece.offset + piece.nbytes

    cdef void clear(self):
        self._forget()
        self._shrink()

    cdef void written(self):
        self._drop_pieces()
        self._shrink()

    cdef void _shrink(self):
        if self.capacity > HEAD_KEPT:
            PyMem_RawFree(self.data)
            self.data = NULL
            self.capacity = 0
        if self.seen_size > SEEN_KEPT:
            PyMem_RawFree(self.seen_more)
            self.seen_more = NULL
            self.seen_size = 0

    # ---- what is native

    # single: nobody but the container refers to the value. once: the containers above it, up to the
    # nearest mutable one, are single too. Both are judged before this code takes references of its own.
    cdef int _native(self, PyObject* value, int depth, bint single, bint once) except -1:
        cdef PyTypeObject* kind = Py_TYPE(value)
        cdef unsigned char tag
        cdef size_t nbytes
        cdef bint owned
        cdef int found
        if kind == &PyLong_Type:
            return self._int(value)
        if kind == &PyUnicode_Type:
            return self._str(value, single)
        if kind == &PyFloat_Type:
            self.nbytes += put_float(value, self._room(9))
            return NATIVE
        tag = singleton_tag(value)
        if tag:
            self._room(1)[0] = tag
            self.nbytes += 1
            return NATIVE
        if kind == &PyBytes_Type:
            return self._octets(value, T_BYTES, Bytes_AS_STRING(value), Bytes_GET_SIZE(value), single)
        if kind == array_type():
            return self._array(value, depth, single)
        if kind != &PyDict_Type and kind != &PyTuple_Type and kind != &PyList_Type:
            nbytes = self._number_or_date(value)
            if nbytes:
                self.nbytes += nbytes
                return NATIVE
        if depth == MAX_DEPTH:
            return NOT_NATIVE
        # The outermost container has callers' references as well, so its count says nothing.
        if not PyTuple_Check(value) and not (single and once and depth > 0) and self._may_be_met_again(value):
            return self._met_again()
        owned = self.owned
        self.owned = owned and (single or depth == 0)
        if kind == &PyTuple_Type:
            found = self._tuple(value, depth, single, once)
        elif kind == &PyDict_Type:
            found = self._dict(<dict>value, depth)
        elif kind == &PyList_Type:
            found = self._list(<list>value, depth)
        elif kind == &PySet_Type:
            found = self._set(<object>value, T_SET, depth)
        elif kind == &PyFrozenSet_Type:
            found = self._set(<object>value, T_FROZENSET, depth)
        elif PyTuple_Check(value):
            found = self._named_tuple(value, depth, single, once)
        else:
            found = self._object(value, depth)
        self.owned = owned
        return found

    cdef size_t _number_or_date(self, PyObject* value) except? 0:
        """What modules know that may not be imported: 0 when they do not, or it is something else."""
        cdef size_t nbytes = 0
        if array_type() != NULL:
            nbytes = array_calls.put_number(value, self._room(NUMPY_MAX))
        if nbytes == 0 and dates_are_known():
            nbytes = date_calls.put(value, self._room(1 + DATE_BYTES))
        return nbytes

    cdef int _tuple(self, PyObject* value, int depth, bint single, bint once) except -1:
        self._room(1)[0] = T_TUPLE
        self.nbytes += 1
        return self._items_of_tuple(value, depth, single, once)

    cdef int _named_tuple(self, PyObject* value, int depth, bint single, bint once) except -1:
        cdef str name = self._name_of(<object>Py_TYPE(value))
        if name is None:
            return NOT_NATIVE
        self._room(1)[0] = T_NAMED
        self.nbytes += 1
        self._str(<PyObject*>name, True)
        return self._items_of_tuple(value, depth, single, once)

    cdef int _items_of_tuple(self, PyObject* value, int depth, bint single, bint once) except -1:
        cdef Py_ssize_t i, size = PyTuple_GET_SIZE(value)
        cdef size_t start = self.nbytes
        cdef PyObject* item
        cdef int found
        once = once and single
        self._number(size)
        for i in range(size):
            item = PyTuple_GET_ITEM(value, i)
            found = self._native(item, depth + 1, references_to(item) == 1, once)
            if found != NATIVE:
                return found
        if not single and self._repeats_too_much(self.nbytes - start):
            return NOT_NATIVE
        return NATIVE

    cdef int _list(self, list value, int depth) except -1:
        if self.snapshots:
            return self._items_of_list(PySequence_List(value), T_LIST, depth, 2)
        return self._items_of_list(value, T_LIST, depth, 1)

    cdef int _set(self, object value, int tag, int depth) except -1:
        # What is in a set can only be asked for by iterating.
        return self._items_of_list(PySequence_List(value), tag, depth, 2)

    # No Python code runs while a container is walked, with two exceptions: the allocations of _int may
    # start the garbage collector (up to CPython 3.11) and a nested critical section may let another
    # thread in (free-threaded builds). Hence the references to items and the counting.
    #
    # holders: what has a reference to each item: the container, and this function's own list of its items.
    cdef int _items_of_list(self, list items, int tag, int depth, int holders) except -1:
        cdef Py_ssize_t i = 0, size
        cdef bint single
        cdef object item
        cdef int found
        with cython.critical_section(items):
            size = PyList_GET_SIZE(<PyObject*>items)
            self._size(tag, size)
            while i < size and i < PyList_GET_SIZE(<PyObject*>items):
                single = references_to(PyList_GET_ITEM(<PyObject*>items, i)) == holders
                item = <object>PyList_GET_ITEM(<PyObject*>items, i)
                found = self._native(<PyObject*>item, depth + 1, single, True)
                if found != NATIVE:
                    return found
                i += 1
            return NATIVE if i == size == PyList_GET_SIZE(<PyObject*>items) else CHANGED

    cdef int _dict(self, dict value, int depth) except -1:
        self._room(1)[0] = T_DICT
        self.nbytes += 1
        return self._pairs(value, depth, False)

    cdef int _pairs(self, dict value, int depth, bint attributes) except -1:
        if self.snapshots:
            return self._pairs_of_dict(PyDict_Copy(value), depth, 2, attributes)
        return self._pairs_of_dict(value, depth, 1, attributes)

    cdef int _pairs_of_dict(self, dict value, int depth, int holders, bint attributes) except -1:
        cdef Py_ssize_t position = 0, met = 0, size
        cdef bint single_key, single_item
        cdef int found
        cdef object key, item
        cdef PyObject* key_pointer
        cdef PyObject* item_pointer
        with cython.critical_section(value):
            size = PyDict_Size(<PyObject*>value)
            self._number(size)
            while PyDict_Next(<PyObject*>value, &position, &key_pointer, &item_pointer):
                met += 1
                if attributes and not _is_plain_name(key_pointer):
                    return NOT_NATIVE
                single_key = references_to(key_pointer) == holders
                single_item = references_to(item_pointer) == holders
                key = <object>key_pointer
                item = <object>item_pointer
                found = self._native(<PyObject*>key, depth + 1, single_key, True)
                if found == NATIVE:
                    found = self._native(<PyObject*>item, depth + 1, single_item, True)
                if found != NATIVE:
                    return found
            return NATIVE if met == size else CHANGED

    cdef int _object(self, PyObject* value, int depth) except -1:
        cdef object cls = <object>Py_TYPE(value)
        cdef str name = self._name_of(cls)
        cdef int found
        if name is None:
            return NOT_NATIVE
        attributes = PyObject_GenericGetDict(<object>value, NULL)
        # One is the object's, one is this function's. Who has another may have put it into the element too.
        if type(attributes) is not dict or references_to(<PyObject*>attributes) != 2:
            return NOT_NATIVE
        self._room(1)[0] = T_OBJECT
        self.nbytes += 1
        self._str(<PyObject*>name, True)
        self.within += 1
        found = self._pairs(<dict>attributes, depth, True)
        self.within -= 1
        if found != NATIVE and self.met_array:
            self.classes[cls] = None
        return found

    cdef str _name_of(self, object cls):
        cdef PyObject* known
        cdef Py_ssize_t registered = len(copyreg_table)
        if self.registered != registered or self.classes is None or len(self.classes) == CLASSES_MAX:
            self.classes = {}
            self.registered = registered
        known = PyDict_GetItemWithError(self.classes, cls)
        if known != NULL:
            return <str>known
        name = name_of(cls)
        self.classes[cls] = name
        return name

    cdef int _int(self, PyObject* value) except -1:
        cdef size_t nbytes = put_int(value, self._room(9))
        if nbytes == 0:
            octets = (<object>value).to_bytes((<object>value).bit_length() // 8 + 1, "little", signed=True)
            self._size(T_BIG_INT, PyBytes_GET_SIZE(octets))
            memcpy(self._room(PyBytes_GET_SIZE(octets)), PyBytes_AS_STRING(octets), PyBytes_GET_SIZE(octets))
            self.nbytes += PyBytes_GET_SIZE(octets)
        self.nbytes += nbytes
        return NATIVE

    cdef int _str(self, PyObject* value, bint single) except -1:
        cdef int width
        cdef size_t length
        cdef unsigned char* room
        PP_UNICODE_READY(value)
        width = PyUnicode_KIND(value)
        length = PyUnicode_GET_LENGTH(value)
        if width != 1 or length > SHORT_STR_MAX:
            return self._octets(
                value, T_STR1 + width // 2, PyUnicode_DATA(value), length * width, single)
        if not single and self._repeats_too_much(length):
            return NOT_NATIVE
        room = self._room(1 + length)
        room[0] = <unsigned char>(T_SHORT_STR + length)
        memcpy(room + 1, PyUnicode_DATA(value), length)
        self.nbytes += 1 + length
        return NATIVE

    cdef int _octets(
        self, PyObject* owner, int tag, const void* source, size_t nbytes, bint single
    ) except -1:
        if not single and self._repeats_too_much(nbytes):
            return NOT_NATIVE
        if nbytes < PIECE_MIN:
            self._size(tag, nbytes)
            memcpy(self._room(nbytes), source, nbytes)
            self.nbytes += nbytes
        else:
            self._room(1)[0] = <unsigned char>(tag | T_PIECE)
            self.nbytes += 1
            self._piece(<object>owner, source, nbytes)
            self.loans.count(PP_COPIED_IN, nbytes)
        return NATIVE

    # ---- buffers: referred to where they are, or copied

    cdef int _array(self, PyObject* value, int depth, bint single) except -1:
        cdef char* low = NULL
        cdef size_t nbytes = 0
        cdef Py_ssize_t written
        cdef bint read_only = not array_calls.writeable(value)
        cdef object array = <object>value
        if self.within:
            # Who else has the object, by a weak reference for one, has the array: pickling.pyx asks.
            self.met_array = True
            return NOT_NATIVE
        if depth > 0 and not single and self._may_be_met_again(value):
            return self._met_again()
        self._room(1)[0] = T_ARRAY
        self.nbytes += 1
        array_calls.extent(value, &low, &nbytes)
        if nbytes < PIECE_MIN or not self._refer(
                value, low, nbytes, read_only, self.owned and (single or depth == 0)):
            array = <object>array_calls.compact(value)
            Py_DECREF(array)  # the pointer was a reference of its own
            array_calls.extent(<PyObject*>array, &low, &nbytes)
            if nbytes < PIECE_MIN:
                self._region(REGION_INLINE, read_only)
                self._number(nbytes)
                memcpy(self._room(nbytes), low, nbytes)
                self.nbytes += nbytes
            else:
                self._region(REGION_PIECE, read_only)
                self._piece(array, low, nbytes)
        written = array_calls.describe(<PyObject*>array, self._room(DESCRIPTION_MAX), DESCRIPTION_MAX)
        if written < 0:
            return NOT_NATIVE
        self.nbytes += written
        return NATIVE

    cdef int _region(self, int where, bint read_only) except -1:
        self._room(1)[0] = <unsigned char>(where | (REGION_READ_ONLY if read_only else 0))
        self.nbytes += 1
        return 0

    cdef bint _refer(
        self, PyObject* owner, const void* source, size_t nbytes, bint read_only, bint owned
    ) except -1:
        """Write the region of a buffer that lies in an arena and may be passed on; False when it may not."""
        cdef Arena arena = None if self.loans.arenas is None else self.loans.arenas.find(source)
        cdef pp_descriptor block
        cdef uint64_t offset
        cdef bint unwritten
        cdef int number
        if arena is None:
            self.loans.count(PP_COPIED_IN, nbytes)
            return False
        offset = arena.offset_of(source)
        if pp_block_at(&arena.handle, offset, nbytes, &block) != PP_OK:
            raise CorruptMemory("a buffer that lies in no block of its arena")
        unwritten = not arena.is_written(block)
        if not unwritten and (not self._is_given_away(owner, owned, arena) or arena.kept(source)):
            self.loans.count(PP_COPIED_HELD, nbytes)
            return False
        number = self.loans.number_of(arena, block)
        if number < 0 or (self.reached and not unwritten and self.loans.overlaps(number, offset, nbytes)):
            self.loans.count(PP_COPIED_BUSY, nbytes)
            return False
        if not unwritten:
            self.loans.note_range(number, offset, nbytes)
        self._region(REGION_REFERENCE, read_only or unwritten or self.loans.shared)
        self._number(number)
        self._number(offset - block.offset)
        self._number(nbytes)
        self.loans.nbytes += nbytes
        self.loans.count(PP_LENT, nbytes)
        return True

    cdef bint _is_given_away(self, PyObject* owner, bint owned, Arena arena) except -1:
        """Whether nobody here can write to a buffer once its element is sent."""
        if self._leads_alone(owner, owned, arena):
            return True
        # Perhaps whoever else has it is in the element as well: that is looked for once, after all of it.
        if self.known and not self.reached and self.ndoubted < DOUBTED_MAX:
            self.doubted[self.ndoubted] = owner
            self.ndoubted += 1
        return False

    cdef bint _leads_alone(self, PyObject* under, bint owned, Arena arena) except -1:
        """Whether each object on the way from this one down to the memory has nobody else above it."""
        cdef PyObject* top = under
        cdef Extent extent
        while under != NULL:
            if self.reached:
                owned = self.reach.owns(under)
            elif under != top:
                owned = owned and references_to(under) == 1
            if not owned:
                return False
            if Py_TYPE(under) == array_type():
                under = array_calls.base(under)
            elif Py_TYPE(under) == BLOCK_VIEW:
                return not (<BlockView>under).is_tensors
            elif Py_TYPE(under) == EXTENT:
                extent = <Extent>under
                under = <PyObject*>extent.owner
                if extent.storage != NULL:
                    return (self.reached and self.reach.owns(under)
                            and <uintptr_t>extent.storage in arena.tensors)
            elif Py_TYPE(under) == MEMORYVIEW:
                if not self.reached or not self.reach.owns(PP_MANAGED_BUFFER(under)):
                    return False
                under = PyMemoryView_GET_BASE(under)
            else:
                return False
        return True

    cdef bint _doubt_is_cleared(self) except -1:
        """Look for who has what; whether nobody else has a buffer that more than one reference leads to."""
        cdef int i
        if self.reach is None:
            self.reach = Reach()
        # The owners of what is to be copied are held here meanwhile.
        self.reach.explore(self.root, self.known, <PyObject*>self.held)
        for i in range(self.ndoubted):
            if self.reach.owns(self.doubted[i]):
                self.reached = True
                return True
        return False

    # ---- everything else

    cdef int _pickle(self, object value) except -1:
        # What pickling runs may come back to this very encoder (a __reduce__ that puts an element):
        # nothing is written before it has returned.
        cdef Pickling pickling = self.pickling
        cdef list views
        if pickling is None or pickling.busy:
            pickling = self.pickling = Pickling()
        cdef int known = self.known
        array_calls.of_pickler = NULL if self.loans.arenas is None else <PyObject*>self.loans.arenas
        stream = pickling.dumps(value)
        views, pickling.views = pickling.views, None
        self._forget()
        self.reached = False
        self.known = known
        self.root = <PyObject*>value
        if views is not None and known and self.loans.arenas is not None:
            for view in views:
                if self.loans.arenas.find(PyMemoryView_GET_BUFFER(view).buf) is not None:
                    self.reached = True
            view = None
            if self.reached:
                if self.reach is None:
                    self.reach = Reach()
                self.reach.explore(self.root, known, <PyObject*>views)
        self._size(T_PICKLE, 0 if views is None else len(views))
        if views is not None:
            for view in views:
                self._buffer(<PyObject*>view)
        self._octets(<PyObject*>stream, T_BYTES, PyBytes_AS_STRING(stream), PyBytes_GET_SIZE(stream), True)
        return 0

    cdef int _buffer(self, PyObject* view) except -1:
        """A buffer that was pickled beside the stream."""
        cdef Py_buffer* buffer = PyMemoryView_GET_BUFFER(<object>view)
        cdef PyObject* owner = PyMemoryView_GET_BASE(view)
        # Arrow's data never changes, whatever the memory is that it lies in.
        cdef bint read_only = buffer.readonly or type(<object>owner).__module__ == "pyarrow.lib"
        if not self._refer(owner, buffer.buf, buffer.len, read_only, False):
            self._region(REGION_PIECE, read_only)
            self._piece(<object>view, buffer.buf, buffer.len)
        return 0

    # ---- the head and its pieces

    cdef int _size(self, int tag, size_t size) except -1:
        cdef unsigned char* room = self._room(11)
        room[0] = <unsigned char>tag
        self.nbytes += 1
        return self._number(size)

    cdef int _number(self, size_t number) except -1:
        cdef unsigned char* room = self._room(10)
        cdef unsigned char* end = room
        while number >= 0x80:
            end[0] = <unsigned char>(number | 0x80)
            end += 1
            number >>= 7
        end[0] = <unsigned char>number
        self.nbytes += end + 1 - room
        return 0

    cdef int _piece(self, object owner, const void* source, size_t nbytes) except -1:
        cdef unsigned char* room = self._room(16)
        cdef uint64_t size = nbytes
        self.pieces = <Piece*>with_room(
            self.pieces, self.npieces, &self.piece_capacity, sizeof(Piece), "large parts")
        self.held.append(owner)
        self.pieces[self.npieces] = Piece(<const unsigned char*>source, nbytes, 0, self.nbytes)
        self.npieces += 1
        memcpy(room + 8, &size, 8)
        self.nbytes += 16
        return 0

    cdef void _place_pieces(self) noexcept:
        cdef uint64_t offset
        cdef size_t i
        self.total = self.nbytes
        for i in range(self.npieces):
            offset = aligned(self.total)
            self.pieces[i].offset = offset
            memcpy(self.data + self.pieces[i].field, &offset, 8)
            self.total = offset + self.pieces[i].nbytes

    cdef bint _may_be_met_again(self, PyObject* container) noexcept:
        """Whether it has been met; from now on it has."""
        cdef int i
        if self.nseen > SEEN_FIRST:
            return self._is_in_table(container)
        for i in range(self.nseen):
            if self.seen[i] == container:
                return True
        if self.nseen < SEEN_FIRST:
            self.seen[self.nseen] = container
            self.nseen += 1
            return False
        # More than are looked through one by one.
        if self.seen_size:
            memset(self.seen_more, 0, self.seen_size * sizeof(PyObject*))
        elif not self._grow_table():
            return True
        self.nseen = 0
        for i in range(SEEN_FIRST):
            self._is_in_table(self.seen[i])
        return self._is_in_table(container)

    cdef int _met_again(self) noexcept:
        # A list whose elements another thread moves shows one of them twice.
        return CHANGED if OTHERS_RUN and not self.snapshots else NOT_NATIVE

    cdef bint _is_in_table(self, PyObject* container) noexcept:
        cdef size_t mask = self.seen_size - 1, at
        cdef PyObject** table = self.seen_more
        at = (<uint64_t><uintptr_t>container >> 4) * <uint64_t>0x9E3779B97F4A7C15ULL >> 20 & mask
        while table[at] != NULL:
            if table[at] == container:
                return True
            at = (at + 1) & mask
        table[at] = container
        self.nseen += 1
        # Without memory it might have been met: then the value goes to pickle, or raises there.
        return 2 * self.nseen > self.seen_size and not self._grow_table()

    cdef bint _grow_table(self) noexcept:
        cdef PyObject** old = self.seen_more
        cdef size_t old_size = self.seen_size, i
        cdef PyObject** table
        self.seen_size = 4 * old_size if old_size else 8 * SEEN_FIRST
        table = <PyObject**>PyMem_RawCalloc(self.seen_size, sizeof(PyObject*))
        if table == NULL:
            self.seen_size = old_size
            return False
        self.seen_more = table
        self.nseen = 0
        for i in range(old_size):
            if old[i] != NULL:
                self._is_in_table(old[i])
        PyMem_RawFree(old)
        return True

    cdef bint _repeats_too_much(self, size_t nbytes) noexcept:
        # A reference takes eight bytes in the container already.
        if nbytes > 8:
            self.repeated += nbytes - 8
        return self.repeated > REPEATED_MAX

    cdef inline unsigned char* _room(self, size_t nbytes) except NULL:
        if self.capacity - self.nbytes < nbytes:
            self._grow(nbytes)
        return self.data + self.nbytes

    cdef int _grow(self, size_t nbytes) except -1:
        cdef size_t capacity = max(<size_t>HEAD_FIRST, 2 * self.capacity, self.nbytes + nbytes)
        cdef void* data = PyMem_RawRealloc(self.data, capacity)
        if data == NULL:
            raise MemoryError(f"no memory to encode an element of more than {self.nbytes} bytes")
        self.data = <unsigned char*>data
        self.capacity = capacity
        return 0

    cdef inline void _forget(self):
        if self.loans.is_used:
            self.loans.forget()
        self.nbytes = self.total = 0
        self.nseen = self.ndoubted = self.within = 0
        self.repeated = 0
        self.met_array = False
        self._drop_pieces()

    cdef inline void _drop_pieces(self):
        if self.npieces:
            self.npieces = 0
            # Dropping an owner may run code that uses this encoder: it must find it empty.
            self.held, _owners = [], self.held


def encode(value):
    """Encode a value and return its payload, as Encoder.to_bytes of a fresh encoder does.

    Args:
        value: Any picklable object.

    Returns:
        The payload as bytes.

    Raises:
        Exception: Whatever pickling the value raises.

    Example:
        >>> from pypeln._core.codec import encode
        >>> len(encode(7))
        1
    """
    return Encoder().to_bytes(value)
