"""The blocks that one element refers to, instead of being copied."""
from libc.stdint cimport uint16_t, uint64_t

from pypeln._core.arena cimport Arena, Arenas
from pypeln._core.c cimport PP_FIGURES, pp_descriptor, pp_reference


cdef struct Range:               # of a block that is lent
    size_t number
    uint64_t offset
    uint64_t nbytes


cdef class Loans:
    """What lies in the run's shared memory already and is lent to whoever receives the element.

    After the element has been published: sent(). Before that, forget() takes everything back.
    """
    cdef Arenas arenas           # None: nothing can be lent
    cdef Arena home              # where the payload will lie; has the figures
    cdef uint16_t lender         # in whose name blocks are lent
    cdef bint shared             # several receivers will see what is lent
    cdef bint is_used            # there is something to forget
    cdef pp_reference* refs
    cdef size_t nrefs
    cdef uint64_t nbytes         # that are referred to
    cdef size_t _ref_capacity
    cdef Range* _ranges
    cdef size_t _nranges
    cdef size_t _range_capacity
    cdef uint64_t _tally[PP_FIGURES]  # what happens to buffers: pairs of count and bytes
    cdef int ncounted

    # The number of the reference to a block, lent now if it is new; -1 when it cannot be.
    cdef int number_of(self, Arena arena, pp_descriptor block) except -2
    # Views that may be written through never overlap, in any process: or one would be given away while
    # another is kept. Those of one element may, where it holds an array and parts of it.
    cdef bint overlaps(self, size_t number, uint64_t offset, size_t nbytes) noexcept
    cdef int note_range(self, size_t number, uint64_t offset, size_t nbytes) except -1
    # One buffer more to which this happened; report() adds them to the figures of the home.
    cdef void count(self, int figure, size_t nbytes) noexcept
    cdef void report(self) noexcept
    # The element has been published: what it refers to is on its way.
    cdef int sent(self) except -1
    # The next element begins with nothing.
    cdef int forget(self) except -1
    cdef int _take_back(self) except -1
    cdef void _clear_tally(self) noexcept
