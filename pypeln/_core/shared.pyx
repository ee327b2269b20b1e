# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False
"""Queues in memory that processes share: a ring of slots, and an arena for what does not fit a slot.

A worker process has a lease: what it takes is copied there before the slot is freed, so it is not lost
with the worker. The parent's own threads (who feed and who consume) take straight from the slot: they do not
die alone.
"""

cimport cython

from libc.stdint cimport uint32_t, uint64_t
from libc.stdlib cimport free, realloc
from libc.string cimport memcpy

from cpython.exc cimport PyErr_CheckSignals
from cpython.object cimport PyObject
from cpython.ref cimport Py_INCREF

from pypeln._core.c cimport (
    PP_ABORTED, PP_ARMED, PP_BLOCK, PP_BODY_BYTES, PP_CHUNK_BYTES, PP_CLOSED, PP_CORRUPT, PP_EMPTY, PP_END,
    PP_FAULT_POINT, PP_FULL, PP_INLINE, PP_MAX_DEPTH, PP_OK, PP_OUT_SHIFT, PP_PARTS, PP_TOOBIG, load32,
    load64, pp_arena_allocate, pp_arena_bytes, pp_arena_is_held, pp_arena_open, pp_arena_press,
    pp_arena_publish, pp_arena_release, pp_arena_repair, pp_arena_spill, pp_block_leave, pp_block_return,
    pp_bool, pp_cursor, pp_descriptor, pp_head, pp_nap, pp_now_ns, pp_pack_add, pp_part, pp_part_at,
    pp_pop_claim, pp_pop_free, pp_pop_lease, pp_port_open, pp_push_claim, pp_push_publish, pp_push_small,
    pp_reference, pp_ring,
    pp_ring_abort, pp_ring_allow_several, pp_ring_bytes, pp_ring_close_for, pp_ring_closed, pp_ring_count,
    pp_ring_create, pp_ring_elements, pp_ring_mend, pp_ring_settle, pp_ring_valid, pp_ring_wake_all, pp_slot,
    pp_spot_arm, pp_tip_begin, pp_wait_block, store64,
)
from pypeln._core.arena cimport Arena, Arenas
from pypeln._core.decoder cimport Opening
from pypeln._core.encoder cimport Encoder
from pypeln._core.memory cimport Ledger, Segment
from pypeln._core.payload cimport SCALAR_MAX
from pypeln._core.queue cimport CLOSED, EMPTY, END, InPort, OutPort
from pypeln._core.scalars cimport decode, encode_scalar

from pypeln._core.memory import CorruptMemory, RunAborted

# The further dimensions of an index before a payload in a block: a whole number of lines, so that buffers in
# the payload stay aligned.
cdef enum:
    BLOCK_PREFIX = 128
    # References come behind it.
    REFS_IN_BLOCK = 128
    EMITTED_MASK = (1 << (64 - 44)) - 1

# How long a producer sleeps at most when the arena is full.
cdef uint64_t BLOCK_LOOK_NS = 2_000_000

# What finds no room for so long, because blocks are held and not only on their way, goes to the spare.
cdef uint64_t SPILL_AFTER_NS = 20_000_000

# A queue that its stage does not bound takes no more large elements than stay in the caches: blocks that are
# used again soon are warm, and 8192 arrays of a MiB would not be. It drains to half before it takes more.
# Of the largest fewer than CROWD_LEAST wait: as long as its producer finds room, what was taken may be held.
cdef uint64_t CROWD_BYTES = 4 << 20
cdef uint64_t CROWD_LEAST = 8
# Its producers look again after naps, for about two milliseconds, before they ask to be woken.
cdef int NAPS = 20
cdef uint64_t NAP_NS = 50_000

assert SCALAR_MAX == PP_BODY_BYTES
assert BLOCK_PREFIX >= (PP_MAX_DEPTH - 1) * 8


