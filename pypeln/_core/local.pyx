# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False
"""Queues between threads of one process: the same ring as between processes, its slots holding references.

Nothing is encoded and nothing copied. A slot owns the reference in it from the put to the take.
"""

cimport cython

from libc.stdint cimport uint32_t, uint64_t, uintptr_t
from libc.stdlib cimport calloc, free
from libc.string cimport memcpy

from cpython.object cimport PyObject
from cpython.ref cimport Py_DECREF, Py_INCREF, Py_XDECREF

from pypeln._core.c cimport (
    PP_ARMED, PP_BODY_BYTES, PP_CLOSED, PP_EMPTY, PP_END, PP_FULL, PP_OBJECT, PP_OK, PP_PARTS,
    load32, pp_head, pp_pack_add, pp_part, pp_pop_claim, pp_pop_free, pp_port, pp_port_open, pp_push_claim,
    pp_push_publish, pp_push_small, pp_ring, pp_ring_abort, pp_ring_allow_several, pp_ring_bytes,
    pp_ring_close_for, pp_ring_closed, pp_ring_count, pp_ring_create, pp_ring_elements, pp_ring_wake_all,
    pp_slot, pp_tip_begin, store32,
)
from pypeln._core.queue cimport CLOSED, EMPTY, END, InPort, OutPort, steal

from pypeln._core.memory import CorruptMemory, RunAborted

cdef inline void *value_in(const pp_slot *slot, uint32_t part) noexcept nogil:
    """The reference that is a part of a slot, or NULL."""
    cdef uint32_t nbytes
    cdef void *value = NULL
    cdef const unsigned char *at = pp_part(&slot.head, slot.body.bytes, part, &nbytes)
    if at != NULL:
        memcpy(&value, at, sizeof(value))
    return value


