# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False
"""The contract of a queue: ports, through which one worker takes from it or puts into it.

What differs between queues is how an element gets into a slot and out of it: `shared` encodes it into memory
that processes share, `local` hands over a reference. All else is here: waiting without the GIL, signals, the
index that travels with every element, and the doors for event loops.

A port belongs to one thread.
"""

from libc.stdint cimport uint64_t

from cpython.exc cimport PyErr_CheckSignals

from pypeln._core.c cimport (
    PP_ABORTED, PP_CORRUPT, PP_EMITTED, PP_END, PP_FULL, PP_MAX_DEPTH, PP_OK, PP_TIMEOUT, pp_head,
    pp_lease, pp_nap, pp_now_ns, pp_pack_begin, pp_port_spare_wakes, pp_push_close, pp_push_pack,
    pp_ring_closed, pp_ring_elements, pp_spot_arm, pp_wait_pop, pp_wait_push,
)
from pypeln._core.memory cimport add

from pypeln._core.memory import CorruptMemory, RunAborted

cdef uint64_t FOREVER = 1 << 62
# What makes a batch: after fewer elements the next is waited for as it is.
cdef uint32_t BATCH = 8
# How long a wait lasts before Python may look at signals that another thread received.
cdef uint64_t LOOK_NS = 100_000_000


cdef class _Mark:
    """A word of the contract that no element can be mistaken for."""

    cdef str name

    def __init__(self, str name):
        self.name = name

    def __repr__(self):
        return self.name

    def __reduce__(self):
        return self.name


cdef object EMPTY = _Mark("EMPTY")
cdef object CLOSED = _Mark("CLOSED")
cdef object END = _Mark("END")
globals().update(EMPTY=EMPTY, CLOSED=CLOSED, END=END)


cdef tuple make_index(const pp_head *head, const uint64_t *extra):
    cdef Py_ssize_t i
    if head.depth <= 1:
        return (head.index0,)
    return (head.index0, *[extra[i] for i in range(head.depth - 1)])


cdef int read_index(object index, uint64_t lane, pp_head *head, uint64_t *extra) except -1:
    cdef Py_ssize_t depth = len(index)
    cdef Py_ssize_t i
    if depth < 1 or depth > PP_MAX_DEPTH:
        raise ValueError(f"an element_index has 1 to {PP_MAX_DEPTH} dimensions, not {depth}: {index!r}")
    head.depth = <unsigned char>depth
    head.lane = <unsigned short>lane
    head.index0 = index[0]
    for i in range(depth - 1):
        extra[i] = index[i + 1]
    return 0


