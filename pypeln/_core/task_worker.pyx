# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False
"""A worker of a stage of tasks: take an element, call f, await what it returned, put what comes of it.

One object is the coroutine of one Task. It is what an `async def` with that loop would be, without a Python
frame of its own: a step of the Task goes straight to the coroutine that f returned, and everything around
the call costs less than the call. What seldom happens (waiting for elements or for room, retries, children
of a flat_map, END marks, time limits) is written in Python, in `pypeln.run.task_worker`, as coroutines that
this object awaits like those of f.

Failure modes: an exception of f goes to the stage's policy, any other ends the worker and is reported to its
crew. A worker that is dropped drops the coroutine that it awaits, which Python then closes.
"""

from libc.stdint cimport uint64_t

from cpython.object cimport PyObject

from pypeln._core.c cimport pp_now_ns
from pypeln._core.counters cimport Counters
from pypeln._core.entries cimport (
    NO_MORE, NOTHING_YET, LoopEnd, Slot, clear_place, index_at, read_entry, take_value,
)

from types import CoroutineType, GeneratorType

from pypeln._core.entries import CLOSED_ENTRY
from pypeln._core.memory import RunAborted

cdef extern from "Python.h":
    """
    /* Asked in Cython, both would cost more than the rest of an element. */
    static inline int pp_has_await(PyObject *value) {
        PyAsyncMethods *methods = Py_TYPE(value)->tp_as_async;
        return methods != NULL && methods->am_await != NULL;
    }
    static inline PyObject *pp_await(PyObject *value) {
        return Py_TYPE(value)->tp_as_async->am_await(value);
    }
    """
    enum: PYGEN_NEXT
    int PyIter_Send(PyObject *coroutine, PyObject *value, PyObject **result) except -1  # PYGEN_ERROR
    object PyObject_CallOneArg(object f, object argument)
    bint PyIter_Check(object value)
    bint pp_has_await(object value)
    object pp_await(object value)

cdef extern from *:
    """
    static inline PyObject *pp_steal(void *p) { return (PyObject *)p; }
    """
    object steal "pp_steal"(void *p)

# The rules of emission: pypeln.run.plan.Emission.
cdef enum:
    RESULT = 0
    INPUT_IF_RESULT = 1
    EACH_OF_RESULT = 2
    NOTHING = 3

# What is awaited.
cdef enum:
    NONE = 0
    INLET = 1  # the next element
    F = 2
    ROOM = 3  # for a result that is to be put
    REST = 4  # all that is left to do for the element in hand

cdef object _CoroutineType = CoroutineType
cdef object _GeneratorType = GeneratorType
cdef object _CLOSED_ENTRY = CLOSED_ENTRY
cdef int ITERABLE_COROUTINE = 0x100  # inspect.CO_ITERABLE_COROUTINE


cdef bint _is_awaitable(object value):
    if type(value) is _CoroutineType or pp_has_await(value):
        return True
    return type(value) is _GeneratorType and value.gi_code.co_flags & ITERABLE_COROUTINE


def is_awaitable(value):
    """What inspect.isawaitable says, in a fraction of its time."""
    return _is_awaitable(value)


cdef object awaited(object value):
    """What to send to in order to await an awaitable."""
    if type(value) is _CoroutineType or type(value) is _GeneratorType:
        return value
    cdef object iterator = pp_await(value)
    if not PyIter_Check(iterator):
        raise TypeError(f"__await__() returned non-iterator of type '{type(iterator).__name__}'")
    return iterator


cdef class Crew:
    """What the workers of one stage have in common. `pypeln.run.task_worker.Workers` is one, and says more.

    Args:
        emission: Which rule, as an int of Emission.
        f: The stage's function.
        kwargs: What is injected into f besides the element, the same each time.
        wants_index: Whether f also takes element_index.
        inlet: Where elements come from.
        outlets: Pairs of where results go and what is added to the lane there.
        sends_ends: Whether an outlet wants END marks.
        counters: Where to count.
        limit: The most workers.
        quantum_ns: How long those that never wait may keep the loop from everybody else, all together.
        idle_kept: How many that have nothing to do stay, where they are made without limit.
    """

    cdef readonly int emission
    cdef readonly object f
    cdef readonly dict kwargs
    cdef readonly bint wants_index
    cdef bint plain
    cdef readonly LoopEnd inlet
    cdef readonly list outlets
    cdef readonly list lanes
    cdef Py_ssize_t n
    cdef readonly bint sends_ends
    cdef readonly Counters counters
    cdef readonly Py_ssize_t limit  # 0: none
    cdef readonly uint64_t quantum_ns
    cdef readonly Py_ssize_t idle_kept
    cdef public Py_ssize_t alive
    cdef public Py_ssize_t idle  # wait at the inlet, or were made and have not taken yet
    cdef public Py_ssize_t blocked  # wait for room behind the stage

    def __init__(
        self, int emission, f, dict kwargs, bint wants_index, LoopEnd inlet, list outlets, bint sends_ends,
        Counters counters, Py_ssize_t limit, uint64_t quantum_ns, Py_ssize_t idle_kept,
    ):
        self.emission = emission
        self.f = f
        self.kwargs = kwargs
        self.wants_index = wants_index
        self.plain = not kwargs and not wants_index
        self.inlet = inlet
        self.outlets = [outlet for outlet, _ in outlets]
        self.lanes = [lane for _, lane in outlets]
        self.n = len(outlets)
        self.sends_ends = sends_ends
        self.counters = counters
        self.limit = limit
        self.quantum_ns = quantum_ns
        self.idle_kept = idle_kept

    cdef int hire_if_needed(self) except -1:
        """Before a worker waits for f: see to it that somebody else waits for the next element."""
        if self.idle == 0 and (self.alive < self.limit if self.limit else not self.blocked):
            self._hire_more()
        return 0


