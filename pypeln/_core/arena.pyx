# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False, cdivision=True
"""Arenas as one process sees them: which blocks it holds, and the views that hold them.

A block is held once by a process, however many views there are on it: those are counted here, and the last
one gives the block back. What a forked copy of a process inherits of this is not its own, and is left alone.
"""

cimport cython
from cpython.buffer cimport PyBuffer_FillInfo
from libc.stdint cimport uint32_t, uint64_t
from libc.stdlib cimport calloc, free

from pypeln._core.c cimport (
    PP_BLOCK_MIN, PP_BORN, PP_CHUNK_BYTES, PP_COPIED_BUSY, PP_COPIED_HELD, PP_COPIED_IN, PP_COPIED_OUT,
    PP_HOLDERS, PP_LENT, PP_OK, PP_VIEWED, pp_arena_allocate, pp_arena_create, pp_arena_figure,
    pp_arena_may_hold, pp_arena_note, pp_arena_open, pp_arena_release, pp_arena_segment_bytes,
    pp_arena_settle, pp_arena_unhold, pp_arena_usage, pp_block_at, pp_block_drop, pp_block_hold, pp_bool,
    pp_descriptor, pp_spot_notify,
)
from pypeln._core.memory cimport Segment

from pypeln._core.memory import CorruptMemory

import os
from sys import modules

HOLDERS = PP_HOLDERS

# The part of an arena that may be held; the rest is for elements on their way.
cdef enum:
    HELD_SHARE = 2

FIGURES = {
    "copied_in": PP_COPIED_IN,
    "copied_held": PP_COPIED_HELD,
    "copied_busy": PP_COPIED_BUSY,
    "lent": PP_LENT,
    "viewed": PP_VIEWED,
    "copied_out": PP_COPIED_OUT,
    "born": PP_BORN,
}

# Grows in a forked copy: what was adopted before is its parent's.
cdef uint64_t generation = 1


def _forked():
    global generation
    generation += 1


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forked)


cdef Arena _birthplace = None


def bear_arrays_in(Arena arena):
    """Have numpy allocate large arrays in an arena, in this thread, from when it is imported."""
    global _birthplace
    _birthplace = arena
    if "numpy" in modules:
        bear_arrays()


def bear_arrays():
    """numpy is there: have it allocate where `bear_arrays_in` has said, if it has."""
    if _birthplace is not None:
        from pypeln._core.allocator import handler_for, use

        use(handler_for(_birthplace))


