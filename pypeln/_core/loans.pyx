# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False, cdivision=True
# cython: auto_pickle=False
"""The blocks that one element refers to (loans.pxd says what each call is for; docs/design/arrays.md why)."""
cimport cython
from cpython.mem cimport PyMem_RawFree
from libc.stdint cimport uint64_t
from libc.string cimport memset

from pypeln._core.arena cimport Arena
from pypeln._core.c cimport (
    PP_FIGURES, PP_FULL, PP_OK, pp_arena_note_many, pp_block_lend, pp_block_lent, pp_block_return, pp_bool,
    pp_descriptor, pp_reference,
)
from pypeln._core.growing cimport with_room

from pypeln._core.memory import CorruptMemory

cdef enum:
    REFS_MAX = 65535  # as many as a slot's head can count


@cython.final
cdef class Loans:
    def __dealloc__(self):
        PyMem_RawFree(self.refs)
        PyMem_RawFree(self._ranges)

    cdef int number_of(self, Arena arena, pp_descriptor block) except -2:
        cdef size_t i
        cdef int rc
        self.is_used = True
        for i in range(self.nrefs):
            if self.refs[i].arena == arena.id and self.refs[i].offset == block.offset:
                return i
        if self.nrefs == REFS_MAX:
            return -1
        self.refs = <pp_reference*>with_room(
            self.refs, self.nrefs, &self._ref_capacity, sizeof(pp_reference), "references")
        rc = pp_block_lend(&arena.handle, block, arena.place, self.lender)
        if rc == PP_FULL:
            return -1
        if rc != PP_OK:
            raise CorruptMemory("a block was lent that this process does not hold")
        self.refs[self.nrefs] = pp_reference(block.offset, arena.id, 0)
        self.nrefs += 1
        return self.nrefs - 1

    cdef bint overlaps(self, size_t number, uint64_t offset, size_t nbytes) noexcept:
        cdef size_t i
        cdef Range* range_
        for i in range(self._nranges):
            range_ = &self._ranges[i]
            if (range_.number == number and offset < range_.offset + range_.nbytes
                    and range_.offset < offset + nbytes):
                return True
        return False

    cdef int note_range(self, size_t number, uint64_t offset, size_t nbytes) except -1:
        self._ranges = <Range*>with_room(
            self._ranges, self._nranges, &self._range_capacity, sizeof(Range), "buffers")
        self._ranges[self._nranges] = Range(number, offset, nbytes)
        self._nranges += 1
        return 0

    cdef void count(self, int figure, size_t nbytes) noexcept:
        self.is_used = True
        self._tally[2 * figure] += 1
        self._tally[2 * figure + 1] += nbytes
        self.ncounted += 1

    cdef void report(self) noexcept:
        cdef int figure
        if self.home is None:
            return
        for figure in range(PP_FIGURES // 2):
            if self._tally[2 * figure]:
                pp_arena_note_many(
                    &self.home.handle, figure, self._tally[2 * figure], self._tally[2 * figure + 1])
        self._clear_tally()

    cdef void _clear_tally(self) noexcept:
        self.ncounted = 0
        memset(self._tally, 0, sizeof(self._tally))

    cdef int sent(self) except -1:
        cdef size_t i
        cdef pp_descriptor block
        cdef Arena arena
        for i in range(self.nrefs):
            arena = self.arenas.get(self.refs[i].arena)
            block = pp_descriptor(self.refs[i].offset, 0)
            if pp_block_lent(&arena.handle, block, self.lender) != PP_OK:
                raise CorruptMemory("a block that was lent is in no arena")
        self.nrefs = 0
        return 0

    cdef int forget(self) except -1:
        self._take_back()
        self.nbytes = 0
        self._nranges = 0
        self._clear_tally()
        self.is_used = False
        return 0

    cdef int _take_back(self) except -1:
        cdef pp_bool freed = False
        cdef pp_descriptor block
        cdef Arena arena
        while self.nrefs:
            self.nrefs -= 1
            arena = self.arenas.get(self.refs[self.nrefs].arena)
            block = pp_descriptor(self.refs[self.nrefs].offset, 0)
            if pp_block_return(&arena.handle, block, self.lender, &freed) != PP_OK:
                raise CorruptMemory("a block that was lent is on its way no more")
            if freed:
                arena.notify()
        return 0
