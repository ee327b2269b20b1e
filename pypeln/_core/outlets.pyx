# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False
"""Where a worker puts: the ports behind its stage, and what is out already of the element in hand."""

cimport cython

from libc.stdint cimport uint64_t

from pypeln._core.c cimport (
    PP_MAX_DEPTH, PP_OK, pp_head, pp_now_ns,
)
from pypeln._core.queue cimport OutPort, make_index, read_index

cdef enum:
    MOST_OUTLETS = 64


@cython.final
cdef class Outlets:
    """Where a worker puts: one port for each consumer of its stage.

    Args:
        ports: The ports.
        lanes: For each, what is added to an element's lane.
        ends: For each, whether END marks are wanted there.
        unsendable: Makes the error to raise, from the one that putting an element raised and its index.
    """

    def __init__(self, list ports, list lanes, list ends, unsendable):
        cdef Py_ssize_t i
        self.n = len(ports)
        if self.n > MOST_OUTLETS:
            raise ValueError(f"a stage has {self.n} consumers; it can have {MOST_OUTLETS}")
        self.ports = ports
        for i in range(self.n):
            self.lanes[i] = lanes[i]
        self.only = ports[0] if self.n == 1 and lanes[0] == 0 else None
        self.ends = ends
        self.wants_ends = any(ends)
        self.unsendable = unsendable

    cdef int send_to_all(self, object value, const pp_head *head, const uint64_t *extra) except -1:
        """`send` where there are several outlets, a lane to add, or puts that are out already."""
        cdef Py_ssize_t i
        cdef OutPort port
        cdef pp_head mine = head[0]
        for i in range(self.n):
            if self.skip:
                self.skip -= 1
                self.puts += 1
                continue
            port = <OutPort>self.ports[i]
            port.known = self.known
            port.shared = self.n > 1
            mine.lane = head.lane + self.lanes[i]
            if port.give(value, &mine, extra) != PP_OK:
                self.wait(port)
            self.puts += 1
        return 0

    cdef int wait(self, OutPort port) except -1:
        """Put what is loaded, however long it takes."""
        cdef uint64_t began = pp_now_ns()
        port.flush()
        self.waited_ns += pp_now_ns() - began
        return 0

    cdef object wrapped(self, object error, const pp_head *head, const uint64_t *extra):
        """What to raise for an error: one that names the element, when it was raised by sending it."""
        if self.sending and isinstance(error, Exception):
            self.sending = False
            unsendable = self.unsendable(error, make_index(head, extra))
            unsendable.__cause__ = error
            return unsendable
        return error

    cdef int end(self, const pp_head *head, const uint64_t *extra, uint64_t count) except -1:
        """Tell the outlets that want it that the element at this index has no more than `count` children."""
        cdef Py_ssize_t i
        for i in range(self.n):
            if self.ends[i]:
                self.end_at(i, head, extra, count)
        return 0

    cdef int end_at(self, Py_ssize_t i, const pp_head *head, const uint64_t *extra, uint64_t count) except -1:
        cdef pp_head mine = head[0]
        if self.skip:
            self.skip -= 1
            return 0
        mine.lane += self.lanes[i]
        return (<OutPort>self.ports[i]).send(count, &mine, extra, True)

    cdef int end_element(self, const pp_head *head, const uint64_t *extra) except -1:
        """END marks for the element in hand: its puts were dealt to the outlets in turn."""
        cdef Py_ssize_t i
        for i in range(self.n):
            if self.ends[i]:
                self.end_at(i, head, extra, (self.puts + self.n - 1 - i) // self.n)
        return 0

    cdef int again(self) except -1:
        """Another try begins: what is out stays out."""
        self.skip += self.puts
        self.puts = 0
        return 0

    def put(self, value, tuple index, uint64_t lane=0):
        """Put an element into every outlet, waiting for room."""
        cdef pp_head head
        cdef uint64_t extra[PP_MAX_DEPTH]
        read_index(index, lane, &head, extra)
        self.known = 0
        try:
            self.send(value, &head, extra)
        except Exception as error:
            raise self.wrapped(error, &head, extra)

    def put_given(self, list cell not None, tuple index, uint64_t lane=0):
        """The same for a value in a list of one, from which it is taken: nobody is to have it afterwards.

        So what of it lies in shared memory is passed on, where an argument would count as somebody's.
        """
        cdef pp_head head
        cdef uint64_t extra[PP_MAX_DEPTH]
        read_index(index, lane, &head, extra)
        value = cell.pop()
        self.known = 1
        try:
            self.send(value, &head, extra)
        except Exception as error:
            raise self.wrapped(error, &head, extra)

    def put_end(self, tuple index, uint64_t lane, uint64_t count):
        """Put an END mark into every outlet that wants it. Count may also be SOURCE_END or UNTRACKED."""
        cdef pp_head head
        cdef uint64_t extra[PP_MAX_DEPTH]
        read_index(index, lane, &head, extra)
        self.end(&head, extra, count)

    def close(self):
        """This worker puts nothing more."""
        for port in self.ports:
            port.close()
