# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False
"""The ends for coroutines of rings that have a thread or a process at the other end: what needs no waiting.

`transport.event_loop` makes ports of them; those who wait stand in line there.
"""

from libc.stdint cimport uint64_t

from cpython.object cimport PyObject
from cpython.ref cimport Py_INCREF

from pypeln._core.c cimport PP_MAX_DEPTH, PP_OK, pp_head
from pypeln._core.entries cimport (
    NO_MORE, NOTHING_YET, TAKEN, LoopEnd, Place, Slot, as_entry, index_at, read_entry,
)
from pypeln._core.queue cimport CLOSED, EMPTY, END, InPort, OutPort, make_index, read_index

from collections import deque

from pypeln._core.entries import CLOSED_ENTRY, EMPTY_ENTRY
from pypeln._core.memory import RunAborted


cdef class PortInlet(LoopEnd):
    """The taking end.

    Args:
        port: The ring's port. From now on it belongs to the thread of the event loop.
    """

    cdef readonly InPort port
    cdef readonly object given_back  # entries that come before those of the ring
    cdef public bint aborted
    cdef readonly bint flows  # it has not paused since it last gave something

    def __init__(self, InPort port):
        self.port = port
        self.given_back = deque()
        self.flows = False

    cdef int pop(self, Slot *slot) except -1:
        cdef object value
        cdef tuple index
        if self.aborted:
            raise RunAborted
        if len(self.given_back):
            read_entry(self.given_back.popleft(), slot)
            return TAKEN
        value = self.port.fetch()
        if value is EMPTY:
            self.flows = False
            return NOTHING_YET
        if value is CLOSED:
            self._found_end()
            return NO_MORE
        self.flows = True
        slot.place.first = self.port.head.index0
        slot.place.lane = self.port.head.lane
        slot.place.further = NULL
        if self.port.head.depth > 1:
            index = make_index(&self.port.head, self.port.extra)
            Py_INCREF(index)
            slot.place.further = <PyObject *>index
        slot.is_end = value is END
        if slot.is_end:
            slot.count = self.port.count
            value = None
        Py_INCREF(value)
        slot.value = <PyObject *>value
        return TAKEN

    def take_nowait(self):
        """The next entry, `EMPTY_ENTRY`, or `CLOSED_ENTRY`. Raises RunAborted, or what decoding raises."""
        cdef Slot slot
        cdef int found = self.pop(&slot)
        if found == TAKEN:
            return as_entry(&slot)
        return EMPTY_ENTRY if found == NOTHING_YET else CLOSED_ENTRY


cdef class PortOutlet(LoopEnd):
    """The putting end.

    Args:
        port: The ring's port. From now on it belongs to the thread of the event loop.
        unsendable: Makes the error to raise, from the one that putting an element raised and its index. None
            raises that one.
    """

    cdef readonly OutPort port
    cdef readonly object putters
    cdef object unsendable
    cdef public bint aborted

    def __init__(self, OutPort port, unsendable=None):
        self.port = port
        self.putters = deque()
        self.unsendable = unsendable

    cdef int push(self, object value, const Place *place, uint64_t lane) except -1:
        if len(self.putters):
            return 0
        return self.send(value, place, lane)

    cdef int send(self, object value, const Place *place, uint64_t lane) except -1:
        """Put an element if there is room, whoever waits."""
        cdef pp_head head
        cdef uint64_t extra[PP_MAX_DEPTH]
        if self.aborted:
            raise RunAborted
        head.nbytes = 0
        head.kind = 0
        head.depth = 1
        head.lane = <unsigned short>lane
        head.index0 = place.first
        try:
            if place.further != NULL:
                read_index(<object>place.further, lane, &head, extra)
            self.port.load(value, &head, extra, False)
            if self.port.offer() == PP_OK:
                return 1
        except Exception as error:
            if self.unsendable is None:
                raise
            raise self.unsendable(error, index_at(place)) from error
        self.port.unload()
        return 0

    def send_entry(self, tuple entry):
        """Put an entry if there is room, whoever waits. Raises RunAborted, or what encoding raises."""
        cdef Place place
        if self.aborted:
            raise RunAborted
        value, index, lane, count = entry
        if count != -1:
            return self.port.put_end_nowait(index, lane, count)
        place.further = <PyObject *>index
        place.first = 0
        place.lane = lane
        return bool(self.send(value, &place, lane))