cdef inline uint64_t prefix_in_block(uint64_t further, uint64_t refs) noexcept:
    """Bytes before the encoded value in a block: what leads it, in whole lines."""
    if refs:
        return REFS_IN_BLOCK + (refs * sizeof(pp_reference) + 63) // 64 * 64
    return BLOCK_PREFIX if further else 0


# How many elements share a slot, at most.
PARTS = PP_PARTS


cdef inline bint is_inline(const pp_head *head) noexcept:
    """Whether an element is but an inline payload, and not damaged: no dimensions, references or blocks."""
    return head.kind == PP_INLINE and head.depth == 1 and head.refs == 0 and head.nbytes <= PP_BODY_BYTES


class ElementTooLarge(ValueError):
    """An element is larger than its queue's byte budget."""


@cython.final
cdef class SharedRing:
    """Where a ring lies, and what only the parent does with it.

    Args:
        segment: Shared memory that holds it.
        offset: Where, a multiple of 128.
        nbytes: How much is set aside for it there.
        arena: Its arena.
        arenas: Those of all queues of the run, in which its elements may refer to blocks.
        elastic: Nobody has asked for its capacity, and of large elements it is to hold fewer.
    """

    def __cinit__(
        self, Segment segment, uint64_t offset, uint64_t nbytes, Arena arena not None, Arenas arenas not None,
        bint elastic=False,
    ):
        if offset + nbytes > segment.segment.nbytes:
            raise CorruptMemory("the ring reaches beyond its segment")
        self.segment = segment
        self.arena = arena
        self.arenas = arenas
        self.elastic = elastic
        self.nbytes = nbytes
        self.ring = <pp_ring *>(segment.segment.base + offset)
        arena.ring = self.ring
        arena.control = segment

    @staticmethod
    def nbytes_for(uint32_t capacity, uint32_t producers) -> int:
        """Bytes that a ring takes, a multiple of 128."""
        return (pp_ring_bytes(capacity, producers) + 127) // 128 * 128

    def create(self, uint32_t capacity, uint32_t producers, bint several=False, bint sole=False):
        """Lay out the ring, once, before anybody opens a port on it.

        Several: a slot may hold several elements, so that the capacity is no bound on them. Sole: one worker
        takes from it, and no other.
        """
        pp_ring_create(self.ring, capacity, producers, True)
        if several:
            pp_ring_allow_several(self.ring, sole)

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
        if pp_arena_open(&arena, &self.arena.segment.segment, owner) == PP_OK:
            pp_arena_repair(&arena, owner)
        return mended

    def usage(self) -> dict:
        """Figures of its arena, in bytes and blocks. A walk over all blocks."""
        return self.arena.usage()


