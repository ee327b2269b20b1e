# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False
"""Memory that the parts of a run share: segments, and what lies in them beside the queues.

`Segment` is anonymous shared memory. `Ledger` is the table of leases, one per worker: what it has in hand,
since when, and how the elements before ended. `Window` keeps sources from running away from an `ordered`
stage. Ledger and Window lie in a segment when processes take part in the run, and on the heap otherwise.
"""

from libc.errno cimport errno
from libc.stdint cimport uint64_t
from libc.stdlib cimport calloc, free

from cpython.exc cimport PyErr_CheckSignals

from pypeln._core.c cimport (
    PP_ABORTED, PP_CORRUPT, PP_EMITTED, PP_END, PP_FATE_LOST, PP_FATE_RETRY, PP_FATE_TIMED_OUT,
    PP_FAULT_POINT, PP_FINISHED, PP_LOST, PP_NOMEM, PP_OK, PP_OUT_SHIFT, PP_STARTING, PP_WAITING,
    PP_WORKING, load32, load64, pp_a64, pp_cas64, pp_lease, pp_lease_apply, pp_lease_decide,
    pp_lease_note, pp_lease_noted, pp_lease_settle, pp_lease_undecided, pp_lease_undoes, pp_now_ns,
    pp_segment_close, pp_segment_create, pp_segment_open, pp_segment_reserve, pp_spot_arm,
    pp_spot_create, pp_spot_wake_all, pp_window, pp_window_admits, pp_window_advance, pp_window_wait,
    store32, store64,
)

import os

cdef extern from "Python.h":
    ctypedef struct PyInterpreterState:
        pass
    PyInterpreterState *PyInterpreterState_Get()
    PyInterpreterState *PyInterpreterState_Main()

# Cython lets the first interpreter import a module that only one may have, whichever that is.
if PyInterpreterState_Get() != PyInterpreterState_Main():
    raise ImportError("this is not the main interpreter")

# What becomes of the element in a dead worker's lease: `Ledger.set_fate`.
RETRY = PP_FATE_RETRY
TIMED_OUT = PP_FATE_TIMED_OUT
LOST = PP_FATE_LOST

# States of a worker, as `Ledger.state` tells them.
STARTING = PP_STARTING
WAITING = PP_WAITING
WORKING = PP_WORKING


def fault_point(bytes name):
    """Where a test build may kill this process: see src_c/fault_point.h. Nothing, in any other build."""
    PP_FAULT_POINT(name)


class RunAborted(BaseException):
    """Raised inside workers when their run ends early. Never reaches the user."""


class CorruptMemory(RuntimeError):
    """Shared memory holds what no participant writes."""


cdef class Segment:
    """Anonymous shared memory, all zeros at first, gone with its last holder.

    Args:
        nbytes: Size in bytes; rounded up to whole pages.
        fd: Descriptor of an existing segment to map, which this object takes over; -1 creates a new one.

    Raises:
        MemoryError: The system has no such amount.
    """

    def __cinit__(self, uint64_t nbytes, int fd=-1):
        cdef int rc
        self.segment.base = NULL
        self.segment.fd = -1
        if fd < 0:
            rc = pp_segment_create(&self.segment, nbytes)
        else:
            rc = pp_segment_open(&self.segment, fd, nbytes)
        if rc == PP_NOMEM:
            raise MemoryError(f"cannot map {nbytes} bytes of shared memory")
        if rc == PP_CORRUPT:
            raise CorruptMemory(f"the segment is smaller than {nbytes} bytes")
        if rc != PP_OK:
            raise OSError(errno, f"cannot create a shared memory segment: {os.strerror(errno)}")

    def reserve(self, uint64_t offset, uint64_t nbytes):
        """Have the system commit the pages of a part now, so that using them cannot fail later.

        Raises:
            MemoryError: There is not that much memory left for this process.
        """
        cdef int rc
        with nogil:
            rc = pp_segment_reserve(&self.segment, offset, nbytes)
        if rc != PP_OK:
            raise MemoryError(f"cannot reserve {nbytes} bytes of shared memory: {os.strerror(errno)}")

    @property
    def fd(self) -> int:
        """What other processes map it by."""
        return self.segment.fd

    def close_fd(self):
        """No other process will map it."""
        if os.name == "posix" and self.segment.fd >= 0:
            os.close(self.segment.fd)
            self.segment.fd = -1

    @property
    def nbytes(self) -> int:
        return self.segment.nbytes

    def __dealloc__(self):
        pp_segment_close(&self.segment)


COUNTS = (
    "taken", "emitted", "filtered", "failed", "timed_out", "lost", "sent", "retried", "restarts",
)


