# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False
"""Has numpy allocate large arrays in an arena, so that they leave their process without a copy (NEP 49).

numpy asks the handler of the current context (a context variable) for an array's memory, and remembers for
each array whose it is. Where the arena has no room at once, memory comes from the heap as ever.
"""

cimport numpy as np
from cpython.pycapsule cimport PyCapsule_GetPointer, PyCapsule_New
from cpython.ref cimport Py_DECREF, Py_INCREF
from libc.stdint cimport uint8_t, uint64_t
from libc.stdlib cimport calloc, free, malloc, realloc
from libc.string cimport memcpy, memset

from pypeln._core.arena cimport Arena
from pypeln._core.c cimport PP_OK, pp_block_at, pp_descriptor

np.import_array()

cdef extern from "numpy/arrayobject.h":
    ctypedef struct Allocator "PyDataMemAllocator":
        void *ctx
        void *(*malloc)(void *ctx, size_t size) noexcept
        void *(*calloc)(void *ctx, size_t count, size_t size) noexcept
        void *(*realloc)(void *ctx, void *address, size_t size) noexcept
        void (*free)(void *ctx, void *address, size_t size) noexcept
    ctypedef struct Handler "PyDataMem_Handler":
        char name[127]
        uint8_t version
        Allocator allocator
    object PyDataMem_SetHandler(object handler)
    object PyDataMem_GetHandler()

cdef enum:
    # A smaller array is copied in less time than a block takes to find and to give back.
    BORN_MIN = 16384


cdef class _Place:
    """An arena, as the process that allocates in it adopted it."""
    cdef Arena arena
    cdef uint64_t generation


cdef void *_malloc(void *ctx, size_t size) noexcept:
    cdef void *address = NULL
    if size >= BORN_MIN:
        address = (<_Place>ctx).arena.allocate(size)
    return address if address != NULL else malloc(size)


cdef void *_calloc(void *ctx, size_t count, size_t size) noexcept:
    cdef void *address = NULL
    if size != 0 and count >= BORN_MIN // size and count <= (<size_t>-1) // size:
        address = (<_Place>ctx).arena.allocate(count * size)
        if address != NULL:
            memset(address, 0, count * size)
    return address if address != NULL else calloc(count, size)


cdef void *_realloc(void *ctx, void *address, size_t size) noexcept:
    cdef Arena arena = (<_Place>ctx).arena
    cdef pp_descriptor block
    cdef void *moved
    if address == NULL or not arena.contains(address):
        return realloc(address, size)
    if pp_block_at(&arena.handle, arena.offset_of(address), 1, &block) != PP_OK:
        return NULL
    if size <= block.nbytes:
        return address
    moved = _malloc(ctx, size)
    if moved != NULL:
        memcpy(moved, address, block.nbytes)
        _free(ctx, address, 0)
    return moved


cdef void _free(void *ctx, void *address, size_t size) noexcept:
    cdef Arena arena = (<_Place>ctx).arena
    if not arena.contains(address):
        free(address)
        return
    if arena.generation != (<_Place>ctx).generation:
        return  # a forked copy of the process that has the block
    try:
        arena.give_back(address)
    except BaseException:  # a block that its word does not know: nothing may be raised from here
        pass


cdef void _forget(object capsule) noexcept:
    cdef Handler *handler = <Handler *>PyCapsule_GetPointer(capsule, "mem_handler")
    Py_DECREF(<_Place>handler.allocator.ctx)
    free(handler)


def handler_for(Arena arena not None):
    """What numpy calls for memory in an arena, to be given to `use`."""
    cdef Handler *handler = <Handler *>calloc(1, sizeof(Handler))
    cdef _Place place = _Place()
    if handler == NULL:
        raise MemoryError
    memcpy(handler.name, <const char *>b"pypeln", 6)
    handler.version = 1
    place.arena = arena
    place.generation = arena.generation
    handler.allocator.ctx = <void *>place
    handler.allocator.malloc = _malloc
    handler.allocator.calloc = _calloc
    handler.allocator.realloc = _realloc
    handler.allocator.free = _free
    Py_INCREF(place)
    return PyCapsule_New(handler, "mem_handler", _forget)


def use(handler):
    """Have numpy allocate with a handler in this context, None for its own; returns the one before."""
    return PyDataMem_SetHandler(handler) if handler is not None else PyDataMem_SetHandler(_default)


def made_in(Arena arena, make, *args, **kwargs):
    """What a function of numpy returns, its memory allocated in an arena if it is large and there is room."""
    before = use(handler_for(arena))
    try:
        return make(*args, **kwargs)
    finally:
        PyDataMem_SetHandler(before)


cdef object _default = PyDataMem_GetHandler()
