from libc.stdint cimport uint32_t, uint64_t

from pypeln._core.arena cimport Arena, Arenas
from pypeln._core.c cimport pp_arena, pp_descriptor, pp_head, pp_lease, pp_reference, pp_ring, pp_slot
from pypeln._core.decoder cimport Opening
from pypeln._core.encoder cimport Encoder
from pypeln._core.memory cimport Ledger, Segment
from pypeln._core.queue cimport InPort, OutPort


cdef class SharedRing:
    cdef pp_ring *ring
    cdef uint64_t nbytes
    cdef int check(self) except -1
    cdef Segment segment
    cdef bint elastic
    cdef readonly Arena arena
    cdef readonly Arenas arenas


cdef struct Marked:   # a block that an element travelled in
    uint32_t arena
    bint by_me        # its mark says that this worker is about to give it back
    pp_descriptor block


cdef class SharedIn(InPort):
    cdef SharedRing home
    cdef Ledger ledger
    cdef pp_lease *lease
    cdef pp_arena arena
    cdef Opening origin
    cdef Opening inline_origin  # of what lies in a slot and refers to nothing
    cdef const pp_reference *refs  # of the element located last
    cdef Marked *marked
    cdef uint64_t nmarked
    cdef uint64_t marked_capacity
    cdef bint open_batch(self)
    cdef object open_slot(self, pp_slot *slot, uint32_t part)
    cdef const unsigned char *locate(
        self, pp_slot *slot, uint32_t part, uint64_t *payload_nbytes) except NULL
    cdef int find_blocks(self, const pp_slot *slot) except -1
    cdef int mark_blocks(self) except -1
    cdef int release_blocks(self) except -1
    cdef int answer(self) except -1
    cdef int answer_with_blocks(self) except -1


cdef class SharedOut(OutPort):
    cdef SharedRing home
    cdef Ledger ledger
    cdef pp_lease *lease
    cdef pp_arena arena
    cdef uint32_t outlet
    cdef Encoder encoder
    cdef pp_head head
    cdef uint64_t extra[16]
    cdef uint64_t prefix
    cdef bint loaded
    cdef bint has_block
    cdef bint crowded
    cdef uint64_t bulk             # bytes of what was loaded last, where a loop asks after it is unloaded
    cdef bint is_crowded(self) noexcept
    cdef pp_descriptor block
    cdef uint64_t short_of
    cdef uint64_t short_since     # ns; 0: room was found
    cdef uint64_t spilled         # the least that found no room in time, and goes to the spare; 0: none
    cdef int allocate(self, uint64_t nbytes) noexcept
    cdef int write_block(self) except -1
    cdef int fill(self, pp_slot *slot) except -1
