# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False
# cython: annotation_typing=False
"""What `IterableQueue` does while there is room and something to take: the half of it that costs per element.

A port belongs to one thread, and users put and take from any. So each thread has ports of its own. It finds
them in a small table that belongs to the thread, without a lock and without asking Python; what is not there
is looked up in a `threading.local`, and opened the first time.
"""

cimport cython

import os
import threading
from queue import Empty, Full

from libc.stdint cimport uint64_t

from cpython.exc cimport PyErr_CheckSignals

from pypeln._core.c cimport PP_OK, add64, pp_a64, pp_head, pp_ring_closed
from pypeln._core.queue cimport CLOSED, EMPTY, InPort, OutPort

from pypeln._core.memory import RunAborted

cdef enum:
    # Elements between two looks at signals: `list(queue)` runs no bytecode that would look for Ctrl-C.
    LOOK_EVERY = 16

cdef extern from *:
    """
    #if defined(_MSC_VER) && !defined(__clang__)
    #define PP_THREAD_LOCAL __declspec(thread)
    #else
    #define PP_THREAD_LOCAL _Thread_local
    #endif

    enum { PP_KNOWN = 8 };

    typedef struct {
        uint64_t queue;      /* whose ports these are; 0: nobody's */
        uint64_t generation; /* the process that opened them */
        void *ports;         /* an OwnPorts that the queue keeps for this thread */
    } pp_known_ports;

    static PP_THREAD_LOCAL pp_known_ports pp_known[PP_KNOWN];

    static inline pp_known_ports *pp_known_at(uint64_t number) { return &pp_known[number % PP_KNOWN]; }
    """
    ctypedef struct pp_known_ports:
        uint64_t queue
        uint64_t generation
        void *ports
    # A queue's place in the calling thread's table. Several have the same: the last that was used is there.
    pp_known_ports *pp_known_at(uint64_t number) noexcept

# How many queues there have been: the number of one is never another's, as its address may be.
cdef pp_a64 numbers

# How many forks lie between the first process and this one. Ports of another process are not to be used.
cdef uint64_t generation = 0


def _count_fork():
    global generation
    generation += 1


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_count_fork)


def _never():
    return False


@cython.final
@cython.auto_pickle(False)
cdef class OwnPorts:
    """The ports of one thread."""

    cdef uint64_t number  # of the queue
    cdef uint64_t generation
    cdef OwnPorts former  # those of the process that this one is a fork of: a call may be under way in them
    cdef InPort inlet
    cdef OutPort outlet
    cdef pp_head head  # of the next element that is put: those with consecutive numbers can share a slot

    def __cinit__(self, uint64_t number):
        self.number = number
        self.generation = generation
        self.head.depth = 1

    def __dealloc__(self):
        # By its own thread, when that ends, or by whoever drops the queue: nobody asks for that any more.
        cdef pp_known_ports *known = pp_known_at(self.number)
        if known.ports == <void *>self:
            known.queue = 0


