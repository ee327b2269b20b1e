# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False, cdivision=True
"""Arenas as one process sees them: which blocks it holds, and the views that hold them.

A block is held once by a process, however many views there are on it: those are counted here, and the last
one gives the block back. What a forked copy of a process inherits of this is not its own, and is left alone.
It may go on looking at it, though, when its parent does not any more. So whatever is held at a fork that
Python knows of stays held until the run ends.
"""

cimport cython
from cpython.buffer cimport PyBuffer_FillInfo
from libc.stdint cimport uint32_t, uint64_t, uintptr_t
from libc.stdlib cimport calloc, free

from pypeln._core.c cimport (
    PP_BLOCK_MIN, PP_BORN, PP_CHUNK_BYTES, PP_COPIED_BUSY, PP_COPIED_HELD, PP_COPIED_IN, PP_COPIED_OUT,
    PP_COPIED_TYPE, PP_HOLDERS, PP_LARGE_SHARE, PP_LENT, PP_OK, PP_VIEWED, pp_arena_allocate,
    pp_arena_create_zones, pp_arena_discard, pp_arena_figure, pp_arena_holdable_for, pp_arena_may_hold,
    pp_arena_note, pp_arena_open, pp_arena_release, pp_arena_segment_bytes, pp_arena_settle,
    pp_arena_unhold, pp_arena_usage, pp_block_at, pp_block_discard, pp_block_drop, pp_block_hold,
    pp_bool, pp_descriptor, pp_segment_reserve, pp_spot_notify, pp_zones,
)
from pypeln._core.memory cimport Segment

from pypeln._core.memory import CorruptMemory

import os
from _thread import _local
from sys import modules

from pypeln._core.living import Living

HOLDERS = PP_HOLDERS

# The part of the common zone that may be held; the rest is for elements on their way.
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
    "copied_type": PP_COPIED_TYPE,
}

# Grows in a forked copy: what was adopted before is its parent's.
cdef uint64_t generation = 1


# Those in which this process holds blocks, or may.
_adopted = Living()

# In the count of a block's views: it is never given back.
cdef uint32_t KEPT = <uint32_t>1 << 31


def _about_to_fork():
    cdef Arena arena
    for arena in _adopted:
        arena.keep()


def _forked():
    global generation
    generation += 1
    _adopted.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_about_to_fork, after_in_child=_forked)


# Where large results are made: in this process, and in this thread of it.
cdef Arena _birthplace = None
cdef object _of_thread = _local()


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


def send_results_to(Arena arena):
    """What this thread makes with `birthplace` is to lie in this arena; None for nowhere."""
    _of_thread.arena = arena


def birthplace():
    """The arena in which what this thread makes for the next stage is to lie; None when there is none."""
    arena = getattr(_of_thread, "arena", None)
    return _birthplace if arena is None else arena


def arena_at(uint64_t address):
    """The arena in which an address lies and this process holds blocks; None when there is none."""
    cdef Arena arena
    for arena in _adopted:
        if arena.holds() and arena.contains(<const void *>address):
            return arena
    return None