cdef class TaskWorker:
    """The coroutine of one worker.

    Args:
        crew: What it has in common with the others of its stage.
        timed: Whether f has a time limit.
    """

    cdef Crew crew
    cdef bint timed
    cdef readonly object deadline  # made in the task itself
    cdef object awaiting
    cdef int awaits
    cdef bint running
    cdef bint done
    cdef bint idle
    cdef uint64_t until_ns  # the end of its turn; 0 while the turn has not been measured
    # Of the element in hand:
    cdef bint has_element
    cdef bint whole  # it was taken in this step of the task
    cdef object value
    cdef object output
    cdef Slot slot  # its place
    cdef Py_ssize_t puts

    def __init__(self, Crew crew, bint timed):
        self.crew = crew
        self.timed = timed
        self.idle = True

    def __dealloc__(self):
        clear_place(&self.slot.place)

    # What a Task asks of a coroutine.

    def __await__(self):
        return self

    def __iter__(self):
        return self

    def __next__(self):
        return self.step(None)

    def send(self, value):
        """Go on. Like the iterators of Futures, what is awaited is told nothing but None."""
        return self.step(None)

    def throw(self, kind, value=None, traceback=None):
        """Go on with an exception where this waits."""
        if value is None:
            value = kind() if isinstance(kind, type) else kind
        if traceback is not None:
            value = value.with_traceback(traceback)
        return self.step(value)

    def close(self):
        """End without another step."""
        if self.running:
            raise ValueError("coroutine already executing")
        awaiting, self.awaiting = self.awaiting, None
        self.done = True
        if awaiting is not None and hasattr(awaiting, "close"):
            awaiting.close()

    @property
    def cr_await(self):
        """What it awaits, for those who show the stacks of tasks."""
        return self.awaiting

    @property
    def cr_frame(self):
        """None: there is no frame."""
        return None

    @property
    def cr_running(self):
        """Whether it is in a step now."""
        return bool(self.running)

    def __repr__(self):
        name = getattr(self.crew.f, "__qualname__", None) or repr(self.crew.f)
        return f"<{type(self).__name__} of {name}>"

    # The work.

    cdef object step(self, object error):
        """Go on until something has to be waited for, and return what the event loop is to wait for."""
        cdef object raising = error
        cdef object problem
        if self.running:
            raise ValueError("coroutine already executing")
        if self.done:
            raise RuntimeError("cannot reuse a worker that has ended")
        self.running = True
        self.whole = False
        self.until_ns = 0
        try:
            while True:
                try:
                    error, raising = raising, None
                    yielded = self.go_on(error)
                    if not self.done:
                        return yielded
                    break
                except Exception as raised:
                    problem = raised
                except BaseException as raised:
                    problem = raised
                error = None
                self.awaiting = None
                if not self.has_element or self.awaits == REST or not isinstance(problem, Exception):
                    self.fail(problem)
                    break
                self.do_rest(self.crew._recover(
                    self.value, index_at(&self.slot.place), self.slot.place.lane, problem, self.puts,
                    self.deadline, self,
                ))
                problem = None
        finally:
            self.running = False
        raise StopIteration

    cdef object go_on(self, object error):
        """`step`, where what is raised is raised."""
        cdef PyObject *sent = NULL
        if error is not None:
            throw = getattr(self.awaiting, "throw", None)
            if throw is None:
                raise error
            try:
                return throw(error)
            except StopIteration as stop:
                result = stop.value
            self.awaiting = None
            self.returned(result)
        while not self.done:
            if self.awaiting is not None:
                if PyIter_Send(<PyObject *>self.awaiting, <PyObject *>None, &sent) == PYGEN_NEXT:
                    if self.awaits == F or self.awaits == REST:
                        self.crew.hire_if_needed()
                    return steal(sent)
                self.awaiting = None
                self.returned(steal(sent))
            else:
                if self.whole and self.turn_is_over():
                    return None
                self.take()
        return None

    cdef bint turn_is_over(self):
        """Asked after each element of which all was done in one step."""
        cdef uint64_t now = pp_now_ns()
        if self.until_ns == 0:
            self.until_ns = now + self.crew.quantum_ns // max(self.crew.alive, 1)
            return False
        return now >= self.until_ns

    cdef int returned(self, object result) except -1:
        """What was awaited has returned."""
        cdef int awaited_for = self.awaits
        self.awaits = NONE
        if awaited_for == F:
            self.emit(result)
        elif awaited_for == ROOM:
            self.puts += 1
            self.put()
        elif awaited_for == INLET:
            if result is _CLOSED_ENTRY:
                self.leave()
            else:
                read_entry(result, &self.slot)
                self.begin()
        else:
            self.end()
        return 0

    cdef int take(self) except -1:
        cdef Crew crew = self.crew
        cdef int found = crew.inlet.pop(&self.slot)
        if found == NO_MORE:
            self.leave()
        elif found != NOTHING_YET:
            self.begin()
        elif not self.idle and not crew.limit and crew.idle >= crew.idle_kept:
            self.leave()
        else:
            if not self.idle:
                self.idle = True
                crew.idle += 1
            self.awaits = INLET
            self.awaiting = awaited(crew.inlet.take())
        return 0

    def let_go(self):
        """Its task is done. The deadline knows the task, which knows this."""
        self.deadline = None

    cdef int leave(self) except -1:
        if self.idle:
            self.idle = False
            self.crew.idle -= 1
        self.done = True
        return 0

    cdef int begin(self) except -1:
        """An entry has been taken."""
        cdef Crew crew = self.crew
        cdef object result
        if self.idle:
            self.idle = False
            crew.idle -= 1
        self.value = take_value(&self.slot)
        if self.slot.is_end:
            self.value = None
            return self.announce_end(self.slot.count)
        self.has_element = self.whole = True
        self.puts = 0
        crew.counters.taken += 1
        if crew.plain:
            result = PyObject_CallOneArg(crew.f, self.value)
        elif crew.wants_index:
            result = crew.f(self.value, element_index=index_at(&self.slot.place), **crew.kwargs)
        else:
            result = crew.f(self.value, **crew.kwargs)
        if self.timed and self.deadline is None:
            self.deadline = crew._deadline()
        if crew.emission == EACH_OF_RESULT:
            return self.do_rest(crew._expand_first(
                self.value, result, index_at(&self.slot.place), self.slot.place.lane, self.deadline, self
            ))
        if not _is_awaitable(result):
            return self.emit(result)
        if self.deadline is not None:
            result = crew._in_time(result, self.deadline)
        self.awaits = F
        self.awaiting = awaited(result)
        return 0

    cdef int emit(self, object result) except -1:
        """Put what the operator makes of an element and a result."""
        cdef Crew crew = self.crew
        if crew.emission == RESULT:
            self.output = result
        elif crew.emission == NOTHING:
            crew.counters.emitted += 1
            return self.announce_end(0)
        elif result:
            self.output = self.value
        else:
            crew.counters.filtered += 1
            return self.announce_end(0)
        return self.put()

    cdef int put(self) except -1:
        """Put the output where it is not yet."""
        cdef Crew crew = self.crew
        cdef LoopEnd outlet
        cdef uint64_t lane
        while self.puts < crew.n:
            outlet = <LoopEnd>crew.outlets[self.puts]
            lane = self.slot.place.lane + <uint64_t>crew.lanes[self.puts]
            if not outlet.push(self.output, &self.slot.place, lane):
                self.awaits = ROOM
                self.awaiting = crew._wait_to_put(outlet, (self.output, index_at(&self.slot.place), lane, -1))
                return 0
            self.puts += 1
        crew.counters.sent += 1
        crew.counters.emitted += 1
        self.end()
        return 0

    cdef int announce_end(self, uint64_t count) except -1:
        """Say that the element has no more than so many children; it has ended."""
        if not self.crew.sends_ends:
            return self.end()
        return self.do_rest(self.crew._send_end(index_at(&self.slot.place), self.slot.place.lane, count))

    cdef int do_rest(self, object coroutine) except -1:
        self.awaits = REST
        self.awaiting = coroutine
        return 0

    cdef int end(self) except -1:
        """The element has ended."""
        self.has_element = False
        self.value = self.output = None
        clear_place(&self.slot.place)
        return 0

    cdef int fail(self, object error) except -1:
        """This worker ends with an error."""
        self.done = True
        if not isinstance(error, RunAborted):
            self.crew._fail(error, index_at(&self.slot.place) if self.has_element else None)
        return self.end()
