# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False
"""What a worker does all day: take an element, call f, put what comes of it.

One loop for workers that are threads or processes. The rules of emission are those of
`pypeln.run.plan.Emission`; coroutines follow them in `pypeln.run.task_worker`. What becomes of elements that
f cannot do is said in `pypeln.run.policy`.
"""

cimport cython

from cpython.object cimport PyObject
from libc.stdint cimport uint64_t
from libc.string cimport memcpy

from pypeln._core.c cimport (
    PP_EMITTED, PP_FAILED, PP_FATE_NONE, PP_FATE_RETRY, PP_FATE_TIMED_OUT, PP_FAULT_POINT, PP_FILTERED,
    PP_LOST, PP_MAX_DEPTH, PP_OUT_SHIFT, PP_TIMED_OUT, PP_WAITING, PP_WORKING, load32, load64, pp_head,
    pp_lease, pp_lease_apply, pp_lease_decide, pp_lease_note, pp_lease_noted, pp_lease_undecided,
    pp_now_ns, store32, store64,
)
from pypeln._core.guard cimport Guard
from pypeln._core.memory cimport Ledger, more
from pypeln._core.outlets cimport Outlets
from pypeln._core.queue cimport CLOSED, EMPTY, END, InPort, make_index
from pypeln._core.references cimport references_to

from types import GeneratorType

from pypeln._core.guard import Interrupted
from pypeln._core.memory import CorruptMemory, RunAborted

cdef enum:
    RESULT = 0
    INPUT_IF_RESULT = 1
    EACH_OF_RESULT = 2
    NOTHING = 3
    INPUT = 4

# What `Recovery.answer` returns: pypeln.run.policy.Answer.
cdef enum:
    RAISE = 0
    SKIP = 1
    COLLECT = 2

# In the place of an element.
cdef object DROPPED = object()

cdef extern from "Python.h":
    object PyObject_CallOneArg(object f, object argument)


