# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False
"""Queues between threads of one process: the same ring as between processes, its slots holding references.

Nothing is encoded and nothing copied. A slot owns the reference in it from the put to the take.
"""

from libc.stdint cimport uint32_t, uint64_t, uintptr_t
from libc.stdlib cimport calloc, free

from cpython.object cimport PyObject
from cpython.ref cimport Py_INCREF, Py_XDECREF

from pypeln._core.c cimport (
    PP_ABORTED, PP_ARMED, PP_CLOSED, PP_EMPTY, PP_END, PP_FULL, PP_OBJECT, PP_OK, load32, pp_head,
    pp_pop_claim, pp_pop_free, pp_port, pp_port_open, pp_push_claim, pp_push_publish, pp_ring,
    pp_ring_abort, pp_ring_bytes, pp_ring_close_for, pp_ring_closed, pp_ring_count, pp_ring_create,
    pp_ring_wake_all, pp_slot, store32,
)
from pypeln._core.queue cimport CLOSED, EMPTY, END, InPort, OutPort

from pypeln._core.memory import CorruptMemory, RunAborted

cdef extern from *:
    """
    /* Cython would count references around a cast; here ownership moves with the pointer. */
    static inline PyObject *pp_steal(void *p) { return (PyObject *)p; }
    """
    object steal "pp_steal"(void *p)


cdef class LocalRing:
    """A ring on the heap.

    Args:
        capacity: How many elements it may hold, at least 1.
        producers: How many will put into it and close it.
    """

    def __cinit__(self, uint32_t capacity, uint32_t producers):
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
        return pp_ring_count(self.ring)

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
        return self.ring.capacity

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
                Py_XDECREF(<PyObject *>slot.body.object.value)
                Py_XDECREF(<PyObject *>slot.body.object.index)
                pp_pop_free(&port, slot)
        free(self.memory)


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
        cdef Py_ssize_t i
        cdef int rc = pp_pop_claim(&self.port, &slot)
        if rc == PP_OK:
            self.head = slot.head
            value = steal(slot.body.object.value)
            if slot.body.object.index != NULL:
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

    cdef int load(self, object value, const pp_head *head, const uint64_t *extra, bint end) except -1:
        cdef Py_ssize_t i
        self.value = value
        self.head = head[0]
        self.head.kind = PP_OBJECT | PP_END if end else PP_OBJECT
        self.further = None if head.depth <= 1 else tuple([extra[i] for i in range(head.depth - 1)])
        return 0

    cdef int offer(self) except -1:
        cdef pp_slot *slot
        cdef int rc = pp_push_claim(&self.port, &slot)
        if rc == PP_FULL:
            return rc
        if rc == PP_ABORTED:
            self.unload()
            raise RunAborted
        slot.head = self.head
        Py_INCREF(self.value)
        slot.body.object.value = <void *>self.value
        slot.body.object.index = NULL
        if self.further is not None:
            Py_INCREF(self.further)
            slot.body.object.index = <void *>self.further
        pp_push_publish(&self.port, slot, NULL, 0)
        self.value = None
        return PP_OK

    cdef int unload(self) except -1:
        self.value = None
        self.further = None
        return 0
