# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False
"""Queues in memory that processes share: a ring of slots, and an arena for what does not fit a slot.

A worker process has a lease: what it takes is copied there before the slot is freed, so it is not lost
with the worker. The parent's own threads (who feed and who consume) take straight from the slot: they do not
die alone.
"""

from libc.stdint cimport uint32_t, uint64_t
from libc.string cimport memcpy

from cpython.exc cimport PyErr_CheckSignals

from pypeln._core.c cimport (
    PP_ABORTED, PP_ARMED, PP_BLOCK, PP_BODY_BYTES, PP_CLOSED, PP_CORRUPT, PP_EMPTY, PP_END,
    PP_FAULT_POINT, PP_FULL, PP_INLINE, PP_MAX_DEPTH, PP_OK, PP_TOOBIG, load32, load64,
    pp_arena_allocate, pp_arena_bytes, pp_arena_create, pp_arena_open, pp_arena_publish,
    pp_arena_release, pp_arena_repair, pp_arena_segment_bytes, pp_arena_usage, pp_descriptor, pp_head,
    pp_pop_claim, pp_pop_free, pp_pop_lease, pp_port_open, pp_push_claim, pp_push_publish, pp_ring,
    pp_ring_abort, pp_ring_bytes, pp_ring_close_for, pp_ring_closed, pp_ring_count, pp_ring_create,
    pp_ring_mend, pp_ring_settle, pp_ring_valid, pp_ring_wake_all, pp_slot, pp_spot_arm, pp_spot_notify,
    pp_wait_block, store64,
)
from pypeln._core.decoder cimport decode_payload as decode
from pypeln._core.encoder cimport Encoder
from pypeln._core.memory cimport Ledger, Segment
from pypeln._core.queue cimport CLOSED, EMPTY, END, InPort, OutPort

from pypeln._core.memory import CorruptMemory, RunAborted

# The further dimensions of an index before a payload in a block: a whole number of lines, so that buffers in
# the payload stay aligned.
cdef enum:
    BLOCK_PREFIX = 128

# How long a producer sleeps at most when the arena is full.
cdef uint64_t BLOCK_LOOK_NS = 2_000_000

assert BLOCK_PREFIX >= (PP_MAX_DEPTH - 1) * 8


class ElementTooLarge(ValueError):
    """An element is larger than its queue's byte budget."""


def arena_nbytes(uint64_t capacity) -> int:
    """Bytes of segment for an arena with room for `capacity` bytes of payload."""
    return pp_arena_segment_bytes(capacity)


def create_arena(Segment segment, uint64_t capacity):
    """Lay out an arena in a fresh segment."""
    cdef int rc = pp_arena_create(&segment.segment, capacity)
    if rc != PP_OK:
        raise MemoryError("no memory for the arena of a queue")


cdef class SharedRing:
    """Where a ring lies, and what only the parent does with it.

    Args:
        segment: Shared memory that holds it.
        offset: Where, a multiple of 128.
        nbytes: How much is set aside for it there.
        arena: Segment of its arena.
    """

    def __cinit__(self, Segment segment, uint64_t offset, uint64_t nbytes, Segment arena):
        if offset + nbytes > segment.segment.nbytes:
            raise CorruptMemory("the ring reaches beyond its segment")
        self.segment = segment
        self.arena_segment = arena
        self.nbytes = nbytes
        self.ring = <pp_ring *>(segment.segment.base + offset)

    @staticmethod
    def nbytes_for(uint32_t capacity, uint32_t producers) -> int:
        """Bytes that a ring takes, a multiple of 128."""
        return (pp_ring_bytes(capacity, producers) + 127) // 128 * 128

    def create(self, uint32_t capacity, uint32_t producers):
        """Lay out the ring, once, before anybody opens a port on it."""
        pp_ring_create(self.ring, capacity, producers, True)

    cdef int check(self) except -1:
        """What its header says now is to be as sound as when ports were opened."""
        if not pp_ring_valid(self.ring, self.nbytes):
            raise CorruptMemory("this is no ring any more")
        return 0

    @property
    def closed(self):
        """Whether every producer has closed."""
        self.check()
        return bool(pp_ring_closed(self.ring))

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
        """Wake everybody: a wake may have gone to a worker that died."""
        pp_ring_wake_all(self.ring, bell)

    def close_for(self, uint32_t producer):
        """Close on behalf of a producer that is proven dead."""
        self.check()
        pp_ring_close_for(self.ring, producer)

    def settle(self, Ledger ledger, Py_ssize_t worker, uint32_t owner):
        """Decide whether a dead worker had published what it was publishing to this ring. Before any mend."""
        self.check()
        pp_ring_settle(self.ring, ledger.at(worker), owner)

    def mend(self, Ledger ledger, Py_ssize_t worker, uint32_t owner) -> int:
        """Give back what a dead worker held of this ring; returns how many slots that was.

        Without a ledger there is no lease, and an element that the dead had begun to take is gone.
        """
        cdef pp_arena arena
        cdef int mended
        self.check()
        mended = pp_ring_mend(self.ring, NULL if ledger is None else ledger.at(worker), owner)
        if pp_arena_open(&arena, &self.arena_segment.segment, owner) == PP_OK:
            pp_arena_repair(&arena, owner)
        return mended

    def usage(self) -> dict:
        """Figures of its arena, in bytes and blocks. A walk over all blocks."""
        cdef uint64_t capacity = 0, blocks = 0, used = 0, reserved = 0
        cdef pp_arena arena
        if pp_arena_open(&arena, &self.arena_segment.segment, 1) != PP_OK:
            raise CorruptMemory("the arena of a queue is damaged")
        pp_arena_usage(&arena, &capacity, &blocks, &used, &reserved)
        return {"capacity": capacity, "blocks": blocks, "bytes": used, "reserved": reserved}


