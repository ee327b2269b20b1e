# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False
"""What goes through the queues of an event loop, and the ends through which compiled code moves it.

An *entry* is, in Python, the tuple `(value, index, lane, count)`: an element when `count` is `ELEMENT`, else
an END mark, which says that the element at `index` has `count` children. Here it is a `Slot`: most elements
pass from one worker to the next without a tuple, an index or a number being made for them.

Everything in this module belongs to the thread of one event loop.
"""

from libc.stdint cimport uint64_t
from libc.stdlib cimport free, malloc
from libc.string cimport memcpy

from cpython.object cimport PyObject
from cpython.ref cimport Py_INCREF, Py_XDECREF

from collections import deque

from pypeln._core.memory import RunAborted

cdef extern from *:
    """
    /* Cython would count references around a cast; here ownership moves with the pointer. */
    static inline PyObject *pp_steal(void *p) { return (PyObject *)p; }
    """
    object steal "pp_steal"(void *p)

cdef enum:
    SMALLEST = 64  # slots of a buffer at first; it doubles while it is too small

ELEMENT = -1  # the count of an entry that is an element
EMPTY_ENTRY = (None, (), 0, -2)  # compared by identity, like the one below
CLOSED_ENTRY = (None, (), 0, -3)

cdef object _EMPTY_ENTRY = EMPTY_ENTRY
cdef object _CLOSED_ENTRY = CLOSED_ENTRY


cdef object take_value(Slot *slot):
    """The value of a slot, which no longer has it."""
    cdef void *value = slot.value
    slot.value = NULL
    return steal(value)


cdef void clear_place(Place *place) noexcept:
    cdef PyObject *further = place.further
    place.further = NULL
    Py_XDECREF(further)


cdef tuple index_at(const Place *place):
    if place.further == NULL:
        return (place.first,)
    return <tuple>place.further


cdef int read_place(tuple index, uint64_t lane, Place *place) except -1:
    """The place of an index. What it owns is to be cleared."""
    place.further = NULL
    place.lane = lane
    place.first = 0
    if len(index) == 1:
        place.first = index[0]
    else:
        Py_INCREF(index)
        place.further = <PyObject *>index
    return 0


cdef tuple as_entry(Slot *slot):
    """The entry in a slot, which is empty then."""
    cdef tuple index = index_at(&slot.place)
    cdef object count = slot.count if slot.is_end else -1
    clear_place(&slot.place)
    return (take_value(slot), index, slot.place.lane, count)


cdef int read_entry(tuple entry, Slot *slot) except -1:
    value, index, lane, count = entry
    slot.is_end = count != -1
    slot.count = count if slot.is_end else 0
    read_place(index, lane, &slot.place)
    Py_INCREF(value)
    slot.value = <PyObject *>value
    return 0


cdef class LoopEnd:
    """An end of a queue that coroutines take from or put into.

    Python code calls `take_nowait` and `put_nowait`, which a subclass has; compiled code `pop` and `push`,
    which fall back on those.
    """

    cdef int pop(self, Slot *slot) except -1:
        """Take the next entry: TAKEN, NOTHING_YET or NO_MORE. What the slot then has is the caller's."""
        cdef object entry = self.take_nowait()
        if entry is _EMPTY_ENTRY:
            return NOTHING_YET
        if entry is _CLOSED_ENTRY:
            return NO_MORE
        read_entry(entry, slot)
        return TAKEN

    cdef int push(self, object value, const Place *place, uint64_t lane) except -1:
        """Put an element if there is room that nobody waits for; 0 when there is none."""
        return bool(self.put_nowait((value, index_at(place), lane, ELEMENT)))

    def put_values(self, list values, Py_ssize_t start, uint64_t position, uint64_t lane):
        """Put elements that a source numbers, from `values[start]` on, while there is room.

        Args:
            position: The number of the first of all the values.

        Returns:
            How many of the values have been put now, those before `start` included.
        """
        cdef Place place
        cdef Py_ssize_t i = start
        place.further = NULL
        place.lane = lane
        while i < len(values):
            place.first = position + i
            if not self.push(values[i], &place, lane):
                break
            i += 1
        return i


cdef class Ready:
    """Iterates over the elements that a queue has now, taking each as it is asked for. Ends, and begins anew.

    Args:
        inlet: The queue. It has no END marks.
        element_type: Made of index and value; None gives the value alone.
    """

    cdef LoopEnd inlet
    cdef object element_type

    def __init__(self, LoopEnd inlet, element_type=None):
        self.inlet = inlet
        self.element_type = element_type

    def __iter__(self):
        return self

    def __next__(self):
        cdef Slot slot
        if self.inlet.pop(&slot) != TAKEN:
            raise StopIteration
        cdef object value = take_value(&slot)
        if self.element_type is not None:
            index = index_at(&slot.place)
            clear_place(&slot.place)
            return self.element_type(index, value)
        clear_place(&slot.place)
        return value