cdef class InPort:
    """The end of a queue that one worker takes from."""

    def __cinit__(self):
        self.bell = -1

    def __dealloc__(self):
        while self.stock_next != self.stock_end:
            self.from_stock()

    cdef object fetch(self):
        """The next element, or EMPTY, CLOSED, END, without waiting."""
        raise NotImplementedError

    cdef void lay_in_stock(self, uint32_t next, uint32_t end) noexcept:
        """The elements of the port's batch are in `stock`, from next to end; `head` is that of the first."""
        self.stock_next = next
        self.stock_end = end
        self.head.index0 -= 1
        self.port.batch_next += end - next
        self.port.busy += end - next

    cdef int pause(self, uint64_t timeout_ns) except -1:
        """Wait until fetching again makes sense; PP_TIMEOUT when it did not come to that."""
        cdef int rc
        cdef uint64_t nap_ns = self.nap_ns if self.batch >= BATCH else 0
        self.batch = 0
        with nogil:
            if nap_ns:
                pp_nap(nap_ns)
            rc = pp_wait_pop(&self.port, timeout_ns)
        PyErr_CheckSignals()
        if rc == PP_ABORTED:
            raise RunAborted
        return rc

    def disown(self):
        """This is a forked copy of a process: the queue belongs to the original, and is not to be touched."""
        self.foreign = True

    cdef object get(self):
        """The next element, or CLOSED or END, however long it takes."""
        if self.foreign:
            raise RunAborted
        cdef object value = self.fetch()
        while value is EMPTY:
            self.pause(LOOK_NS)
            value = self.fetch()
        self.batch += 1
        return value

    def leave_alone(self, double seconds):
        """After each batch of elements, sleep so long before looking for the next.

        For a producer that shares the GIL with this side and is slower: taking one element at a time would
        take the GIL from it for each.
        """
        self.nap_ns = <uint64_t>(seconds * 1e9)

    def spare_wakes(self, double seconds):
        """Sleep until several elements have come, if that takes no longer, where being woken for each would
        cost those who compute more than waiting costs the elements."""
        pp_port_spare_wakes(&self.port, <uint64_t>(seconds * 1e9))

    @property
    def spares_wakes(self):
        """Whether `spare_wakes` was called."""
        return self.port.patience.most_ns != 0

    def take(self, double timeout_s=-1.0):
        """Wait for the next element; END, CLOSED, or EMPTY once timeout_s has passed (negative: for ever)."""
        cdef uint64_t now, until
        if timeout_s < 0 or self.foreign:
            return self.get()
        cdef object value = self.fetch()
        if value is EMPTY:
            now = pp_now_ns()
            until = now + <uint64_t>(timeout_s * 1e9)
            while value is EMPTY and now < until:
                self.pause(min(until - now, LOOK_NS))
                value = self.fetch()
                now = pp_now_ns()
        return value

    def take_nowait(self):
        """The next element, or EMPTY, END, CLOSED."""
        return self.fetch()

    cpdef bint resume(self) except -1:
        """Load head and index of what a dead predecessor left in hand; False when that is nothing."""
        return False

    cdef object leased(self):
        """After resume: the element itself."""
        raise NotImplementedError

    @property
    def is_opening(self):
        """Whether it was reading an element when it last raised."""
        return self.opening

    cdef bint holds_end(self) noexcept:
        """After resume: whether it is an END mark."""
        return self.head.kind & PP_END != 0

    cpdef done(self):
        """Answer for the element in hand. The next take does it too."""

    def __iter__(self):
        return self

    def __next__(self):
        # `list(stage)` over a fast stream runs no bytecode that would look for Ctrl-C.
        PyErr_CheckSignals()
        cdef object value = self.get()
        if value is CLOSED:
            raise StopIteration
        return value

    @property
    def index(self):
        """element_index of what was taken last."""
        return make_index(&self.head, self.extra)

    @property
    def lane(self):
        """Lane of what was taken last."""
        return self.head.lane

    @property
    def depth(self):
        """How many elements wait in the queue, more or less."""
        return (self.stock_end - self.stock_next + self.port.batch_count - self.port.batch_next
                + pp_ring_elements(self.port.ring))

    @property
    def closed(self):
        """Whether every producer has closed. Elements may still be waiting."""
        return bool(pp_ring_closed(self.port.ring))

    def connect(self, int bell, int other_bell):
        """Say where the bells are: the one that rings for this side, and the other side's; -1 for none."""
        self.bell = bell
        self.port.bell = other_bell

    def arm(self):
        """Ask that the bell be rung at the next change. True when there may be something already."""
        pp_spot_arm(&self.port.ring.not_empty)
        return self.ready()

    def ready(self):
        """Whether a take would not have to wait."""
        cdef int rc
        if self.stock_next != self.stock_end:
            return True
        with nogil:
            rc = pp_wait_pop(&self.port, 0)
        return rc != PP_TIMEOUT

    def fileno(self):
        """The bell of this side."""
        return self.bell


