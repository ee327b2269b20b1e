"""The ends of a queue, for every kind of queue: see queue.pyx."""

from libc.stdint cimport uint16_t, uint32_t, uint64_t

from cpython.object cimport PyObject

from pypeln._core.c cimport PP_MAX_DEPTH, PP_PARTS, load32, pp_head, pp_lease, pp_pack, pp_port, pp_slot

cdef extern from *:
    """
    /* Cython would count references around a cast; here ownership moves with the pointer. */
    static inline PyObject *pp_steal(void *p) { return (PyObject *)p; }
    """
    object steal "pp_steal"(void *p)

cdef object EMPTY
cdef object CLOSED
cdef object END


cdef class InPort:
    cdef pp_port port
    cdef pp_head head
    cdef uint64_t extra[PP_MAX_DEPTH]
    cdef readonly uint64_t count
    cdef int bell
    cdef readonly bint foreign
    cdef bint reopens  # `leased` gives the element in hand again
    cdef uint64_t nap_ns   # how long to leave a producer alone once a batch has been taken; 0: not at all
    cdef uint32_t batch    # elements taken without a pause
    cdef bint opening  # a value is being decoded: what is raised now is not the worker's fault
    # What came from the slot of a ring that has no other consumer, and was not asked for yet. The index of
    # `head` is that of the element before.
    cdef PyObject *stock[PP_PARTS]
    cdef uint32_t stock_next
    cdef uint32_t stock_end
    cdef inline bint has_stock(self) noexcept:
        return self.stock_next != self.stock_end and load32(&self.port.ring.aborted) == 0
    cdef inline object from_stock(self):
        self.head.index0 += 1
        self.stock_next += 1
        return steal(self.stock[self.stock_next - 1])
    cdef void lay_in_stock(self, uint32_t next, uint32_t end) noexcept
    cdef object fetch(self)
    cdef object get(self)
    cdef int pause(self, uint64_t timeout_ns) except -1
    cpdef bint resume(self) except -1
    cdef object leased(self)
    cdef bint holds_end(self) noexcept
    cpdef done(self)


cdef class OutPort:
    cdef pp_port port
    cdef int known    # references to what is put that its sender will drop; 0: some may stay
    cdef bint shared  # it is put elsewhere as well
    cdef int bell
    cdef pp_pack pack
    cdef bint pours  # `pour` may be used
    cdef unsigned char kind  # of small elements
    cdef object pour(self, object iterator, pp_head *head, object element_type, pp_lease *lease)
    cdef bint stow(self, object value) except -1
    cdef int push_pack(self) except -1
    cdef int drop_pack(self) except -1
    cdef int load(self, object value, const pp_head *head, const uint64_t *extra, bint end) except -1
    cdef int offer(self) except -1
    cdef int unload(self) except -1
    cdef int give(self, object value, const pp_head *head, const uint64_t *extra) except -1
    cdef int flush(self) except -1
    cdef bint flush_within(self, double timeout_s) except -1
    cdef int send(self, object value, const pp_head *head, const uint64_t *extra, bint end) except -1
    cdef int pause(self, uint64_t timeout_ns) except -1


cdef int read_index(object index, uint64_t lane, pp_head *head, uint64_t *extra) except -1
cdef tuple make_index(const pp_head *head, const uint64_t *extra)
