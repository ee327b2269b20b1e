# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False
"""The loop of a source: take from an iterator, put into the outlets."""

from libc.stdint cimport uint64_t

from pypeln._core.c cimport (
    PP_EMITTED, PP_MAX_DEPTH, pp_head, pp_lease,
)
from pypeln._core.guard cimport Guard
from pypeln._core.memory cimport Ledger, Window, more
from pypeln._core.outlets cimport Outlets
from pypeln._core.queue cimport EMPTY, OutPort, read_index

from pypeln._core.guard import Interrupted
from pypeln._core.memory import RunAborted

# Their `next` runs no code of anybody, and never waits: there is nothing to interrupt.
cdef frozenset PROMPT = frozenset(
    type(iter(each))
    for each in (range(0), range(1 << 100), (), [], {}, {}.values(), {}.items(), set(), "", "\u0100", b"")
)

# Counts that are none. SOURCE_END at index (n,): the source had n elements. UNTRACKED: its elements brought
# indices of their own, so nobody can say which are missing, and `ordered` can only sort them at the end.
cdef uint64_t _SOURCE_END = 0xffffffffffffffff
cdef uint64_t _UNTRACKED = 0xfffffffffffffffe
SOURCE_END = _SOURCE_END
UNTRACKED = _UNTRACKED


cdef int read_element_index(object index, uint64_t position, pp_head *head, uint64_t *extra) except -1:
    """The index of an Element that a source brought: anybody may have made it, of anything."""
    try:
        if type(index) is not tuple:
            raise TypeError
        for number in index:
            if type(number) is not int:  # C would take a float or a bool for one
                raise TypeError
        return read_index(index, 0, head, extra)
    except (TypeError, ValueError, OverflowError):
        raise ValueError(
            f"item {position} of the source is an Element whose index is {index!r}; "
            f"an index is a tuple of 1 to {PP_MAX_DEPTH} integers from 0 to 2**64 - 1"
        ) from None


def feed(
    iterator, Outlets outlets, list windows, Ledger ledger, Py_ssize_t worker, element_type, Guard guard
):
    """Put every element of an iterator into the outlets.

    Args:
        iterator: What to iterate. Elements of `element_type` keep the index they bring.
        outlets: Where they go.
        windows: Not to run ahead of these.
        ledger: With worker: the counters.
        element_type: pypeln.Element.
        guard: Lets the run interrupt the source.

    Raises:
        RunAborted: The run ended meanwhile.
        BaseException: What the iterator raised.
    """
    cdef pp_lease *lease = ledger.at(worker)
    cdef pp_head head
    cdef uint64_t extra[PP_MAX_DEPTH]
    cdef uint64_t position = 0
    cdef Window window
    cdef bint untracked = False
    head.kind = 0
    head.nbytes = 0
    head.refs = 0
    head.depth = 1
    head.lane = 0
    cdef object value
    iterator = iter(iterator)
    cdef bint prompt = type(iterator) in PROMPT
    cdef OutPort pouring = None
    if prompt and not windows and outlets.only is not None and outlets.only.pours:
        pouring = outlets.only
        head.kind = pouring.kind
    try:
        while True:
            if windows:
                for window in windows:
                    window.wait(position)
            if pouring is not None:
                head.depth = 1
                head.index0 = position
                value = pouring.pour(iterator, &head, element_type, lease)
                position = head.index0
            elif prompt:
                value = next(iterator, EMPTY)
            else:
                guard.begin()
                value = next(iterator, EMPTY)
                if guard.end():
                    raise RunAborted
            if value is EMPTY:
                break
            more(&lease.taken)
            if type(value) is element_type:
                if not untracked:
                    untracked = True
                    windows = []
                    pouring = None
                    if outlets.wants_ends:
                        outlets.put_end((0,), 0, UNTRACKED)
                read_element_index(value.index, position, &head, extra)
                value = value.value
            else:
                head.depth = 1
                head.index0 = position
            outlets.known = 1  # this one; what else the source has shows in the count
            outlets.send(value, &head, extra)
            more(&lease.outcomes[PP_EMITTED])
            more(&lease.sent)
            position += 1
    except Interrupted:
        raise RunAborted
    except Exception as error:
        raise outlets.wrapped(error, &head, extra)
    finally:
        guard.end()
    if outlets.wants_ends:
        outlets.put_end((position,), 0, SOURCE_END)