cdef class OutPort:
    """The end of a queue that one worker puts into."""

    def __cinit__(self):
        self.bell = -1

    cdef int load(self, object value, const pp_head *head, const uint64_t *extra, bint end) except -1:
        """Make an element ready to be offered, as it is now: later changes to the value do not reach it."""
        raise NotImplementedError

    cdef int offer(self) except -1:
        """Put what was loaded: PP_OK, or PP_FULL when there is no room now."""
        raise NotImplementedError

    cdef int unload(self) except -1:
        """Forget what was loaded and will not be put."""
        raise NotImplementedError

    cdef int pause(self, uint64_t timeout_ns) except -1:
        """Wait until offering again makes sense."""
        cdef int rc
        with nogil:
            rc = pp_wait_push(&self.port, timeout_ns)
        PyErr_CheckSignals()
        if rc == PP_ABORTED:
            raise RunAborted
        return rc

    cdef int give(self, object value, const pp_head *head, const uint64_t *extra) except -1:
        """Load and offer. After PP_FULL the element is loaded."""
        self.load(value, head, extra, False)
        return self.offer()

    cdef object pour(self, object iterator, pp_head *head, object element_type, pp_lease *lease):
        """Put what an iterator gives that never waits, a slot at a time, as long as it is small.

        So claiming, publishing and waking are for a slot and not for each element in it.

        Args:
            iterator: Runs no code of anybody.
            head: That of the next element; afterwards, of the one that is returned.
            element_type: What brings an index of its own. It is not put.
            lease: The counters.

        Returns:
            What it gave that has to be put by itself; EMPTY at its end.
        """
        cdef object problem = None
        cdef object value = next(iterator, EMPTY)
        cdef uint32_t count
        while True:
            pp_pack_begin(&self.pack, head)
            try:
                while value is not EMPTY and type(value) is not element_type and self.stow(value):
                    value = next(iterator, EMPTY)
            except Exception as error:  # of which what came before knows nothing
                problem = error
            count = self.pack.count
            if count:
                self.push_pack()
                add(&lease.taken, count)
                add(&lease.outcomes[PP_EMITTED], count)
                add(&lease.sent, count)
                head.index0 += count
            if problem is not None:
                raise problem
            if count == 0:
                return value

    cdef bint stow(self, object value) except -1:
        """Take an element into the pack; False when it does not go there."""
        raise NotImplementedError

    cdef int push_pack(self) except -1:
        """Put the pack, however long it takes."""
        cdef int rc = pp_push_pack(&self.port, &self.pack)
        try:
            while rc == PP_FULL:
                OutPort.pause(self, LOOK_NS)
                rc = pp_push_pack(&self.port, &self.pack)
            if rc == PP_CORRUPT:
                raise CorruptMemory("a ring whose slots and hints contradict each other")
            if rc != PP_OK:
                raise RunAborted
        except BaseException:
            self.drop_pack()
            raise
        return 0

    cdef int drop_pack(self) except -1:
        """Forget what is in the pack and will not be put."""
        self.pack.count = 0
        return 0

    cdef int flush(self) except -1:
        """Put what was loaded, however long it takes."""
        cdef int rc = self.offer()
        while rc == PP_FULL:
            try:
                self.pause(LOOK_NS)
            except BaseException:
                self.unload()
                raise
            rc = self.offer()
        return 0

    cdef bint flush_within(self, double timeout_s) except -1:
        """Put what was loaded, waiting for room for so long; False when there was none."""
        cdef uint64_t now = pp_now_ns()
        cdef uint64_t until = now + <uint64_t>(min(max(timeout_s, 0.0), 1e9) * 1e9)
        while self.offer() == PP_FULL:
            now = pp_now_ns()
            if now >= until:
                self.unload()
                return False
            try:
                self.pause(min(until - now, LOOK_NS))
            except BaseException:
                self.unload()
                raise
        return True

    cdef int send(self, object value, const pp_head *head, const uint64_t *extra, bint end) except -1:
        self.load(value, head, extra, end)
        return self.flush()

    def put(self, value, tuple index, uint64_t lane=0):
        """Put an element, waiting for room.

        Raises:
            RunAborted: The run ended meanwhile.
            Exception: What encoding the value raised.
        """
        cdef pp_head head
        cdef uint64_t extra[PP_MAX_DEPTH]
        read_index(index, lane, &head, extra)
        self.send(value, &head, extra, False)

    def put_nowait(self, value, tuple index, uint64_t lane=0):
        """Put an element if there is room; False when there is none."""
        cdef pp_head head
        cdef uint64_t extra[PP_MAX_DEPTH]
        read_index(index, lane, &head, extra)
        if self.give(value, &head, extra) == PP_OK:
            return True
        self.unload()
        return False

    def put_end(self, tuple index, uint64_t lane, uint64_t count):
        """Say that the element at index has count children, all told."""
        cdef pp_head head
        cdef uint64_t extra[PP_MAX_DEPTH]
        read_index(index, lane, &head, extra)
        self.send(count, &head, extra, True)

    def put_end_nowait(self, tuple index, uint64_t lane, uint64_t count):
        """The same, if there is room."""
        cdef pp_head head
        cdef uint64_t extra[PP_MAX_DEPTH]
        read_index(index, lane, &head, extra)
        self.load(count, &head, extra, True)
        if self.offer() == PP_OK:
            return True
        self.unload()
        return False

    @property
    def closed(self):
        """Whether every producer has closed."""
        return bool(pp_ring_closed(self.port.ring))

    def close(self):
        """This producer is done. Idempotent."""
        pp_push_close(&self.port)

    def connect(self, int bell, int other_bell):
        """Say where the bells are: the one that rings for this side, and the other side's; -1 for none."""
        self.bell = bell
        self.port.bell = other_bell

    def arm(self):
        """Ask that the bell be rung when there is room. True when there may be room already."""
        cdef int rc
        pp_spot_arm(&self.port.ring.not_full)
        with nogil:
            rc = pp_wait_push(&self.port, 0)
        return rc != PP_TIMEOUT

    def fileno(self):
        """The bell of this side."""
        return self.bell