@cython.final
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
        recovery: What to do about elements that f cannot do.
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
    cdef object recovery
    cdef uint64_t retries
    cdef bint counts_tries
    cdef bint keeps
    cdef bint decides  # somebody else may have to finish an element, or END marks follow it
    # Of the element in hand:
    cdef object element  # DROPPED where it is not wanted any more, or can be read again should it be
    cdef bint at_work
    cdef bint trying  # f runs, or what it returned is being put
    cdef uint64_t tries
    cdef uint64_t children
    cdef uint64_t sent_before
    cdef pp_head out_head  # of the child being sent
    cdef uint64_t[16] out_extra

    def __init__(
        self, int emission, f, dict kwargs, bint wants_index, InPort inlet, Outlets outlets, Ledger ledger,
        Py_ssize_t worker, recovery, Guard guard=None, bint timed=False,
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
        self.recovery = recovery
        self.element = DROPPED
        self.retries = recovery.retries
        self.counts_tries = recovery.counts_tries
        self.keeps = recovery.wants_element and not inlet.reopens
        # A thread does not die alone: nobody else will have to end its element.
        self.decides = inlet.reopens or outlets.wants_ends

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
        cdef bint resumed = False
        problem = None
        store32(&self.lease.state, PP_WORKING)
        # One try block around all elements: around each it would cost as much as a queue.
        while True:
            try:
                if problem is not None:
                    trouble, problem = problem, None
                    self.recover(trouble)
                    trouble = None
                elif not resumed:
                    resumed = True
                    self.resume()
                self.loop()
                return
            except (RunAborted, CorruptMemory):
                raise
            except (Exception, Interrupted) as error:
                if not self.inlet.opening and not self.trying:
                    self.fail()
                    raise
                problem = error
            except SystemExit:
                # It ends a process like a signal does, and the supervisor sees to the element.
                if self.guard is not None:
                    self.rest()
                    self.fail()
                raise
            except BaseException:
                self.rest()
                self.fail()
                raise

    cdef int loop(self) except -1:
        """Take, call f, put, count; `recover` sees to what is raised meanwhile."""
        cdef InPort inlet = self.inlet
        cdef object value
        cdef object result = None
        cdef int outcome
        while True:
            if self.at_work:  # another try
                value = self.in_hand()
            else:
                value = inlet.fetch()
                if value is EMPTY:
                    store32(&self.lease.state, PP_WAITING)
                    value = inlet.get()
                    store32(&self.lease.state, PP_WORKING)
                if value is END:
                    if self.outlets.wants_ends:
                        self.outlets.end(&inlet.head, inlet.extra, inlet.count)
                    continue
                if value is CLOSED:
                    break
                if not inlet.reopens:
                    self.element = value
                elif self.element is not DROPPED:
                    self.element = DROPPED
                self.take()
            self.trying = True
            if self.emission != INPUT:
                self.begin()
                PP_FAULT_POINT("f begun")
                if self.plain:
                    result = PyObject_CallOneArg(self.f, value)
                else:
                    result = self.call(value)
                PP_FAULT_POINT("f returned")
                if self.emission == EACH_OF_RESULT:
                    self.point_at(0)
                    self.send_each(result, True)
                if self.rest():
                    raise Interrupted
            if self.emission == RESULT:
                # It may be a view of the element, and leaves without a copy when nobody else has one.
                value = None
                if not self.keeps and self.element is not DROPPED:
                    self.element = DROPPED
            outcome = self.emit(result, value)
            value = result = None
            self.trying = False
            self.answer(outcome)
        self.element = None
        inlet.done()
        return 0

    cdef int recover(self, object error) except -1:
        """Go on after what fetching an element, or an attempt, has raised: `loop` makes the next attempt."""
        cdef int outcome = PP_FAILED
        # Raised because f was late, or planted by the guard and not raised yet.
        cdef bint interrupted = self.rest() or isinstance(error, Interrupted)
        self.trying = False
        if self.inlet.opening:
            return self.refuse(error)
        if interrupted and self.guard.why != "timeout":
            raise RunAborted
        if isinstance(error, Interrupted):
            outcome = PP_TIMED_OUT
            error = None
        elif self.emission == EACH_OF_RESULT:
            error = self.outlets.wrapped(error, &self.out_head, self.out_extra)
        else:
            error = self.outlets.wrapped(error, &self.inlet.head, self.inlet.extra)
        if self.tries > self.retries:
            return self.answer(self.give_up(error, outcome))
        error = None
        self.recovery.wait(self.tries)
        return self.next_try()

    cdef int resume(self) except -1:
        """Finish what a predecessor in this place left, as the watcher who buried it decided."""
        cdef unsigned int fate = load32(&self.lease.fate)
        cdef uint64_t published, intent
        cdef bint many
        if fate == PP_FATE_NONE:
            return 0
        PP_FAULT_POINT("predecessor found")
        store32(&self.lease.fate, PP_FATE_NONE)
        PP_FAULT_POINT("fate taken")
        if not self.inlet.resume():
            return 0
        published = load64(&self.lease.out) >> PP_OUT_SHIFT
        if not pp_lease_undecided(self.lease):
            self.outlets.puts = load64(&self.lease.puts)
            self.outlets.skip = published - self.outlets.puts
            self.end_element()
        elif self.inlet.holds_end():
            self.inlet.leased()
            self.outlets.skip = published
            self.outlets.end(&self.inlet.head, self.inlet.extra, self.inlet.count)
        else:
            # Where many may be sent for an element, they are counted as they are: begin anew.
            many = self.emission == EACH_OF_RESULT and published > 0
            self.sent_before = load64(&self.lease.sent_before if many else &self.lease.sent)
            self.at_work = True
            self.outlets.puts = published
            self.tries = pp_lease_noted(self.lease, &self.lease.begun)
            if fate != PP_FATE_RETRY:
                self.element = DROPPED
                self.answer(self.give_up(None, PP_TIMED_OUT if fate == PP_FATE_TIMED_OUT else PP_LOST))
            elif self.emission != EACH_OF_RESULT and published == <uint64_t>self.outlets.n:
                # Everything is out but the word that it is.
                intent = pp_lease_noted(self.lease, &self.lease.intent)
                if intent > PP_LOST + 1:
                    raise CorruptMemory("a lease with an end that no element has")
                self.answer(<int>intent - 1 if intent else PP_EMITTED)
            else:
                self.element = DROPPED
                return self.next_try()
        self.outlets.skip = 0
        self.inlet.done()
        return 0

    cdef inline int take(self) except -1:
        """An element is in hand."""
        more(&self.lease.taken)
        self.at_work = True
        self.tries = 1
        self.outlets.puts = 0
        self.sent_before = load64(&self.lease.sent)
        if self.counts_tries:
            pp_lease_note(self.lease, &self.lease.begun, 1)
        if self.emission == EACH_OF_RESULT:
            store64(&self.lease.sent_before, self.sent_before)
        return 0

    cdef int next_try(self) except -1:
        more(&self.lease.retried)
        self.tries += 1
        if self.counts_tries:
            pp_lease_note(self.lease, &self.lease.begun, self.tries)
        self.outlets.again()
        return 0

    cdef inline int answer(self, int outcome) except -1:
        """The element in hand has ended."""
        PP_FAULT_POINT("element executed")
        if not self.decides:
            more(&self.lease.outcomes[outcome])
            store64(&self.lease.sent, self.sent_now())
            self.at_work = False
            return 0
        pp_lease_decide(self.lease, outcome, self.outlets.puts, self.sent_now())
        PP_FAULT_POINT("end decided")
        if self.outlets.wants_ends:
            self.end_element()
        PP_FAULT_POINT("end announced")
        pp_lease_apply(self.lease)
        self.at_work = False
        return 0

    cdef inline uint64_t sent_now(self) noexcept:
        cdef uint64_t n = <uint64_t>self.outlets.n
        if n == 1:
            return self.sent_before + self.outlets.puts
        return self.sent_before + (self.outlets.puts + n - 1) // n

    cdef int end_element(self) except -1:
        # Where one is expected for each element, that element says it all.
        if self.outlets.wants_ends and (self.emission == EACH_OF_RESULT or self.outlets.puts == 0):
            self.outlets.end_element(&self.inlet.head, self.inlet.extra)
        return 0

    cdef int fail(self) except -1:
        """The run ends with the element in hand."""
        if self.at_work:
            self.outlets.last_try()
            pp_lease_decide(self.lease, PP_FAILED, self.outlets.puts, self.sent_now())
            pp_lease_apply(self.lease)
            self.at_work = False
        return 0

    cdef int refuse(self, object error) except -1:
        """An element that cannot be read: to be treated as one that f cannot do."""
        self.inlet.opening = False
        if not self.at_work:
            self.take()
        self.element = None
        return self.answer(self.give_up(error, PP_FAILED))

    cdef object call(self, object value):
        """f with more than the element."""
        if self.wants_index:
            self.kwargs["element_index"] = make_index(&self.inlet.head, self.inlet.extra)
        return self.f(value, **self.kwargs)

    cdef inline int begin(self) except -1:
        """f runs from here on."""
        if self.timed:
            store64(&self.lease.started_ns, pp_now_ns())
        if self.guard is not None:
            self.guard.begin()
        return 0

    cdef inline bint rest(self) except -1:
        """f does not run from here on. True when it was interrupted, whether or not it noticed."""
        cdef bint interrupted = self.guard is not None and self.guard.end()
        if self.timed:
            store64(&self.lease.started_ns, 0)
        return interrupted

    cdef object in_hand(self):
        """The element in hand, read once more if it was dropped."""
        if self.element is DROPPED:
            self.element = self.inlet.leased()
        return self.element

    cdef int point_at(self, uint64_t children) except -1:
        """The next output follows so many children."""
        self.children = children
        self.out_head = self.inlet.head
        if self.out_head.depth > 1:
            memcpy(self.out_extra, self.inlet.extra, (self.out_head.depth - 1) * 8)
        return 0

    cdef inline int emit(self, object result, object element) except -1:
        """Put what the operator makes of an element and a result; the children are out.

        PP_EMITTED or PP_FILTERED. No other try follows.
        """
        self.outlets.known = 1
        if self.emission == RESULT:
            self.outlets.send(result, &self.inlet.head, self.inlet.extra)
        elif self.emission == INPUT or self.emission == INPUT_IF_RESULT:
            if self.emission == INPUT_IF_RESULT and not result:
                self.outlets.last_try()
                return PP_FILTERED
            if self.element is element:
                self.outlets.known = 2
            self.outlets.send(element, &self.inlet.head, self.inlet.extra)
        self.outlets.last_try()
        return PP_EMITTED

    cdef Py_ssize_t descend(self) except -1:
        """From now on outputs are children; the dimension in which they are numbered."""
        cdef Py_ssize_t depth = self.inlet.head.depth
        if depth >= PP_MAX_DEPTH:
            raise ValueError(f"flat_map would give an element_index of more than {PP_MAX_DEPTH} dimensions")
        self.out_head.depth = <unsigned char>(depth + 1)
        return depth - 1

    cdef int send_child(self, object child, Py_ssize_t dimension) except -1:
        self.out_extra[dimension] = self.children
        self.outlets.send(child, &self.out_head, self.out_extra)
        PP_FAULT_POINT("child put")
        self.children += 1
        if self.outlets.skip == 0:
            store64(&self.lease.sent, self.sent_before + self.children)
        return 0

    cdef int send_each(self, object result, bint watched) except -1:
        """Put each of what f returned or yields. The clock and the guard rest while it waits for room.

        Not watched: it is not f's.
        """
        cdef uint64_t started = 0, waited
        cdef Py_ssize_t dimension = self.descend()
        iterator = iter(result)
        # The child is in our hand, and in a list that nobody has but we and its iterator.
        cdef int known = 1
        if (type(result) is list or type(result) is tuple) and references_to(<PyObject *>result) == 2:
            known = 2
        try:
            for child in iterator:
                self.outlets.known = known
                if not watched:
                    self.send_child(child, dimension)
                    continue
                # Stopped, not only corrected afterwards: who looks at it meanwhile would find f late.
                started, waited = load64(&self.lease.started_ns), self.outlets.waited_ns
                if self.rest():
                    raise Interrupted
                self.send_child(child, dimension)
                if self.timed:
                    store64(&self.lease.started_ns, started + self.outlets.waited_ns - waited)
                if self.guard is not None:
                    self.guard.begin()
        finally:
            # A generator that was not exhausted ends here and now, not when it is collected.
            if type(iterator) is GeneratorType:
                iterator.close()
        return 0

    cdef int give_up(self, object error, int outcome) except -1:
        """Do what the policy says about an element that failed for the last time; returns the outcome."""
        cdef uint64_t n = <uint64_t>self.outlets.n
        cdef int answer = self.recovery.answer(outcome)
        cdef tuple index
        self.outlets.last_try()
        if answer == SKIP:
            return outcome
        if error is None:
            error = self.recovery.error(outcome)
        if answer == RAISE:
            raise error
        if self.counts_tries:
            pp_lease_note(self.lease, &self.lease.intent, outcome + 1)
        index = make_index(&self.inlet.head, self.inlet.extra)
        self.point_at(self.outlets.puts // n)
        # An output that only some outlets have is completed with what stands for it.
        self.outlets.skip = self.outlets.puts % n
        self.outlets.puts -= self.outlets.skip
        self.outlets.known = 0
        if answer != COLLECT:
            result = self.recovery.replacement(error, self.in_hand(), index)
            if self.emission == EACH_OF_RESULT:
                self.send_each(result, False)
            self.emit(result, self.in_hand())
        else:
            failure = self.recovery.failure(error, self.in_hand(), index, self.tries)
            if self.emission == EACH_OF_RESULT:
                self.send_child(failure, self.descend())
            else:
                self.outlets.send(failure, &self.out_head, self.out_extra)
        self.outlets.last_try()
        return outcome
