# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False
"""What a worker does all day: take an element, call f, put what comes of it.

One loop for workers that are threads or processes, and one feeder for sources. The rules of emission are
those of `pypeln.run.plan.Emission`; coroutines follow them in `pypeln.run.task_worker`.
"""

from libc.stdint cimport uint16_t, uint64_t

from libc.string cimport memcpy

from pypeln._core.c cimport (
    PP_FATE_NONE, PP_FATE_RETRY, PP_MAX_DEPTH, PP_OK, PP_OUT_SHIFT, PP_WAITING, PP_WORKING, load32,
    load64, pp_a64, pp_head, pp_lease, pp_now_ns, store32, store64,
)
from pypeln._core.guard cimport Guard
from pypeln._core.memory cimport Ledger, Window
from pypeln._core.queue cimport CLOSED, EMPTY, END, InPort, OutPort, make_index, read_index

from types import GeneratorType

from pypeln._core.guard import Interrupted
from pypeln._core.memory import RunAborted

cdef enum:
    RESULT = 0
    INPUT_IF_RESULT = 1
    EACH_OF_RESULT = 2
    NOTHING = 3
    INPUT = 4

# Counts that are none. SOURCE_END at index (n,): the source had n elements. UNTRACKED: its elements brought
# indices of their own, so nobody can say which are missing, and `ordered` can only sort them at the end.
cdef uint64_t _SOURCE_END = 0xffffffffffffffff
cdef uint64_t _UNTRACKED = 0xfffffffffffffffe
SOURCE_END = _SOURCE_END
UNTRACKED = _UNTRACKED


cdef enum:
    MOST_OUTLETS = 64

ctypedef uint16_t[64] vector_u16

cdef extern from "Python.h":
    object PyObject_CallOneArg(object f, object argument)


cdef inline void more(pp_a64 *counter) noexcept:
    # Only this worker writes its counters, others read them: no read-modify-write is needed.
    store64(counter, load64(counter) + 1)


