from libc.stdint cimport uint32_t, uint64_t

from pypeln._core.c cimport pp_arena, pp_descriptor, pp_ring
from pypeln._core.memory cimport Segment


cdef struct Looks:
    uint32_t views       # how many
    uint32_t writers     # of them, those that may be written through


cdef class Arena:
    cdef readonly Segment segment
    cdef pp_arena handle
    cdef readonly uint32_t id
    cdef int place               # which of the processes that hold blocks this one is; -1: none
    cdef uint64_t generation     # of the process that adopted it
    cdef Looks **looks           # how this process looks at each block, by chunk
    cdef bint has_looks          # at any
    cdef uint64_t nheld          # blocks that it looks at
    cdef bint keeps              # some of them for good
    cdef bint over               # the run is: what is dropped is never used again
    cdef dict tensors            # where those views begin that are a tensor's and nobody else's
    cdef pp_ring *ring           # whose producers wait for room here; NULL once the run is over
    cdef Segment control
    cdef int bell
    cdef tuple locked            # the parts of it that are locked in place: start, end, and what unlocks it
    cdef object __weakref__

    cdef bint holds(self) noexcept
    cdef bint contains(self, const void *address) noexcept
    cdef char *address(self, uint64_t offset) noexcept
    cdef uint64_t limit(self, uint64_t nbytes) noexcept
    cdef uint64_t offset_of(self, const void *address) noexcept
    cdef bint hold(self, pp_descriptor block, bint read_only) except -1
    cdef int drop(self, pp_descriptor block, bint read_only) except -1
    cdef bint is_written(self, pp_descriptor block) noexcept
    cdef int notify(self) except -1
    cdef BlockView view(self, uint64_t offset, uint64_t nbytes, bint read_only)
    cdef void *allocate(self, uint64_t nbytes) noexcept
    cdef int give_back(self, void *address) except -1
    cdef Looks *_looks_at(self, pp_descriptor block) except NULL
    cdef void keep(self)
    cdef bint kept(self, const void *address) noexcept
    cdef void _forget(self)


cdef class BlockView:
    cdef Arena arena
    cdef pp_descriptor block
    cdef uint64_t offset
    cdef uint64_t nbytes
    cdef uint64_t generation
    cdef bint read_only
    cdef bint is_tensors  # what looks at it is a tensor's storage, and nothing else
    cdef char *start(self) noexcept
    cdef int give_to_tensor(self) except -1


cdef class Arenas:
    cdef list members
    cdef Arena find(self, const void *address)
    cdef Arena get(self, uint32_t id)