@cython.no_gc_clear  # its end unlocks what it has locked; and a tuple is never emptied either
cdef class Arena:
    """The arena of one queue.

    Args:
        segment: Where it lies.
        id: Its number among the arenas of the run.
    """

    def __cinit__(self, Segment segment not None, uint32_t id):
        self.place = -1
        self.bell = -1
        self.segment = segment
        self.id = id
        if pp_arena_open(&self.handle, &segment.segment, 1) != PP_OK:
            raise CorruptMemory("this is no arena")
        self.looks = <Looks **>calloc(self.handle.chunks, sizeof(Looks *))
        if self.looks == NULL:
            raise MemoryError
        self.tensors = {}
        self.locked = ()

    def __dealloc__(self):
        for start, _, unlock in self.locked:
            try:
                unlock(<uintptr_t>self.address(start))
            except BaseException:  # nothing may be raised from here
                pass
        self._forget()
        free(self.looks)

    def lock(self, uint64_t address, locks):
        """Lock all the memory in place that blocks like the one at an address may be held in, if it is not.

        It stays so for as long as it is mapped: the common zone, or the one for large blocks alone; after the
        run, which leaves nothing else, the block.

        Args:
            address: In a block that this process holds.
            locks: Called when there is something to lock. Returns what locks, a function of an address and
                the number of bytes, and what unlocks, a function of that address.

        Raises:
            MemoryError: The system has no such amount.
            Exception: Whatever these functions raise.
        """
        cdef uint64_t at = self.offset_of(<const void *>address)
        cdef pp_descriptor block
        for locked_from, locked_until, _ in self.locked:
            if locked_from <= at < locked_until:
                return
        lock, unlock = locks()
        cdef uint64_t start = 0, end = self.handle.common * PP_CHUNK_BYTES
        if self.over:
            if pp_block_at(&self.handle, at, 1, &block) != PP_OK:
                raise CorruptMemory("an array that lies in no block")
            start, end = block.offset, block.offset + block.nbytes
        else:
            if at >= end:
                start, end = end, self.handle.holdable * PP_CHUNK_BYTES
            if pp_segment_reserve(
                    &self.segment.segment, self.handle.payload_offset + start, end - start) != PP_OK:
                raise MemoryError(f"no {end - start} bytes of shared memory to be locked")
        lock(<uintptr_t>self.address(start), end - start)
        self.locked += ((start, end, unlock),)

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
        if self.place >= 0:
            _adopted.add(self)

    cdef void keep(self):
        """What is held now is not given back."""
        cdef uint64_t chunk, i
        for chunk in range(self.handle.chunks if self.nheld else 0):
            if self.looks[chunk] == NULL:
                continue
            for i in range(PP_CHUNK_BYTES // PP_BLOCK_MIN):
                if self.looks[chunk][i].views:
                    self.looks[chunk][i].views |= KEPT
                    self.keeps = True

    cdef bint kept(self, const void *address) noexcept:
        """Whether a forked copy of this process may look at the block that an address lies in."""
        cdef pp_descriptor block
        cdef uint64_t chunk
        if not self.keeps or pp_block_at(&self.handle, self.offset_of(address), 0, &block) != PP_OK:
            return False
        chunk = block.offset // PP_CHUNK_BYTES
        return self.looks[chunk] != NULL and bool(
            self.looks[chunk][block.offset % PP_CHUNK_BYTES // PP_BLOCK_MIN].views & KEPT)

    cdef void _forget(self):
        cdef uint64_t i
        self.nheld = 0
        self.keeps = False
        for i in range(self.handle.chunks if self.has_looks else 0):
            free(self.looks[i])
            self.looks[i] = NULL
        self.has_looks = False

    def connect(self, int bell):
        """Say what rings for a loop that waits for room here; -1 for none."""
        with cython.critical_section(self):
            self.bell = bell

    def detach(self):
        """The run is over: nobody waits for room any more, and no process will map it.

        Views that are left keep the blocks they look at, and nothing else: no other memory, no descriptor.
        """
        cdef bint is_held = False
        with cython.critical_section(self):  # views may be dropped, and then notify, in any thread
            self.ring = NULL
            self.control = None
            self.bell = -1
            if self.holds() and self.nheld:
                is_held = self.over = True
                pp_arena_discard(&self.handle, self.place)
        if is_held:
            self.segment.close_fd()

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

    cdef uint64_t limit(self, uint64_t nbytes) noexcept:
        """The bytes that all processes together may hold when one is to hold a block of nbytes."""
        cdef uint64_t common = self.handle.common * PP_CHUNK_BYTES
        # Of blocks so large that they may lie behind the common zone, all but the one that is on its way.
        return max(common // HELD_SHARE, pp_arena_holdable_for(&self.handle, nbytes) - nbytes
                   if nbytes > common // PP_LARGE_SHARE else 0)

    cdef Looks *_looks_at(self, pp_descriptor block) except NULL:
        cdef uint64_t chunk = block.offset // PP_CHUNK_BYTES
        if self.looks[chunk] == NULL:
            self.looks[chunk] = <Looks *>calloc(PP_CHUNK_BYTES // PP_BLOCK_MIN, sizeof(Looks))
            if self.looks[chunk] == NULL:
                raise MemoryError
            self.has_looks = True
        return &self.looks[chunk][block.offset % PP_CHUNK_BYTES // PP_BLOCK_MIN]

    cdef bint hold(self, pp_descriptor block, bint read_only) except -1:
        """Hold a block once more; False when this process is to copy instead."""
        cdef Looks *looks
        if not self.holds():
            return False
        with cython.critical_section(self):
            looks = self._looks_at(block)
            if looks.views == 0:
                if not pp_arena_may_hold(&self.handle, self.place, block.nbytes, self.limit(block.nbytes)):
                    return False
                if pp_block_hold(&self.handle, block, self.place) != PP_OK:
                    pp_arena_unhold(&self.handle, self.place, block.nbytes)
                    raise CorruptMemory("a block that nobody has was to be looked at")
                self.nheld += 1
            looks.views += 1
            looks.writers += not read_only
        return True

    cdef int drop(self, pp_descriptor block, bint read_only) except -1:
        """One view less."""
        cdef Looks *looks
        cdef pp_bool freed = False
        with cython.critical_section(self):
            looks = self._looks_at(block)
            looks.views -= 1
            looks.writers -= not read_only
            if looks.views == 0:
                if pp_block_drop(&self.handle, block, self.place, &freed) != PP_OK:
                    raise CorruptMemory("a block was given back that was not held")
                pp_arena_unhold(&self.handle, self.place, block.nbytes)
                self.nheld -= 1
        if freed:
            if self.over:
                pp_block_discard(&self.handle, block)
            self.notify()
        return 0

    cdef bint is_written(self, pp_descriptor block) noexcept:
        """Whether this process may write to a block that it holds. What it only reads, nobody writes to."""
        cdef Looks *looks = self.looks[block.offset // PP_CHUNK_BYTES]
        return looks == NULL or looks[block.offset % PP_CHUNK_BYTES // PP_BLOCK_MIN].writers != 0

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
        if block.offset >= self.handle.holdable * PP_CHUNK_BYTES or not self.hold(block, read_only):
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
            if pp_block_at(&self.handle, block.offset, nbytes, &whole) == PP_OK:
                held = self.hold(whole, False)
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
        return self.drop(block, False)


@cython.no_gc
@cython.freelist(64)
cdef class BlockView:
    """A part of a block, for as long as somebody looks at it. Supports the buffer protocol."""

    def __getbuffer__(self, Py_buffer *buffer, int flags):
        PyBuffer_FillInfo(buffer, self, self.arena.address(self.offset), self.nbytes, self.read_only, flags)

    def __dealloc__(self):
        # In a forked copy of the process that holds the block there is nothing to give back.
        if self.generation == generation and self.arena is not None:
            if self.is_tensors:
                self.arena.tensors.pop(<uintptr_t>self.start(), None)
            self.arena.drop(self.block, self.read_only)

    cdef char *start(self) noexcept:
        return self.arena.address(self.offset)

    cdef int give_to_tensor(self) except -1:
        """What looks at it from now on is a tensor's storage, and nothing else."""
        self.is_tensors = True
        self.arena.tensors[<uintptr_t>self.start()] = None
        return 0

    def __len__(self):
        return self.nbytes


cdef class Arenas:
    """The arenas of a run, by their ids."""

    def __cinit__(self):
        self.members = []

    def create(self, uint64_t capacity, bint poisons=False, uint64_t large=0) -> Arena:
        """One more.

        Args:
            capacity: Room for so many bytes of payload, in whole chunks; and for as many once more in its
                spare.
            poisons: Whether blocks are overwritten when they are freed.
            large: Further bytes for blocks alone of which a few would fill its capacity.

        Raises:
            MemoryError: The system has no such amount.
        """
        capacity = max(<uint64_t>1, (capacity + PP_CHUNK_BYTES - 1) // PP_CHUNK_BYTES) * PP_CHUNK_BYTES
        large = large // PP_CHUNK_BYTES * PP_CHUNK_BYTES
        cdef Segment segment = Segment(pp_arena_segment_bytes(2 * capacity + large))
        if pp_arena_create_zones(&segment.segment, pp_zones(capacity, large, capacity), poisons) != PP_OK:
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