cdef class Outlets:
    """Where a worker puts: one port for each consumer of its stage.

    Args:
        ports: The ports.
        lanes: For each, what is added to an element's lane.
        ends: For each, whether END marks are wanted there.
        unsendable: Makes the error to raise, from the one that putting an element raised and its index.
    """

    cdef list ports
    cdef vector_u16 lanes
    cdef list ends
    cdef Py_ssize_t n
    cdef readonly bint wants_ends
    cdef object unsendable
    cdef bint sending
    cdef uint64_t skip  # outputs of the element in hand that a dead predecessor has put already

    def __init__(self, list ports, list lanes, list ends, unsendable):
        cdef Py_ssize_t i
        self.n = len(ports)
        if self.n > MOST_OUTLETS:
            raise ValueError(f"a stage has {self.n} consumers; it can have {MOST_OUTLETS}")
        self.ports = ports
        for i in range(self.n):
            self.lanes[i] = lanes[i]
        self.ends = ends
        self.wants_ends = any(ends)
        self.unsendable = unsendable

    cdef int send(
        self, object value, const pp_head *head, const uint64_t *extra, uint64_t *waited_ns
    ) except -1:
        """Put an element everywhere. Adds the time spent waiting for room to waited_ns.

        What loading or offering raises comes as it is, with `sending` left set: a try block here would cost
        as much as a queue, so callers have one around many elements and ask `wrapped` what to raise.
        """
        cdef Py_ssize_t i
        cdef OutPort port
        cdef uint64_t began
        cdef pp_head mine = head[0]
        self.sending = True
        for i in range(self.n):
            if self.skip:
                self.skip -= 1
                continue
            port = <OutPort>self.ports[i]
            mine.lane = head.lane + self.lanes[i]
            port.load(value, &mine, extra, False)
            if port.offer() != PP_OK:
                began = pp_now_ns()
                port.flush()
                waited_ns[0] += pp_now_ns() - began
        self.sending = False
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
        mine.lane += self.lanes[i]
        return (<OutPort>self.ports[i]).send(count, &mine, extra, True)

    cdef int end_published(self, const pp_head *head, const uint64_t *extra, uint64_t published) except -1:
        """END marks after a death: `published` elements are out, dealt to the outlets in turn."""
        cdef Py_ssize_t i
        for i in range(self.n):
            if self.ends[i]:
                self.end_at(i, head, extra, (published + self.n - 1 - i) // self.n)
        return 0

    def put(self, value, tuple index, uint64_t lane=0):
        """Put an element into every outlet, waiting for room."""
        cdef pp_head head
        cdef uint64_t extra[PP_MAX_DEPTH]
        cdef uint64_t waited = 0
        read_index(index, lane, &head, extra)
        try:
            self.send(value, &head, extra, &waited)
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


cdef class Worker:
    """One worker of a stage, thread or process.

    Args:
        emission: Which rule, as an int of Emission.
        f: The stage's function; None for rules that call none.
        kwargs: What is injected into f besides the element, the same each time.
        wants_index: Whether f also takes element_index.
        inlet: Where elements come from.
        outlets: Where results go.
        ledger: With worker: this worker's lease and counters.
        guard: For threads: lets others interrupt f.
    """

    cdef int emission
    cdef object f
    cdef dict kwargs
    cdef bint plain
    cdef bint wants_index
    cdef InPort inlet
    cdef Outlets outlets
    cdef Ledger ledger
    cdef pp_lease *lease
    cdef Guard guard
    cdef bint timed
    cdef uint64_t children
    cdef pp_head out_head  # of the output being sent
    cdef uint64_t[16] out_extra

    def __init__(
        self, int emission, f, dict kwargs, bint wants_index, InPort inlet, Outlets outlets, Ledger ledger,
        Py_ssize_t worker, Guard guard=None, bint timed=False,
    ):
        self.emission = emission
        self.f = f
        self.kwargs = dict(kwargs)
        self.wants_index = wants_index
        self.plain = not kwargs and not wants_index
        self.inlet = inlet
        self.outlets = outlets
        self.ledger = ledger
        self.lease = ledger.at(worker)
        self.guard = guard
        self.timed = timed

    @property
    def index(self):
        """element_index of what was taken last, None before the first."""
        return self.inlet.index if self.inlet.head.depth else None

    def run(self):
        """Work until the inlet is closed and empty.

        Raises:
            RunAborted: The run ended meanwhile.
            BaseException: What f raised; `index` tells for which element.
        """
        cdef object value
        self.resume()
        while True:
            value = self.inlet.fetch()
            if value is EMPTY:
                store32(&self.lease.state, PP_WAITING)
                value = self.inlet.get()
                store32(&self.lease.state, PP_WORKING)
            if value is END:
                if self.outlets.wants_ends:
                    self.outlets.end(&self.inlet.head, self.inlet.extra, self.inlet.count)
                continue
            if value is CLOSED:
                break
            self.work(value)
        self.inlet.done()

    cdef int resume(self) except -1:
        """Finish what a predecessor in this place left, as the watcher who buried it decided."""
        cdef unsigned int fate = load32(&self.lease.fate)
        if fate == PP_FATE_NONE:
            return 0
        store32(&self.lease.fate, PP_FATE_NONE)
        if not self.inlet.resume():
            return 0
        published = load64(&self.lease.out) >> PP_OUT_SHIFT
        if fate == PP_FATE_RETRY:
            value = self.inlet.leased()
            if value is END:
                self.outlets.end(&self.inlet.head, self.inlet.extra, self.inlet.count)
            else:
                self.outlets.skip = published
                self.work(value, again=True)
                self.outlets.skip = 0
        elif self.outlets.wants_ends:
            self.outlets.end_published(&self.inlet.head, self.inlet.extra, published)
        self.inlet.done()
        return 0

    cdef object call(self, object value):
        if self.plain:
            return PyObject_CallOneArg(self.f, value)
        if self.wants_index:
            self.kwargs["element_index"] = make_index(&self.inlet.head, self.inlet.extra)
        return self.f(value, **self.kwargs)

    cdef int begin(self) except -1:
        if self.timed:
            store64(&self.lease.started_ns, pp_now_ns())
        if self.guard is not None:
            self.guard.begin()
        return 0

    cdef int pause(self) except -1:
        """f is not running for a moment. 1 when it was interrupted."""
        if self.guard is not None:
            return self.guard.end()
        return 0

    cdef int work(self, object value, bint again=False) except -1:
        """One element from taken to answered."""
        cdef object result = None
        cdef uint64_t waited = 0
        cdef bint interrupted = False
        cdef bint sent = False
        self.children = 0
        self.out_head = self.inlet.head
        if self.out_head.depth > 1:
            memcpy(self.out_extra, self.inlet.extra, (self.out_head.depth - 1) * 8)
        if not again:
            more(&self.lease.taken)
        try:
            if self.emission == INPUT:
                self.outlets.send(value, &self.inlet.head, self.inlet.extra, &waited)
                more(&self.lease.emitted)
                more(&self.lease.sent)
                return 0
            self.begin()
            try:
                result = self.call(value)
                if self.emission == EACH_OF_RESULT:
                    interrupted = self.send_each(result)
            except Interrupted:
                # Planted by the guard; anything f raised itself goes on to the host.
                interrupted = True
            finally:
                if self.pause():
                    interrupted = True
                if self.timed:
                    store64(&self.lease.started_ns, 0)
            if interrupted:
                return self.give_up()
            if self.emission == RESULT:
                sent = True
                self.outlets.send(result, &self.inlet.head, self.inlet.extra, &waited)
            elif self.emission == INPUT_IF_RESULT:
                if result:
                    sent = True
                    self.outlets.send(value, &self.inlet.head, self.inlet.extra, &waited)
            elif self.emission == EACH_OF_RESULT:
                sent = True
            if self.outlets.wants_ends and (self.emission in (EACH_OF_RESULT, NOTHING) or not sent):
                self.outlets.end(&self.inlet.head, self.inlet.extra, self.children)
        except RunAborted:
            raise
        except BaseException as error:
            more(&self.lease.failed)
            raise self.outlets.wrapped(error, &self.out_head, self.out_extra)
        if self.emission == INPUT_IF_RESULT and not sent:
            more(&self.lease.filtered)
        else:
            more(&self.lease.emitted)
            if sent and self.emission != EACH_OF_RESULT:
                more(&self.lease.sent)
        return 0

    cdef bint send_each(self, object result) except -1:
        """Put each of what f returned or yields. The clock and the guard rest while it waits for room.

        True when f was interrupted while it was asked for the next.
        """
        cdef uint64_t waited
        cdef uint64_t started = 0
        cdef Py_ssize_t depth = self.inlet.head.depth
        if depth >= PP_MAX_DEPTH:
            raise ValueError(f"flat_map would give an element_index of more than {PP_MAX_DEPTH} dimensions")
        self.out_head.depth = <unsigned char>(depth + 1)
        iterator = iter(result)
        try:
            for child in iterator:
                if self.pause():
                    return True
                self.out_extra[depth - 1] = self.children
                waited = 0
                if self.timed:
                    # Stopped, not only corrected afterwards: who looks at it meanwhile would find f late.
                    started = load64(&self.lease.started_ns)
                    store64(&self.lease.started_ns, 0)
                self.outlets.send(child, &self.out_head, self.out_extra, &waited)
                self.children += 1
                more(&self.lease.sent)
                if self.timed:
                    store64(&self.lease.started_ns, started + waited)
                if self.guard is not None:
                    self.guard.begin()
        finally:
            # A generator that was not exhausted ends here and now, not when it is collected.
            if type(iterator) is GeneratorType:
                iterator.close()
        return False

    cdef int give_up(self) except -1:
        """The element's f was interrupted: for its time-out, or because the run ends."""
        if self.guard.why != "timeout":
            raise RunAborted
        more(&self.lease.timed_out)
        if self.outlets.wants_ends:
            # Children that are out stay out; their number closes the element.
            self.outlets.end(&self.inlet.head, self.inlet.extra, self.children)
        return 0


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
    cdef uint64_t position = 0, waited = 0
    cdef Window window
    cdef bint untracked = False
    head.kind = 0
    head.nbytes = 0
    head.depth = 1
    head.lane = 0
    cdef object value
    iterator = iter(iterator)
    try:
        while True:
            if windows:
                for window in windows:
                    window.wait(position)
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
                    if outlets.wants_ends:
                        outlets.put_end((0,), 0, UNTRACKED)
                read_element_index(value.index, position, &head, extra)
                value = value.value
            else:
                head.depth = 1
                head.index0 = position
            outlets.send(value, &head, extra, &waited)
            more(&lease.emitted)
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