@cython.final
cdef class SharedIn(InPort):
    """Takes from a ring in shared memory.

    Args:
        home: The ring.
        owner: This worker's number in the run, 1 to 8191.
        ledger: With worker: where this worker's lease is. None for threads of the parent.
        worker: Which of the ledger's leases.
        copies: Whether elements are to be copies, because they may have to be seen again as they were.
    """

    def __init__(
        self, SharedRing home, uint32_t owner, Ledger ledger=None, Py_ssize_t worker=0, bint copies=False
    ):
        self.home = home
        self.ledger = ledger
        self.lease = NULL if ledger is None else ledger.at(worker)
        self.reopens = self.lease != NULL
        if pp_port_open(&self.port, home.ring, home.nbytes, owner, 0) != PP_OK:
            raise CorruptMemory("this is no ring")
        if pp_arena_open(&self.arena, &home.arena.segment.segment, owner) != PP_OK:
            raise CorruptMemory("this is no arena")
        self.origin = Opening()
        self.origin.arenas = home.arenas
        self.origin.copies = copies
        self.inline_origin = Opening()
        self.inline_origin.arenas = home.arenas
        self.inline_origin.copies = copies

    def __dealloc__(self):
        free(self.marked)

    cdef object fetch(self):
        cdef pp_slot *slot
        cdef const unsigned char *data
        cdef uint32_t nbytes
        cdef object value
        cdef int rc
        if self.lease != NULL:
            self.answer()
            rc = pp_pop_lease(&self.port, self.lease)
            if rc == PP_OK:
                self.head = self.lease.element.head
                if not is_inline(&self.head):
                    return self.open_slot(&self.lease.element, 0)
                self.refs = NULL
                self.opening = True
                value = decode(self.lease.element.body.bytes, self.head.nbytes, self.inline_origin)
                self.opening = False
                return value
        else:
            if self.has_stock():
                return self.from_stock()
            rc = pp_pop_claim(&self.port, &slot)
            if rc == PP_OK and slot == &self.port.batch and self.open_batch():
                return self.from_stock()
            if rc == PP_OK and is_inline(&slot.head):
                self.head = slot.head
                self.head.index0 += self.port.part
                data = pp_part(&slot.head, slot.body.bytes, self.port.part, &nbytes)
                if data == NULL:
                    raise CorruptMemory("a slot with more elements than it has room for")
                self.refs = NULL
                self.opening = True
                try:
                    value = decode(data, nbytes, self.inline_origin)
                finally:
                    pp_pop_free(&self.port, slot)
                self.opening = False
                return value
            if rc == PP_OK:
                try:
                    return self.open_slot(slot, self.port.part)
                finally:
                    self.find_blocks(slot)
                    pp_pop_free(&self.port, slot)
                    self.release_blocks()
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
        self.locate(&self.lease.element, 0, &nbytes)
        return True

    cdef object leased(self):
        # Who has seen it before may have kept a view, and two that can be written through must not overlap.
        cdef bint copies = self.origin.copies
        self.origin.copies = True
        try:
            return self.open_slot(&self.lease.element, 0)
        finally:
            self.origin.copies = copies

    cdef bint open_batch(self):
        """Lay in stock what can be read of the port's batch; False when its first cannot."""
        cdef pp_slot *slot = &self.port.batch
        cdef uint32_t i, nbytes, first = self.port.batch_next
        cdef const unsigned char *data
        cdef pp_cursor cursor = pp_cursor(0, 0, 0)
        if not is_inline(&slot.head):
            return False
        self.head = slot.head
        self.head.index0 += first
        self.refs = NULL
        i = first
        while i < self.port.batch_count:
            data = pp_part_at(&slot.head, slot.body.bytes, i, &cursor, &nbytes)
            if data == NULL:
                break
            try:
                value = decode(data, nbytes, self.inline_origin)
            except Exception:
                break
            Py_INCREF(value)
            self.stock[i] = <PyObject *>value
            i += 1
        self.lay_in_stock(first, i)
        return i != first

    cdef object open_slot(self, pp_slot *slot, uint32_t part):
        cdef uint64_t nbytes
        cdef const unsigned char *data = self.locate(slot, part, &nbytes)
        self.opening = True
        self.origin.refs = self.refs
        self.origin.nrefs = self.head.refs
        if self.head.kind & ~PP_END == PP_BLOCK:
            self.origin.arena = self.home.arena
            self.origin.offset = self.home.arena.offset_of(data)
        else:
            self.origin.arena = None
        cdef object value = decode(data, nbytes, self.origin)
        self.opening = False
        if self.head.kind & PP_END:
            self.count = value
            return END
        return value

    cdef const unsigned char *locate(
        self, pp_slot *slot, uint32_t part, uint64_t *payload_nbytes
    ) except NULL:
        """Load head and index of an element from its slot; where its encoded value is."""
        # Looked at once: what is checked here is what is used.
        cdef const unsigned char *data
        cdef uint64_t nbytes, prefix, further
        cdef uint32_t part_nbytes
        cdef pp_descriptor block
        self.head = slot.head
        # Where one slot's references were, the next one's are not.
        self.refs = NULL
        if self.head.depth < 1 or self.head.depth > PP_MAX_DEPTH:
            raise CorruptMemory("a slot with an impossible index")
        if part:
            data = pp_part(&self.head, slot.body.bytes, part, &part_nbytes)
            if data == NULL:
                raise CorruptMemory("a slot with more elements than it has room for")
            self.head.index0 += part
            payload_nbytes[0] = part_nbytes
            return data
        further = (self.head.depth - 1) * 8
        if self.head.kind & ~PP_END == PP_INLINE:
            data = slot.body.bytes
            nbytes = self.head.nbytes
            prefix = further + self.head.refs * sizeof(pp_reference)
            if nbytes > PP_BODY_BYTES or prefix > nbytes:
                raise CorruptMemory("a slot with more bytes than it has")
        else:
            block = slot.body.block
            data = <const unsigned char *>pp_arena_bytes(&self.arena, block)
            nbytes = block.nbytes
            prefix = prefix_in_block(further, self.head.refs)
            if self.head.kind & ~PP_END != PP_BLOCK or data == NULL or prefix > nbytes:
                raise CorruptMemory("a slot that names no block of the arena")
        if further:
            memcpy(self.extra, data, further)
        if self.head.refs:
            self.refs = <const pp_reference *>(data + (further if data == slot.body.bytes else REFS_IN_BLOCK))
        payload_nbytes[0] = nbytes - prefix
        return data + prefix

    # ---- giving back what an element travelled in

    cdef int find_blocks(self, const pp_slot *slot) except -1:
        """Note which blocks an element that was located lies in and refers to."""
        cdef uint64_t i, count = self.head.refs
        cdef Marked *marked
        self.nmarked = 0
        if count + 1 > self.marked_capacity:
            marked = <Marked *>realloc(self.marked, (count + 1) * sizeof(Marked))
            if marked == NULL:
                raise MemoryError
            self.marked = marked
            self.marked_capacity = count + 1
        for i in range(count if self.refs != NULL else 0):
            self.marked[i].arena = self.refs[i].arena
            self.marked[i].block = pp_descriptor(self.refs[i].offset, 0)
        self.nmarked = count if self.refs != NULL else 0
        if self.head.kind & ~PP_END == PP_BLOCK:
            self.marked[self.nmarked].arena = self.home.arena.id
            self.marked[self.nmarked].block = slot.body.block
            self.nmarked += 1
        for i in range(self.nmarked):
            self.marked[i].by_me = False
        return 0

    cdef int mark_blocks(self) except -1:
        cdef uint64_t i
        cdef Arena arena
        for i in range(self.nmarked):
            arena = self.home.arenas.get(self.marked[i].arena)
            self.marked[i].by_me = (
                pp_block_leave(&arena.handle, self.marked[i].block, <unsigned short>self.port.owner) == PP_OK)
        return 0

    cdef int release_blocks(self) except -1:
        cdef uint64_t i
        cdef pp_bool freed
        cdef Arena arena
        cdef int rc
        for i in range(self.nmarked):
            arena = self.home.arenas.get(self.marked[i].arena)
            freed = True
            if self.marked[i].by_me:
                rc = pp_block_return(
                    &arena.handle, self.marked[i].block, <unsigned short>self.port.owner, &freed)
            else:
                rc = pp_arena_release(&arena.handle, self.marked[i].block)
            if rc != PP_OK:
                self.nmarked = 0
                raise CorruptMemory("a block was released that was not in use")
            # A producer may wait for room in the arena at the place where it waits for slots.
            if freed:
                arena.notify()
        self.nmarked = 0
        return 0

    cpdef done(self):
        if self.lease != NULL:
            self.answer()

    cdef inline int answer(self) except -1:
        if load64(&self.lease.in_hand) == 0:
            return 0
        if is_inline(&self.lease.element.head):
            store64(&self.lease.in_hand, 0)
            PP_FAULT_POINT("element answered")
            return 0
        return self.answer_with_blocks()

    cdef int answer_with_blocks(self) except -1:
        cdef bint has_blocks = self.head.refs or self.head.kind & ~PP_END == PP_BLOCK
        if has_blocks:
            self.find_blocks(&self.lease.element)
            if not self.head.kind & PP_END:
                self.mark_blocks()
        PP_FAULT_POINT("blocks marked")
        store64(&self.lease.in_hand, 0)
        PP_FAULT_POINT("element answered")
        if has_blocks:
            self.release_blocks()
        return 0