# How many elements share a slot, at most.
PARTS = min(PP_PARTS, PP_BODY_BYTES // sizeof(void *))


@cython.final
cdef class LocalRing:
    """A ring on the heap.

    Args:
        capacity: How many slots it has, at least 1.
        producers: How many will put into it and close it.
        several: Whether a slot may hold several elements: the capacity is then no bound on elements.
        sole: Whether one thread takes from it, and no other.
    """

    def __cinit__(self, uint32_t capacity, uint32_t producers, bint several=False, bint sole=False):
        cdef uintptr_t start
        if capacity < 1:
            raise ValueError("a ring holds at least one element")
        self.nbytes = pp_ring_bytes(capacity, producers)
        self.memory = calloc(self.nbytes + 128, 1)
        if self.memory == NULL:
            raise MemoryError
        start = (<uintptr_t>self.memory + 127) & ~<uintptr_t>127
        self.ring = <pp_ring *>start
        pp_ring_create(self.ring, capacity, producers, False)
        if several:
            pp_ring_allow_several(self.ring, sole)

    @property
    def closed(self):
        """Whether every producer has closed."""
        return bool(pp_ring_closed(self.ring))

    def close_for(self, uint32_t producer):
        """Close one of the producers."""
        pp_ring_close_for(self.ring, producer)

    @property
    def count(self):
        """How many elements it holds, more or less."""
        return pp_ring_elements(self.ring)

    @property
    def aborted(self):
        """Whether no element goes in or out any more."""
        return bool(load32(&self.ring.aborted))

    @property
    def awaited(self):
        """Whether an event loop waits for the next element."""
        return bool(load32(&self.ring.not_empty.waiters) & PP_ARMED)

    @property
    def capacity(self):
        """How many elements it holds at most."""
        return self.ring.capacity * (PARTS if self.ring.several else 1)

    @property
    def full(self):
        """Whether there is no room for another slot."""
        return pp_ring_count(self.ring) >= self.ring.capacity

    def abort(self, int bell=-1):
        """No element goes in or out any more; everybody who waits raises RunAborted."""
        pp_ring_abort(self.ring, bell)

    def wake_all(self, int bell=-1):
        """Wake everybody who waits."""
        pp_ring_wake_all(self.ring, bell)

    def __dealloc__(self):
        cdef pp_port port
        cdef pp_slot *slot
        if self.memory == NULL:
            return
        store32(&self.ring.aborted, 0)
        if pp_port_open(&port, self.ring, self.nbytes, 1, 0) == PP_OK:
            while pp_pop_claim(&port, &slot) == PP_OK:
                Py_XDECREF(<PyObject *>value_in(slot, port.part))
                if slot.head.depth > 1:
                    Py_XDECREF(<PyObject *>slot.body.object.index)
                pp_pop_free(&port, slot)
        free(self.memory)


@cython.final
cdef class LocalIn(InPort):
    """Takes from a ring on the heap.

    Args:
        home: The ring.
        owner: This worker's number, 1 to 8191.
    """

    def __init__(self, LocalRing home, uint32_t owner):
        self.home = home
        if pp_port_open(&self.port, home.ring, home.nbytes, owner, 0) != PP_OK:
            raise CorruptMemory("this is no ring")

    cdef object fetch(self):
        cdef pp_slot *slot
        cdef object value, further
        if self.has_stock():
            return self.from_stock()
        cdef Py_ssize_t i
        cdef int rc = pp_pop_claim(&self.port, &slot)
        if rc == PP_OK:
            self.head = slot.head
            self.head.index0 += self.port.part
            if slot == &self.port.batch:
                for i in range(self.port.batch_next, self.port.batch_count):
                    self.stock[i] = <PyObject *>value_in(slot, <uint32_t>i)
                self.lay_in_stock(self.port.batch_next, self.port.batch_count)
                return self.from_stock()
            value = steal(value_in(slot, self.port.part))
            if self.head.depth > 1:
                further = steal(slot.body.object.index)
                for i in range(self.head.depth - 1):
                    self.extra[i] = (<tuple>further)[i]
            pp_pop_free(&self.port, slot)
            if self.head.kind & PP_END:
                self.count = value
                return END
            return value
        if rc == PP_EMPTY:
            return EMPTY
        if rc == PP_CLOSED:
            return CLOSED
        raise RunAborted


@cython.final
cdef class LocalOut(OutPort):
    """Puts into a ring on the heap.

    Args:
        home: The ring.
        owner: This worker's number, 1 to 8191.
        producer: Which of the ring's producers it is.
    """

    def __init__(self, LocalRing home, uint32_t owner, uint32_t producer):
        self.home = home
        if pp_port_open(&self.port, home.ring, home.nbytes, owner, producer) != PP_OK:
            raise CorruptMemory("this is no ring")
        self.kind = PP_OBJECT
        self.pours = self.port.several

    cdef int load(self, object value, const pp_head *head, const uint64_t *extra, bint end) except -1:
        cdef Py_ssize_t i
        self.value = value
        self.head = head[0]
        self.head.refs = 0
        self.head.kind = PP_OBJECT | PP_END if end else PP_OBJECT
        self.further = None if head.depth <= 1 else tuple([extra[i] for i in range(head.depth - 1)])
        return 0

    cdef int offer(self) except -1:
        cdef pp_slot *slot
        cdef void *value = <void *>self.value
        cdef int rc
        if self.further is None:
            rc = self.hand_over(value, &self.head, self.head.kind)
        else:
            rc = pp_push_claim(&self.port, &slot)
            if rc == PP_OK:
                slot.head = self.head
                slot.body.object.value = value
                Py_INCREF(self.value)
                slot.body.object.index = <void *>self.further
                Py_INCREF(self.further)
                pp_tip_begin(&self.port.tip, &self.head, sizeof(value))
                pp_push_publish(&self.port, slot, NULL, 0)
        if rc == PP_FULL:
            return rc
        self.unload()
        if rc != PP_OK:
            raise RunAborted
        return PP_OK

    cdef inline int hand_over(self, void *value, const pp_head *place, unsigned char kind) noexcept:
        """Put a reference that has one dimension of index."""
        cdef int rc
        # Before it is published: who takes it may drop it at once.
        Py_INCREF(<object>value)
        rc = pp_push_small(&self.port, place, kind, &value, sizeof(value), NULL, 0)
        if rc != PP_OK:
            Py_DECREF(<object>value)
        return rc

    cdef int give(self, object value, const pp_head *head, const uint64_t *extra) except -1:
        if head.depth == 1 and self.hand_over(<void *>value, head, PP_OBJECT) == PP_OK:
            return PP_OK
        self.load(value, head, extra, False)
        return self.offer()

    cdef bint stow(self, object value) except -1:
        cdef void *reference = <void *>value
        if not pp_pack_add(&self.pack, &reference, sizeof(reference)):
            return False
        Py_INCREF(value)
        return True

    cdef int drop_pack(self) except -1:
        cdef uint32_t i
        for i in range(self.pack.count):
            Py_XDECREF(<PyObject *>value_in(&self.pack.slot, i))
        self.pack.count = 0
        return 0

    cdef int unload(self) except -1:
        self.value = None
        self.further = None
        return 0