@cython.auto_pickle(False)
cdef class UserQueue:
    """The base of `IterableQueue`, which opens ports and waits."""

    cdef uint64_t number
    cdef object ports  # OwnPorts, by thread

    def __cinit__(self, *args, **options):
        self.number = add64(&numbers, 1) + 1
        self.ports = threading.local()

    def __class_getitem__(cls, item):
        return cls

    cdef inline void *own(self) except NULL:
        """The OwnPorts of the calling thread. A reference to them would be counted for each element."""
        cdef pp_known_ports *known = pp_known_at(self.number)
        if known.queue == self.number and known.generation == generation:
            return known.ports
        return self.find_own(known)

    cdef void *find_own(self, pp_known_ports *known) except NULL:
        cdef OwnPorts former = getattr(self.ports, "own", None), ports = former
        if former is None or former.generation != generation:
            ports = OwnPorts(self.number)
            ports.former = former
            self.ports.own = ports
        known.queue = self.number
        known.generation = generation
        known.ports = <void *>ports
        return known.ports

    def _own_inlet(self):
        """The calling thread's port to take through."""
        cdef void *ports = self.own()
        if (<OwnPorts>ports).inlet is None:
            (<OwnPorts>ports).inlet = self._open_inlet()
        return (<OwnPorts>ports).inlet

    cdef int give(self, void *ports, object value) except -1:
        """PP_OK, or PP_FULL: the element is loaded then, and waits for room."""
        cdef int rc
        if (<OwnPorts>ports).outlet is None:
            (<OwnPorts>ports).outlet = self._open_outlet()
        if pp_ring_closed((<OwnPorts>ports).outlet.port.ring):
            self._check_open()
        try:
            rc = (<OwnPorts>ports).outlet.give(value, &(<OwnPorts>ports).head, NULL)
        except Exception as error:
            self._refuse(error)
            raise
        if rc == PP_OK:
            (<OwnPorts>ports).head.index0 += 1
        return rc

    cdef object fetch(self):
        """The next element, EMPTY or CLOSED."""
        cdef void *ports = self.own()
        if (<OwnPorts>ports).inlet is None:
            self._own_inlet()
        return (<OwnPorts>ports).inlet.fetch()

    def put(self, value: T, block: bool = True, timeout: float | None = None) -> None:
        """Put an element, waiting for room. The arguments are those of `queue.Queue.put`.

        Arguments:
            value: The element.
            block: False for not to wait.
            timeout: Seconds to wait at most; None for as long as it takes.

        Raises:
            ValueError: The queue is closed.
            queue.Full: There was no room for `timeout` seconds.
            EncodeError: The element cannot be sent to another process.
        """
        cdef void *own = self.own()
        if self.give(own, value) == PP_OK:
            return
        cdef OwnPorts ports = <OwnPorts>own
        if not block:
            ports.outlet.unload()
            raise Full
        try:
            if timeout is None:
                ports.outlet.flush()
            elif not ports.outlet.flush_within(timeout):
                raise Full
        except RunAborted:
            raise ValueError("the queue is closed") from None
        ports.head.index0 += 1

    def put_nowait(self, value: T) -> None:
        """Put an element if there is room.

        Raises:
            ValueError: The queue is closed.
            queue.Full: There is no room.
            EncodeError: The element cannot be sent to another process.
        """
        cdef void *ports = self.own()
        if self.give(ports, value) != PP_OK:
            (<OwnPorts>ports).outlet.unload()
            raise Full

    def get(self, block: bool = True, timeout: float | None = None) -> T:
        """The next element, in the order of the puts of each source.

        The arguments are those of `queue.Queue.get`.

        Arguments:
            block: False for not to wait.
            timeout: Seconds to wait at most; None for as long as it takes.

        Raises:
            queue.Empty: Nothing came for `timeout` seconds, or the queue is closed and empty.
        """
        cdef object value = self.fetch()
        if value is EMPTY:
            value = self._take(timeout if block else 0, _never)
        if value is EMPTY or value is CLOSED:
            raise Empty
        return value

    def get_nowait(self) -> T:
        """The next element, if there is one. Raises `queue.Empty` otherwise."""
        cdef object value = self.fetch()
        if value is EMPTY or value is CLOSED:
            raise Empty
        return value

    def __iter__(self):
        return Elements(self, _never)


@cython.final
cdef class Elements:
    """What is in a queue, and what comes, until it is closed.

    Args:
        source: The queue.
        aborted: Asked while nothing comes: whether to end.
    """

    cdef UserQueue source
    cdef object aborted
    cdef unsigned int taken

    def __init__(self, UserQueue source not None, aborted):
        self.source = source
        self.aborted = aborted

    def __iter__(self):
        return self

    def __next__(self):
        self.taken += 1
        if self.taken % LOOK_EVERY == 0:
            PyErr_CheckSignals()
        cdef object value = self.source.fetch()
        if value is EMPTY:
            value = self.source._take(None, self.aborted)
        if value is EMPTY or value is CLOSED:
            raise StopIteration
        return value
