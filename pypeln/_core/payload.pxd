"""How an element lies in a payload; what encoder and decoder agree on.

A payload is a head and, for what is large, pieces behind it, each aligned to 64 bytes from the start
of the payload. The head is one value:

    0x80..0xFF            an int from -16 to 111
    0x40..0x7F            a str of 0 to 63 characters below U+0100, one byte each
    tag                   None, True, False
    tag number            INT8 INT16 INT32 INT64 FLOAT
    tag size bytes        BYTES, STR1 STR2 STR4 (raw PEP 393 kinds: lone surrogates need no special
                          case), BIG_INT (two's complement)
    tag|0x20 offset size  the same of BYTES and STR*, the bytes being a piece
    tag size values       TUPLE LIST SET FROZENSET DICT (key, value, key, value, ...)
    NUMPY type bytes      a number of numpy's, as `arrays` writes it
    tag 12 bytes          DATE TIME DATETIME TIMEDELTA, as `dates` writes them
    OBJECT name size ...  an object of the class of that name, a STR, and its attributes as in a DICT
    NAMED name size ...   a named tuple of the class of that name, and its items as in a TUPLE
    ARRAY region ...      a numpy array: its data, and its description as `arrays` writes it
    PICKLE ...            count, a region for each of the out-of-band buffers of pickle protocol 5, the
                          pickle stream as BYTES. Only at the start.

A region says where a buffer is, and whether it is read-only (| READ_ONLY):

    INLINE size bytes     here
    PIECE offset size     a piece
    REFERENCE number offset size    in the block of that one of the slot's references, so far into it

Numbers are in the machine's own byte order, sizes are LEB128, offsets and table fields 64 bits. Both
ends are processes of one run, so a payload is never stored and has no version.
"""

cdef enum:
    T_NONE = 0x01  # 0 is no tag: zeroed memory is not an element
    T_TRUE = 0x02
    T_FALSE = 0x03
    T_INT8 = 0x04
    T_INT16 = 0x05
    T_INT32 = 0x06
    T_INT64 = 0x07
    T_FLOAT = 0x08
    T_TUPLE = 0x09
    T_LIST = 0x0A
    T_DICT = 0x0B
    T_PICKLE = 0x0C
    T_BIG_INT = 0x0D
    T_ARRAY = 0x0E
    T_OBJECT = 0x0F
    T_BYTES = 0x10
    T_STR1 = 0x11
    T_STR2 = 0x12
    T_STR4 = 0x13
    T_SET = 0x14
    T_FROZENSET = 0x15
    T_DATE = 0x16
    T_TIME = 0x17
    T_DATETIME = 0x18
    T_TIMEDELTA = 0x19
    T_NUMPY = 0x1A
    T_NAMED = 0x1B
    T_PIECE = 0x20  # a flag
    T_SHORT_STR = 0x40
    T_SHORT_INT = 0x80

    SHORT_STR_MAX = 63
    SCALAR_MAX = 40   # the body of a slot
    SHORT_INT_MIN = -16
    SHORT_INT_MAX = 111
    MAX_DEPTH = 8     # containers within containers
    ALIGNMENT = 64    # of pieces, a power of two

    REGION_INLINE = 0
    REGION_PIECE = 1
    REGION_REFERENCE = 2
    REGION_READ_ONLY = 0x80  # a flag
    REGION_MIN = 2    # bytes that a region takes at least

    DATE_BYTES = 12   # behind the tag
    NUMPY_MAX = 18    # a number of numpy's, with its tag

    # The bytes of an array's description, at most.
    DESCRIPTION_MAX = 4096

    # Giving the GIL up and getting it back costs up to a switch interval when others compute.
    COPY_WITHOUT_GIL = 1048576


cdef inline size_t aligned(size_t nbytes) noexcept nogil:
    return (nbytes + ALIGNMENT - 1) & ~<size_t>(ALIGNMENT - 1)