cdef class SharedIn(InPort):
    """Takes from a ring in shared memory.

    Args:
        home: The ring.
        owner: This worker's number in the run, 1 to 8191.
        ledger: With worker: where this worker's lease is. None for threads of the parent.
        worker: Which of the ledger's leases.
    """

    def __init__(self, SharedRing home, uint32_t owner, Ledger ledger=None, Py_ssize_t worker=0):
        self.home = home
        self.ledger = ledger
        self.lease = NULL if ledger is None else ledger.at(worker)
        if pp_port_open(&self.port, home.ring, home.nbytes, owner, 0) != PP_OK:
            raise CorruptMemory("this is no ring")
        if pp_arena_open(&self.arena, &home.arena_segment.segment, owner) != PP_OK:
            raise CorruptMemory("this is no arena")

    cdef object fetch(self):
        cdef pp_slot *slot
        cdef int rc
        if self.lease != NULL:
            self.done()
            rc = pp_pop_lease(&self.port, self.lease)
            if rc == PP_OK:
                return self.open_slot(&self.lease.element)
        else:
            rc = pp_pop_claim(&self.port, &slot)
            if rc == PP_OK:
                try:
                    return self.open_slot(slot)
                finally:
                    if slot.head.kind & ~PP_END == PP_BLOCK:
                        block = slot.body.block
                        pp_pop_free(&self.port, slot)
                        self.release_block(block)
                    else:
                        pp_pop_free(&self.port, slot)
        if rc == PP_EMPTY:
            return EMPTY
        if rc == PP_CLOSED:
            return CLOSED
        if rc == PP_CORRUPT:
            raise CorruptMemory("a ring whose slots and hints contradict each other")
        raise RunAborted

    cpdef bint resume(self) except -1:
        cdef uint64_t nbytes
        if self.lease == NULL or load64(&self.lease.in_hand) == 0:
            return False
        self.locate(&self.lease.element, &nbytes)
        return True

    cdef object leased(self):
        return self.open_slot(&self.lease.element)

    cdef object open_slot(self, pp_slot *slot):
        cdef uint64_t nbytes
        cdef const unsigned char *data = self.locate(slot, &nbytes)
        self.opening = True
        cdef object value = decode(data, nbytes)
        self.opening = False
        if self.head.kind & PP_END:
            self.count = value
            return END
        return value

    cdef const unsigned char *locate(self, pp_slot *slot, uint64_t *payload_nbytes) except NULL:
        """Load head and index from a slot; where its encoded value is."""
        # Looked at once: what is checked here is what is used.
        cdef const unsigned char *data
        cdef uint64_t nbytes, prefix, further
        cdef pp_descriptor block
        self.head = slot.head
        if self.head.depth < 1 or self.head.depth > PP_MAX_DEPTH:
            raise CorruptMemory("a slot with an impossible index")
        further = (self.head.depth - 1) * 8
        if self.head.kind & ~PP_END == PP_INLINE:
            data = slot.body.bytes
            nbytes = self.head.nbytes
            prefix = further
            if nbytes > PP_BODY_BYTES or prefix > nbytes:
                raise CorruptMemory("a slot with more bytes than it has")
        else:
            block = slot.body.block
            data = <const unsigned char *>pp_arena_bytes(&self.arena, block)
            nbytes = block.nbytes
            prefix = BLOCK_PREFIX if further else 0
            if self.head.kind & ~PP_END != PP_BLOCK or data == NULL or prefix > nbytes:
                raise CorruptMemory("a slot that names no block of the arena")
        if further:
            memcpy(self.extra, data, further)
        payload_nbytes[0] = nbytes - prefix
        return data + prefix

    cdef int release_block(self, pp_descriptor block) except -1:
        if pp_arena_release(&self.arena, block) != PP_OK:
            raise CorruptMemory("a block was released that was not in use")
        # A producer may wait for room in the arena at the place where it waits for slots.
        pp_spot_notify(&self.home.ring.not_full, self.port.bell)
        return 0

    cpdef done(self):
        if self.lease == NULL or load64(&self.lease.in_hand) == 0:
            return
        # In this order: see lease.h for what a death in between costs.
        store64(&self.lease.in_hand, 0)
        PP_FAULT_POINT("element answered")
        if self.lease.element.head.kind & ~PP_END == PP_BLOCK:
            self.release_block(self.lease.element.body.block)