cdef class LoopBuffer(LoopEnd):
    """The entries of a queue between coroutines, and what needs no waiting.

    `transport.loop_queue.LoopQueue` is the queue; what it does when somebody waits is written there:
    `_put_slowly` where entries cannot simply be put, `_admit` where putters can be let in.

    Args:
        bound: The most entries it may hold.
        resume_at: How many it holds when waiting putters are let in.
        producers: How many close it.
    """

    def __cinit__(self, *_args, **_kwargs):
        self.takers = deque()
        self.putters = deque()

    def __init__(self, Py_ssize_t bound, Py_ssize_t resume_at, Py_ssize_t producers):
        self.bound = self.limit = bound
        self.resume_at = resume_at
        self.producers = producers

    def __dealloc__(self):
        self.drop()
        free(self.slots)

    def __len__(self):
        return self.length

    cdef Slot *append(self) except NULL:
        """The next free slot, which is in use now."""
        cdef Py_ssize_t size, first
        cdef Slot *slots
        if self.length == self.size:
            size = max(SMALLEST, 2 * self.size)
            slots = <Slot *>malloc(size * sizeof(Slot))
            if slots == NULL:
                raise MemoryError
            if self.length:
                first = self.size - self.head
                memcpy(slots, self.slots + self.head, first * sizeof(Slot))
                memcpy(slots + first, self.slots, self.head * sizeof(Slot))
            free(self.slots)
            self.slots = slots
            self.size = size
            self.head = 0
        cdef Slot *slot = self.slots + ((self.head + self.length) & (self.size - 1))
        self.length += 1
        return slot

    cdef int fetch(self, Slot *slot) except -1:
        """Move the first entry into a slot; 0 when there is none."""
        if self.length == 0:
            return 0
        slot[0] = self.slots[self.head]
        self.head = (self.head + 1) & (self.size - 1)
        self.length -= 1
        return 1

    cdef int pop(self, Slot *slot) except -1:
        if self.fetch(slot):
            if len(self.putters) and self.length <= self.resume_at:
                self._admit()
            return TAKEN
        if self.aborted:
            raise RunAborted
        return NOTHING_YET if self.producers > 0 else NO_MORE

    cdef int push(self, object value, const Place *place, uint64_t lane) except -1:
        cdef Slot *slot
        if self.length < self.limit and not len(self.takers) and not len(self.putters):
            slot = self.append()
            Py_INCREF(value)
            slot.value = <PyObject *>value
            slot.place = place[0]
            slot.place.lane = lane
            slot.count = 0
            slot.is_end = False
            if place.further != NULL:
                Py_INCREF(<object>place.further)
            return 1
        return bool(self._put_slowly((value, index_at(place), lane, ELEMENT)))

    def take_nowait(self):
        """The next entry, `EMPTY_ENTRY`, or `CLOSED_ENTRY` when no more can come.

        Raises:
            RunAborted: The run ends early.
        """
        cdef Slot slot
        cdef int found = self.pop(&slot)
        if found == TAKEN:
            return as_entry(&slot)
        return _EMPTY_ENTRY if found == NOTHING_YET else _CLOSED_ENTRY

    def put_nowait(self, tuple entry):
        """Put an entry if there is room and nobody waits for it; False otherwise.

        Raises:
            RunAborted: The run ends early.
        """
        if self.length < self.limit and not len(self.takers) and not len(self.putters):
            self._append(entry)
            return True
        return self._put_slowly(entry)

    def _append(self, tuple entry):
        """Put an entry behind all others, bound or no bound."""
        cdef Slot slot
        read_entry(entry, &slot)
        self.append()[0] = slot

    def _append_first(self, tuple entry):
        """Put an entry before all others, bound or no bound."""
        cdef Slot slot
        read_entry(entry, &slot)
        self.append()  # for the room
        self.head = (self.head - 1) & (self.size - 1)
        self.slots[self.head] = slot

    def _popleft(self):
        """Take the first entry, and let nobody in. There must be one."""
        cdef Slot slot
        if not self.fetch(&slot):
            raise IndexError("no entry")
        return as_entry(&slot)

    cdef int drop(self) except -1:
        """Drop every entry."""
        cdef Slot slot
        while self.fetch(&slot):
            clear_place(&slot.place)
            take_value(&slot)
        return 0

    def _abort(self):
        self.aborted = True
        self.bound = self.limit = 0
        self.drop()
