"""Arrays that grow by themselves."""
from cpython.mem cimport PyMem_RawRealloc


cdef inline void* with_room(
    void* items, size_t count, size_t* capacity, size_t nbytes_each, str what
) except NULL:
    """An array of `count` items, with room for one more. A MemoryError names them and leaves it as it was."""
    cdef size_t more
    if count < capacity[0]:
        return items
    more = max(<size_t>8, 2 * capacity[0])
    items = PyMem_RawRealloc(items, more * nbytes_each)
    if items == NULL:
        raise MemoryError(f"no memory to encode an element with more than {count} {what}")
    capacity[0] = more
    return items