cdef class SharedOut(OutPort):
    """Puts into a ring in shared memory.

    Args:
        home: The ring.
        owner: This worker's number in the run, 1 to 8191.
        producer: Which of the ring's producers it is.
        ledger: With worker: where this worker's lease is. None for threads of the parent.
        worker: Which of the ledger's leases.
        outlet: Which of the worker's outlets this is.
    """

    def __init__(
        self, SharedRing home, uint32_t owner, uint32_t producer, Ledger ledger=None, Py_ssize_t worker=0,
        uint32_t outlet=0,
    ):
        self.home = home
        self.ledger = ledger
        self.lease = NULL if ledger is None else ledger.at(worker)
        self.outlet = outlet
        self.encoder = Encoder()
        if pp_port_open(&self.port, home.ring, home.nbytes, owner, producer) != PP_OK:
            raise CorruptMemory("this is no ring")
        if pp_arena_open(&self.arena, &home.arena_segment.segment, owner) != PP_OK:
            raise CorruptMemory("this is no arena")

    cdef int load(self, object value, const pp_head *head, const uint64_t *extra, bint end) except -1:
        cdef uint64_t further = (head.depth - 1) * 8
        self.encoder.encode(value)
        self.head = head[0]
        self.prefix = further
        self.head.kind = PP_INLINE
        self.head.nbytes = 0
        if further:
            memcpy(self.extra, extra, further)
        if further + self.encoder.total > PP_BODY_BYTES:
            self.head.kind = PP_BLOCK
        else:
            self.head.nbytes = <uint32_t>(further + self.encoder.total)
        if end:
            self.head.kind |= PP_END
        self.has_block = False
        self.loaded = True
        return 0

    cdef int write_block(self) except -1:
        cdef uint64_t prefix = BLOCK_PREFIX if self.prefix else 0
        cdef unsigned char *data
        cdef int rc = pp_arena_allocate(&self.arena, prefix + self.encoder.total, &self.block)
        self.short_of = prefix + self.encoder.total if rc == PP_FULL else 0
        if rc == PP_FULL:
            return rc
        if rc != PP_OK:
            nbytes = self.encoder.total
            self.unload()
            if rc == PP_TOOBIG:
                raise ElementTooLarge(
                    f"an element of {nbytes} encoded bytes is larger than its queue may ever hold "
                    f"({self.home.usage()['capacity']} bytes); send it in parts, or set PYPELN_QUEUE_BYTES "
                    "higher"
                )
            raise MemoryError(f"no shared memory left for an element of {nbytes} encoded bytes")
        data = <unsigned char *>pp_arena_bytes(&self.arena, self.block)
        if data == NULL:
            self.unload()
            raise CorruptMemory("the arena of a queue is damaged")
        if self.prefix:
            memcpy(data, self.extra, self.prefix)
        self.encoder.write_to(data + prefix)
        self.encoder.clear()
        self.has_block = True
        PP_FAULT_POINT("block written")
        return PP_OK

    cdef int offer(self) except -1:
        cdef pp_slot *slot
        cdef int rc
        if self.head.kind & ~PP_END == PP_BLOCK and not self.has_block:
            rc = self.write_block()
            if rc != PP_OK:
                return rc
        rc = pp_push_claim(&self.port, &slot)
        if rc == PP_FULL:
            return rc
        if rc != PP_OK:
            self.unload()
            if rc == PP_CORRUPT:
                raise CorruptMemory("a ring whose slots and hints contradict each other")
            raise RunAborted
        PP_FAULT_POINT("slot claimed")
        slot.head = self.head
        if self.has_block:
            slot.body.block = self.block
            pp_arena_publish(&self.arena, self.block, 1)
            PP_FAULT_POINT("block published")
            self.has_block = False
        else:
            if self.prefix:
                memcpy(slot.body.bytes, self.extra, self.prefix)
            # Nothing that fits a slot has buffers of its own, so the encoder's data is all of it.
            memcpy(slot.body.bytes + self.prefix, self.encoder.data, self.encoder.nbytes)
        pp_push_publish(&self.port, slot, self.lease, self.outlet)
        self.loaded = False
        return PP_OK

    cdef int pause(self, uint64_t timeout_ns) except -1:
        cdef int rc
        if self.short_of == 0:
            return OutPort.pause(self, timeout_ns)
        with nogil:
            rc = pp_wait_block(&self.port, min(timeout_ns, BLOCK_LOOK_NS))
        PyErr_CheckSignals()
        if rc == PP_ABORTED:
            raise RunAborted
        return rc

    def arm(self):
        """Ask that the bell be rung when there is room, in the ring or for a block that found none."""
        cdef pp_descriptor block
        if self.short_of == 0:
            return OutPort.arm(self)
        pp_spot_arm(&self.home.ring.not_full)
        # Look again: what was released before the bell was asked for rings no bell.
        if pp_arena_allocate(&self.arena, self.short_of, &block) != PP_OK:
            return False
        pp_arena_release(&self.arena, block)
        return True

    cdef int unload(self) except -1:
        if self.loaded:
            self.loaded = False
            self.encoder.clear()
            if self.has_block:
                self.has_block = False
                pp_arena_release(&self.arena, self.block)
        return 0
