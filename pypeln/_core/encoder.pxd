"""One Python value -> one payload."""
from cpython.object cimport PyObject
from libc.stdint cimport uint64_t

from pypeln._core.arena cimport Arena
from pypeln._core.loans cimport Loans
from pypeln._core.ownership cimport Reach
from pypeln._core.pickling cimport Pickling


cdef struct Piece:               # bytes that are copied straight from their owner into the payload
    const unsigned char* source  # kept alive by Encoder.held
    uint64_t nbytes
    uint64_t offset              # from the start of the payload, a multiple of 64
    size_t field                 # where in the head this offset is written


cdef class Encoder:
    """Encodes values, one after the other. One per port; belongs to one thread.

    encode(value), then write_to(destination of `total` bytes), then clear() if total != nbytes. With
    references: then loans.sent(), or clear(), which takes them back.
    What encode raises is what pickle raised, or MemoryError; the encoder is usable again afterwards.
    """
    cdef unsigned char* data     # the head: all of the payload but its pieces
    cdef size_t nbytes           # bytes in data
    cdef size_t total            # payload bytes altogether; == nbytes when there are no pieces
    cdef size_t capacity         # bytes allocated at data
    cdef Piece* pieces
    cdef size_t npieces
    cdef size_t piece_capacity
    cdef list held               # owners of the pieces' bytes
    cdef size_t repeated         # bytes written more than once as far as reference counts can tell
    # Mutable containers that may be met again; compared, never followed. Many are in the table alone.
    cdef PyObject* seen[16]
    cdef PyObject** seen_more    # by address, NULL where free
    cdef size_t seen_size        # a power of two, or 0 while there is no table
    cdef size_t nseen
    cdef bint snapshots          # containers are copied before they are walked, for others change them
    cdef Loans loans             # what is referred to where it lies
    cdef int known               # references to the value that its sender will drop; 0: some may stay
    cdef PyObject* root          # the value being encoded
    cdef bint owned              # nobody else has the containers around what is being encoded
    cdef PyObject* doubted[16]   # whose buffers more than one reference leads to; compared, never followed
    cdef int ndoubted
    cdef Reach reach
    cdef bint reached            # it says what nobody else has
    cdef Pickling pickling
    cdef dict classes            # class: the name by which its objects are written natively, or None
    cdef Py_ssize_t registered   # as many reducers as copyreg had when these were asked for
    cdef int within              # so many objects are around what is being encoded
    cdef bint met_array          # one of them has an array

    cdef int encode(self, object value) except -1
    # Lays out `total` bytes. Releases the GIL while it copies when they are many.
    cdef void write_to(self, unsigned char* destination) noexcept
    # The same, for callers that hold no GIL: nothing but C fields and the held bytes is touched.
    cdef void write_to_nogil(self, unsigned char* destination) noexcept nogil
    # Drops the held owners (an exported bytearray cannot be resized until then) and shrinks a huge head.
    cdef void clear(self)
    # The payload has been laid out; its references are still to be sent.
    cdef void written(self)

    cdef int _all_of(self, PyObject* value) except -1
    cdef bint _learns_of_more(self) except -1
    cdef int _native(self, PyObject* value, int depth, bint single, bint once) except -1
    cdef size_t _number_or_date(self, PyObject* value) except? 0
    cdef int _tuple(self, PyObject* value, int depth, bint single, bint once) except -1
    cdef int _named_tuple(self, PyObject* value, int depth, bint single, bint once) except -1
    cdef int _items_of_tuple(self, PyObject* value, int depth, bint single, bint once) except -1
    cdef int _list(self, list value, int depth) except -1
    cdef int _set(self, object value, int tag, int depth) except -1
    cdef int _items_of_list(self, list items, int tag, int depth, int holders) except -1
    cdef int _dict(self, dict value, int depth) except -1
    cdef int _pairs(self, dict value, int depth, bint attributes) except -1
    cdef int _pairs_of_dict(self, dict value, int depth, int holders, bint attributes) except -1
    cdef int _object(self, PyObject* value, int depth) except -1
    cdef str _name_of(self, object cls)
    cdef int _int(self, PyObject* value) except -1
    cdef int _str(self, PyObject* value, bint single) except -1
    cdef int _octets(self, PyObject* owner, int tag, const void* source, size_t nbytes, bint single) except -1
    cdef int _array(self, PyObject* value, int depth, bint single) except -1
    cdef int _region(self, int where, bint read_only) except -1
    cdef bint _refer(
        self, PyObject* owner, const void* source, size_t nbytes, bint read_only, bint owned
    ) except -1
    cdef bint _is_given_away(self, PyObject* owner, bint owned, Arena arena) except -1
    cdef bint _leads_alone(self, PyObject* under, bint owned, Arena arena) except -1
    cdef bint _doubt_is_cleared(self) except -1
    cdef int _buffer(self, PyObject* view) except -1
    cdef int _pickle(self, object value) except -1
    cdef int _size(self, int tag, size_t size) except -1
    cdef int _number(self, size_t number) except -1
    cdef int _piece(self, object owner, const void* source, size_t nbytes) except -1
    cdef bint _may_be_met_again(self, PyObject* container) noexcept
    cdef int _met_again(self) noexcept
    cdef bint _is_in_table(self, PyObject* container) noexcept
    cdef bint _grow_table(self) noexcept
    cdef bint _repeats_too_much(self, size_t nbytes) noexcept
    cdef unsigned char* _room(self, size_t nbytes) except NULL
    cdef int _grow(self, size_t nbytes) except -1
    cdef void _forget(self)
    cdef void _drop_pieces(self)
    cdef void _shrink(self)
    cdef void _place_pieces(self) noexcept