cdef pp_a64 *counter_of(pp_lease *lease, str name) except NULL:
    if name == "taken":
        return &lease.taken
    if name == "sent":
        return &lease.sent
    if name == "retried":
        return &lease.retried
    if name == "restarts":
        return &lease.restarts
    # The outcomes, in their order.
    if name not in COUNTS:
        raise KeyError(name)
    return &lease.outcomes[<Py_ssize_t>COUNTS.index(name) - 1]


cdef class Ledger:
    """The leases of a run's workers.

    Args:
        workers: How many.
        segment: Where they lie, for processes; None puts them on the heap.
        offset: In the segment, a multiple of 64.
    """

    def __cinit__(self, Py_ssize_t workers, Segment segment=None, uint64_t offset=0):
        self.workers = workers
        self.segment = segment
        if segment is None:
            self.heap = calloc(workers if workers else 1, sizeof(pp_lease))
            if self.heap == NULL:
                raise MemoryError
            self.leases = <pp_lease *>self.heap
        else:
            if offset + workers * sizeof(pp_lease) > segment.segment.nbytes:
                raise CorruptMemory("the ledger reaches beyond its segment")
            self.leases = <pp_lease *>(segment.segment.base + offset)

    @staticmethod
    def nbytes(Py_ssize_t workers) -> int:
        """Bytes that so many leases take."""
        return workers * sizeof(pp_lease)

    cdef pp_lease *at(self, Py_ssize_t worker) except NULL:
        if worker < 0 or worker >= self.workers:
            raise IndexError(worker)
        return &self.leases[worker]

    def counts(self, Py_ssize_t worker) -> dict:
        """How this worker's elements have ended so far: a value for each of COUNTS."""
        cdef pp_lease *lease = self.at(worker)
        return {name: load64(counter_of(lease, name)) for name in COUNTS}

    def add(self, Py_ssize_t worker, str name, uint64_t count=1):
        """Count, on behalf of a worker that is not native or not alive."""
        cdef pp_a64 *counter = counter_of(self.at(worker), name)
        store64(counter, load64(counter) + count)

    def state(self, Py_ssize_t worker) -> int:
        """0 starting, 1 waiting, 2 working, 3 finished."""
        return load32(&self.at(worker).state)

    def finish(self, Py_ssize_t worker):
        """The worker has done all its elements."""
        store32(&self.at(worker).state, PP_FINISHED)

    def active(self, places) -> int:
        """How many of the workers in these places have not finished."""
        return sum(load32(&self.at(place).state) != PP_FINISHED for place in places)

    def set_state(self, Py_ssize_t worker, int state):
        store32(&self.at(worker).state, state)

    def busy_s(self, Py_ssize_t worker) -> float:
        """Seconds that f has been running with the element in hand; 0.0 while it is not."""
        cdef uint64_t started = load64(&self.at(worker).started_ns)
        cdef uint64_t now = pp_now_ns()
        return 0.0 if started == 0 or now < started else (now - started) * 1e-9

    def settle(self, Py_ssize_t worker):
        """After a death, when the rings are mended: finish the counting that it cut short."""
        cdef pp_lease *lease = self.at(worker)
        cdef int rc = pp_lease_settle(lease)
        store64(&lease.started_ns, 0)
        if rc != PP_OK:
            raise CorruptMemory("a lease with an end that no element has")

    def undoes(self, Py_ssize_t worker) -> bool:
        """After a death, when the ring is settled: whether what it marked in blocks is to be undone."""
        return pp_lease_undoes(self.at(worker))

    def has_element(self, Py_ssize_t worker) -> bool:
        """Whether the worker has an element in hand whose end is not decided."""
        cdef pp_lease *lease = self.at(worker)
        return pp_lease_undecided(lease) and not lease.element.head.kind & PP_END

    def tries(self, Py_ssize_t worker) -> int:
        """How often f was begun with the element in hand."""
        cdef pp_lease *lease = self.at(worker)
        return pp_lease_noted(lease, &lease.begun)

    def note_try(self, Py_ssize_t worker, uint64_t tries):
        """Say how often f was begun with the element in hand."""
        cdef pp_lease *lease = self.at(worker)
        pp_lease_note(lease, &lease.begun, tries)

    def answered(self, Py_ssize_t worker) -> int:
        """How many elements have ended in this place."""
        cdef pp_lease *lease = self.at(worker)
        cdef int outcome
        cdef uint64_t ended = 0
        for outcome in range(PP_EMITTED, PP_LOST + 1):
            ended += load64(&lease.outcomes[outcome])
        return ended

    def lose_rest(self, Py_ssize_t worker):
        """A worker died that takes many elements before it answers for any: what it had is lost."""
        cdef pp_lease *lease = self.at(worker)
        cdef uint64_t answered = self.answered(worker)
        cdef uint64_t taken = load64(&lease.taken)
        if taken > answered:
            store64(&lease.outcomes[PP_LOST], load64(&lease.outcomes[PP_LOST]) + taken - answered)

    def end_element(self, Py_ssize_t worker, int outcome):
        """Decide and count the end of the element in a dead worker's hand."""
        cdef pp_lease *lease = self.at(worker)
        pp_lease_decide(lease, outcome, load64(&lease.out) >> PP_OUT_SHIFT, load64(&lease.sent))
        pp_lease_apply(lease)

    def publishing_to(self, Py_ssize_t worker) -> int:
        """Which of its outlets the worker was publishing to last."""
        return load64(&self.at(worker).out_ring)

    def started_ns(self, Py_ssize_t worker) -> int:
        """When f began with the element in hand, on the monotonic clock; 0 while it is not running."""
        return load64(&self.at(worker).started_ns)

    def set_fate(self, Py_ssize_t worker, int fate):
        """Tell the replacement of a dead worker what became of the element in its lease."""
        store32(&self.at(worker).fate, fate)

    def __dealloc__(self):
        free(self.heap)