@cython.final
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
        if pp_arena_open(&self.arena, &home.arena.segment.segment, owner) != PP_OK:
            raise CorruptMemory("this is no arena")
        self.encoder.loans.arenas = home.arenas
        self.encoder.loans.home = home.arena
        self.encoder.loans.lender = <unsigned short>owner
        self.kind = PP_INLINE
        # A lease says of one publication at a time whether it is out.
        self.pours = self.port.several and self.lease == NULL

    cdef int load(self, object value, const pp_head *head, const uint64_t *extra, bint end) except -1:
        cdef uint64_t further = (head.depth - 1) * 8, refs
        if self.lease != NULL:
            # Before anything is lent: which publication will stand for it, should this process die.
            store64(&self.lease.lending, ((load64(&self.lease.out) >> PP_OUT_SHIFT) + 1) & EMITTED_MASK)
        self.encoder.known = self.known
        self.encoder.loans.shared = self.shared
        self.encoder.encode(value)
        self.bulk = self.encoder.total + self.encoder.loans.nbytes
        self.head = head[0]
        self.prefix = further
        self.head.kind = PP_INLINE
        self.head.nbytes = 0
        self.head.refs = <unsigned short>self.encoder.loans.nrefs
        refs = self.encoder.loans.nrefs * sizeof(pp_reference)
        if further:
            memcpy(self.extra, extra, further)
        if further + refs + self.encoder.total > PP_BODY_BYTES:
            self.head.kind = PP_BLOCK
        else:
            self.head.nbytes = <unsigned short>(further + refs + self.encoder.total)
        if end:
            self.head.kind |= PP_END
        self.has_block = False
        self.loaded = True
        self.crowded = False
        return 0

    cdef int give(self, object value, const pp_head *head, const uint64_t *extra) except -1:
        cdef unsigned char payload[SCALAR_MAX]
        cdef uint32_t nbytes
        if head.depth == 1:
            nbytes = <uint32_t>encode_scalar(value, payload)
            if nbytes and pp_push_small(
                    &self.port, head, PP_INLINE, payload, nbytes, self.lease, self.outlet) == PP_OK:
                return PP_OK
        self.load(value, head, extra, False)
        return self.offer()

    cdef bint stow(self, object value) except -1:
        cdef unsigned char payload[SCALAR_MAX]
        cdef uint32_t nbytes = <uint32_t>encode_scalar(value, payload)
        return nbytes != 0 and pp_pack_add(&self.pack, payload, nbytes)

    cdef int write_block(self) except -1:
        cdef uint64_t prefix = prefix_in_block(self.prefix, self.head.refs)
        cdef unsigned char *data
        cdef int rc = self.allocate(prefix + self.encoder.total)
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
        if self.head.refs:
            memcpy(data + REFS_IN_BLOCK, self.encoder.loans.refs, self.head.refs * sizeof(pp_reference))
        self.encoder.write_to(data + prefix)
        self.encoder.written()
        self.has_block = True
        PP_FAULT_POINT("block written")
        return PP_OK

    cdef int allocate(self, uint64_t nbytes) noexcept:
        """Room for a payload; in the spare when holders have left none elsewhere for a while."""
        cdef int rc = pp_arena_allocate(&self.arena, nbytes, &self.block)
        pp_arena_press(&self.arena, rc == PP_FULL)
        if rc != PP_FULL:
            self.short_since = 0
            if nbytes >= self.spilled:
                self.spilled = 0
            return rc
        # What is only on its way makes room by itself, and the budget bounds it.
        if not pp_arena_is_held(&self.arena):
            return rc
        if self.spilled == 0 or nbytes < self.spilled:
            if self.short_since == 0:
                self.short_since = pp_now_ns()
            if pp_now_ns() - self.short_since < SPILL_AFTER_NS:
                return rc
            self.spilled = nbytes
        return pp_arena_spill(&self.arena, nbytes, &self.block)

    cdef int offer(self) except -1:
        cdef pp_slot *slot
        cdef bint shares
        cdef int rc
        if self.home.elastic and not self.has_block and self.is_crowded():
            return PP_FULL
        if self.head.kind & ~PP_END == PP_BLOCK and not self.has_block:
            rc = self.write_block()
            if rc != PP_OK:
                return rc
        shares = not self.has_block and self.prefix == 0 and self.head.refs == 0
        if shares:
            # Nothing that fits a slot has buffers of its own, so the encoder's data is all of it.
            rc = pp_push_small(
                &self.port, &self.head, self.head.kind, self.encoder.data, self.head.nbytes, self.lease,
                self.outlet)
        else:
            rc = pp_push_claim(&self.port, &slot)
        if rc == PP_FULL:
            return rc
        if rc != PP_OK:
            self.unload()
            if rc == PP_CORRUPT:
                raise CorruptMemory("a ring whose slots and hints contradict each other")
            raise RunAborted
        if not shares:
            PP_FAULT_POINT("slot claimed")
            self.fill(slot)
        self.loaded = False
        return PP_OK

    cdef int fill(self, pp_slot *slot) except -1:
        """Write what does not share a slot into the one that was claimed, and publish it."""
        cdef unsigned char *body = slot.body.bytes
        slot.head = self.head
        pp_tip_begin(&self.port.tip, &self.head, self.head.nbytes)
        if self.has_block:
            slot.body.block = self.block
            pp_arena_publish(&self.arena, self.block, 1)
            PP_FAULT_POINT("block published")
            self.has_block = False
        else:
            if self.prefix:
                memcpy(body, self.extra, self.prefix)
                body += self.prefix
            if self.head.refs:
                memcpy(body, self.encoder.loans.refs, self.head.refs * sizeof(pp_reference))
                body += self.head.refs * sizeof(pp_reference)
            memcpy(body, self.encoder.data, self.encoder.nbytes)
        pp_push_publish(&self.port, slot, self.lease, self.outlet)
        if self.head.refs:
            PP_FAULT_POINT("references published")
            self.encoder.loans.sent()
        return 0

    cdef bint is_crowded(self) noexcept:
        """Whether the queue is to drain before this element, which is large, goes in."""
        cdef uint64_t nbytes = self.bulk, eighth = self.arena.common * PP_CHUNK_BYTES // 8, waiting, most
        if nbytes < CROWD_BYTES // self.home.ring.capacity:
            return False
        waiting = pp_ring_count(self.home.ring)
        most = min(max(CROWD_BYTES // nbytes, CROWD_LEAST), max(eighth // nbytes, 1))
        self.crowded = waiting > (most // 2 if self.crowded else most)
        return self.crowded

    cdef int pause(self, uint64_t timeout_ns) except -1:
        cdef int rc, naps = 0
        if self.crowded:
            while naps < NAPS and self.is_crowded():
                naps += 1
                with nogil:
                    pp_nap(NAP_NS)
            if self.home.aborted:
                raise RunAborted  # who offers again would find it as crowded as before
            if naps < NAPS:
                return PP_OK
        elif self.short_of == 0:
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
        if self.short_of == 0 and not self.crowded:
            return OutPort.arm(self)
        pp_spot_arm(&self.home.ring.not_full)
        if self.crowded:
            return not self.is_crowded()
        # Look again: what was released before the bell was asked for rings no bell.
        if pp_arena_allocate(&self.arena, self.short_of, &block) != PP_OK:
            # A loop does not look again by itself, and who holds on to what it has got may never ring.
            if self.spilled == 0 or self.short_of < self.spilled:
                self.spilled = self.short_of
            if (not pp_arena_is_held(&self.arena)
                    or pp_arena_spill(&self.arena, self.short_of, &block) != PP_OK):
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