cdef class Arena:
    """The arena of one queue.

    Args:
        segment: Where it lies.
        id: Its number among the arenas of the run.
    """

    def __cinit__(self, Segment segment not None, uint32_t id):
        cdef uint64_t capacity = 0
        self.place = -1
        self.bell = -1
        self.segment = segment
        self.id = id
        if pp_arena_open(&self.handle, &segment.segment, 1) != PP_OK:
            raise CorruptMemory("this is no arena")
        pp_arena_usage(&self.handle, &capacity, NULL, NULL, NULL)
        self.limit = capacity // HELD_SHARE
        self.views = <uint32_t **>calloc(self.handle.chunks, sizeof(uint32_t *))
        if self.views == NULL:
            raise MemoryError

    def __dealloc__(self):
        self._forget()
        free(self.views)

    def adopt(self, int place, uint32_t owner):
        """From now on this process holds blocks, in this place among those that do.

        Args:
            place: 0 for the process that started the run; at HOLDERS or above it can hold none.
            owner: In whose name it allocates: one of this process's workers.
        """
        self._forget()
        self.place = place if place < PP_HOLDERS else -1
        self.handle.owner = <unsigned short>owner
        self.generation = generation

    cdef void _forget(self):
        cdef uint64_t i
        for i in range(self.handle.chunks if self.views != NULL else 0):
            free(self.views[i])
            self.views[i] = NULL

    def connect(self, int bell):
        """Say what rings for a loop that waits for room here; -1 for none."""
        with cython.critical_section(self):
            self.bell = bell

    def detach(self):
        """The run is over: nobody waits for room any more, and no process will map it."""
        with cython.critical_section(self):  # views may be dropped, and then notify, in any thread
            self.ring = NULL
            self.control = None
            self.bell = -1

    def settle(self, uint32_t dead, int place, bint undo):
        """Undo what a dead process was lending or leaving, or let it stand. It holds nothing more."""
        pp_arena_settle(&self.handle, <unsigned short>dead, place if place < PP_HOLDERS else -1, undo)

    def usage(self) -> dict:
        """Figures, in bytes and blocks. A walk over all blocks."""
        cdef uint64_t capacity = 0, blocks = 0, used = 0, reserved = 0
        pp_arena_usage(&self.handle, &capacity, &blocks, &used, &reserved)
        return {"capacity": capacity, "blocks": blocks, "bytes": used, "reserved": reserved}

    def figures(self) -> dict:
        """For each of FIGURES how many buffers it happened to, and their bytes."""
        cdef uint64_t count = 0, nbytes = 0
        found = {}
        for name, figure in FIGURES.items():
            pp_arena_figure(&self.handle, figure, &count, &nbytes)
            found[name] = (count, nbytes)
        return found

    cdef bint holds(self) noexcept:
        return self.place >= 0 and self.generation == generation

    cdef bint contains(self, const void *address) noexcept:
        cdef const unsigned char *start = self.segment.segment.base + self.handle.payload_offset
        return start <= <const unsigned char *>address < start + self.handle.chunks * PP_CHUNK_BYTES

    cdef char *address(self, uint64_t offset) noexcept:
        return <char *>self.segment.segment.base + self.handle.payload_offset + offset

    cdef uint64_t offset_of(self, const void *address) noexcept:
        return <const unsigned char *>address - self.segment.segment.base - self.handle.payload_offset

    cdef uint32_t *_count_of(self, pp_descriptor block) except NULL:
        cdef uint64_t chunk = block.offset // PP_CHUNK_BYTES
        if self.views[chunk] == NULL:
            self.views[chunk] = <uint32_t *>calloc(PP_CHUNK_BYTES // PP_BLOCK_MIN, sizeof(uint32_t))
            if self.views[chunk] == NULL:
                raise MemoryError
        return &self.views[chunk][block.offset % PP_CHUNK_BYTES // PP_BLOCK_MIN]

    cdef bint hold(self, pp_descriptor block) except -1:
        """Hold a block once more; False when this process is to copy instead."""
        cdef uint32_t *count
        if not self.holds():
            return False
        with cython.critical_section(self):
            count = self._count_of(block)
            if count[0] == 0:
                if not pp_arena_may_hold(&self.handle, self.place, block.nbytes, self.limit):
                    return False
                if pp_block_hold(&self.handle, block, self.place) != PP_OK:
                    pp_arena_unhold(&self.handle, self.place, block.nbytes)
                    raise CorruptMemory("a block that nobody has was to be looked at")
            count[0] += 1
        return True

    cdef int drop(self, pp_descriptor block) except -1:
        """One view less."""
        cdef uint32_t *count
        cdef pp_bool freed = False
        with cython.critical_section(self):
            count = self._count_of(block)
            count[0] -= 1
            if count[0] == 0:
                if pp_block_drop(&self.handle, block, self.place, &freed) != PP_OK:
                    raise CorruptMemory("a block was given back that was not held")
                pp_arena_unhold(&self.handle, self.place, block.nbytes)
        if freed:
            self.notify()
        return 0

    cdef int notify(self) except -1:
        """A block is free: who waits for room may look again."""
        with cython.critical_section(self):
            if self.ring != NULL:
                pp_spot_notify(&self.ring.not_full, self.bell)
        return 0

    cdef BlockView view(self, uint64_t offset, uint64_t nbytes, bint read_only):
        """A view of a part of a block; None when it is to be copied instead."""
        cdef pp_descriptor block
        cdef BlockView view
        if pp_block_at(&self.handle, offset, nbytes, &block) != PP_OK:
            raise CorruptMemory("a buffer that lies in no block of its arena")
        if not self.hold(block):
            pp_arena_note(&self.handle, PP_COPIED_OUT, nbytes)
            return None
        view = BlockView.__new__(BlockView)
        view.arena = self
        view.block = block
        view.offset = offset
        view.nbytes = nbytes
        view.read_only = read_only
        view.generation = self.generation
        pp_arena_note(&self.handle, PP_VIEWED, nbytes)
        return view

    cdef void *allocate(self, uint64_t nbytes) noexcept:
        """Memory of a block that this process holds; NULL when there is none to be had at once."""
        cdef pp_descriptor block, whole
        cdef bint held = False
        cdef int rc
        if not self.holds():
            return NULL
        with cython.critical_section(self):  # threads of this process share the handle
            rc = pp_arena_allocate(&self.handle, nbytes, &block)
        if rc != PP_OK:
            return NULL
        try:
            held = pp_block_at(&self.handle, block.offset, nbytes, &whole) == PP_OK and self.hold(whole)
        except BaseException:
            pass
        if not held:
            pp_arena_release(&self.handle, block)
            return NULL
        pp_arena_note(&self.handle, PP_BORN, nbytes)
        return self.address(block.offset)

    cdef int give_back(self, void *address) except -1:
        """Give back what `allocate` returned, in this process."""
        cdef pp_descriptor block
        if not self.holds():
            return 0
        if pp_block_at(&self.handle, self.offset_of(address), 1, &block) != PP_OK:
            raise CorruptMemory("an array's memory lies in no block")
        return self.drop(block)


@cython.no_gc
@cython.freelist(64)
cdef class BlockView:
    """A part of a block, for as long as somebody looks at it. Supports the buffer protocol."""

    def __getbuffer__(self, Py_buffer *buffer, int flags):
        PyBuffer_FillInfo(buffer, self, self.arena.address(self.offset), self.nbytes, self.read_only, flags)

    def __dealloc__(self):
        # In a forked copy of the process that holds the block there is nothing to give back.
        if self.generation == generation and self.arena is not None:
            self.arena.drop(self.block)

    def __len__(self):
        return self.nbytes


cdef class Arenas:
    """The arenas of a run, by their ids."""

    def __cinit__(self):
        self.members = []

    def create(self, uint64_t capacity) -> Arena:
        """One more, with room for so many bytes of payload.

        Raises:
            MemoryError: The system has no such amount.
        """
        cdef Segment segment = Segment(pp_arena_segment_bytes(capacity))
        if pp_arena_create(&segment.segment, capacity) != PP_OK:
            raise MemoryError("no memory for the arena of a queue")
        arena = Arena(segment, len(self.members))
        self.members.append(arena)
        return arena

    def __iter__(self):
        return iter(self.members)

    def __getitem__(self, Py_ssize_t id):
        return self.members[id]

    def __reduce__(self):
        return _arenas_in, ([arena.segment for arena in self.members],)

    cdef Arena find(self, const void *address):
        """The arena in which an address lies, and this process holds blocks; None when there is none."""
        cdef Arena arena
        for arena in self.members:
            if arena.contains(address):
                return arena if arena.holds() else None
        return None

    cdef Arena get(self, uint32_t id):
        if id >= <uint32_t>len(self.members):
            raise CorruptMemory("a reference to an arena that is not there")
        return <Arena>self.members[id]


def _arenas_in(list segments) -> Arenas:
    arenas = Arenas()
    for segment in segments:
        arenas.members.append(Arena(segment, len(arenas.members)))
    return arenas