cdef class Window:
    """How far a source may be ahead of an `ordered` stage.

    Args:
        span: Source positions; None opens a window that another process made.
        segment: Where it lies, for processes; None puts it on the heap.
        offset: In the segment, a multiple of 128.
        bell: Rung for a source in an event loop; -1 when there is none.
    """

    def __cinit__(self, object span, Segment segment=None, uint64_t offset=0, int bell=-1):
        self.segment = segment
        self.bell = bell
        if segment is None:
            self.heap = calloc(1, sizeof(pp_window))
            if self.heap == NULL:
                raise MemoryError
            self.window = <pp_window *>self.heap
        else:
            if offset + sizeof(pp_window) > segment.segment.nbytes:
                raise CorruptMemory("the window reaches beyond its segment")
            self.window = <pp_window *>(segment.segment.base + offset)
        if span is not None:
            self.window.span = span
            pp_spot_create(&self.window.spot, segment is not None)

    @staticmethod
    def nbytes() -> int:
        """Bytes that a window takes."""
        return sizeof(pp_window)

    def admit(self, uint64_t position) -> bool:
        """Whether the source may send the element at this position now."""
        return pp_window_admits(self.window, position)

    def wait(self, uint64_t position):
        """Wait until it may. Raises RunAborted."""
        cdef int rc = PP_OK
        while not pp_window_admits(self.window, position):
            with nogil:
                rc = pp_window_wait(self.window, position, 100000000)
            PyErr_CheckSignals()
            if rc == PP_ABORTED:
                raise RunAborted

    def advance(self, uint64_t floor, bint pressed):
        """Every position below floor has been released."""
        pp_window_advance(self.window, floor, pressed, self.bell)

    def arm(self):
        """Ask that the bell be rung at the next move. Then look again before waiting for it."""
        pp_spot_arm(&self.window.spot)

    def abort(self):
        """Wake the sources for good."""
        store32(&self.window.aborted, 1)
        pp_spot_wake_all(&self.window.spot, self.bell)

    def __dealloc__(self):
        free(self.heap)


cdef class Roster:
    """Who takes part in something that processes share: a word each, free when zero.

    Args:
        places: How many may take part at the same time.
        segment: Where it lies.
        offset: In the segment, a multiple of 64.
    """

    def __cinit__(self, Py_ssize_t places, Segment segment not None, uint64_t offset):
        if offset + places * sizeof(pp_a64) > segment.segment.nbytes:
            raise CorruptMemory("the roster reaches beyond its segment")
        self.places = places
        self.segment = segment
        self.words = <pp_a64 *>(segment.segment.base + offset)

    @staticmethod
    def nbytes(Py_ssize_t places) -> int:
        """Bytes that a roster takes."""
        return places * sizeof(pp_a64)

    def join(self, uint64_t word) -> int:
        """Take a free place and leave the word there; -1 when there is none."""
        cdef Py_ssize_t place
        cdef uint64_t expected
        for place in range(self.places):
            expected = 0
            if pp_cas64(&self.words[place], &expected, word):
                return place
        return -1

    def leave(self, Py_ssize_t place, uint64_t word) -> bool:
        """Free a place, if the word is still there."""
        return pp_cas64(&self.words[place], &word, 0)

    def present(self) -> list:
        """Each place that is taken, with its word."""
        cdef Py_ssize_t place
        cdef uint64_t word
        found = []
        for place in range(self.places):
            word = load64(&self.words[place])
            if word:
                found.append((place, word))
        return found
