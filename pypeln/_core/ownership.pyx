# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False, cdivision=True
"""Which of the objects in an element nobody else has: found as the garbage collector finds garbage, by
counting.

An element leaves its process with all that hangs on it. Who else may still write to a buffer in it shows in
the reference counts: an object with more references than were met on a walk through the element (and than its
sender will drop) is somebody else's as well, and so is everything below it. References that the walk does not
meet, of objects that do not show them to the garbage collector, count as somebody else's: a buffer may then
be copied that need not be, never the other way round.

Where other threads may run while this walks (free-threaded Python, with more than one), nothing is owned.
"""

from cpython.object cimport PyObject
from libc.stdint cimport uint64_t, uintptr_t
from libc.stdlib cimport calloc, free, realloc

from pypeln._core.decoder cimport array_calls, array_type
from pypeln._core.references cimport is_alone

from types import CodeType, FrameType, FunctionType, ModuleType

cdef extern from "Python.h":
    ctypedef int (*visitproc)(PyObject *what, void *arg) noexcept
    ctypedef int (*traverseproc)(PyObject *what, visitproc visit, void *arg) noexcept
    ctypedef struct PyTypeObject:
        traverseproc tp_traverse
    PyTypeObject *Py_TYPE(PyObject *what)
    Py_ssize_t Py_REFCNT(PyObject *what)
    bint PyObject_IS_GC(PyObject *what)
    bint PyType_Check(PyObject *what)
    bint PyObject_TypeCheck(PyObject *what, PyTypeObject *kind)

cdef enum:
    FIRST_SIZE = 64
    # An element with more parts than this is cheaper to copy than to walk through.
    MOST = 4096

# What is reached through these is the program, not the element.
cdef PyTypeObject *MODULE = <PyTypeObject *><PyObject *>ModuleType
cdef PyTypeObject *FUNCTION = <PyTypeObject *><PyObject *>FunctionType
cdef PyTypeObject *FRAME = <PyTypeObject *><PyObject *>FrameType
cdef PyTypeObject *CODE = <PyTypeObject *><PyObject *>CodeType


cdef int _visit(PyObject *what, void *reach) noexcept:
    (<Reach>reach)._meet(what)
    return 0


cdef bint is_array(PyObject *what) noexcept:
    cdef PyTypeObject *kind = <PyTypeObject *>array_type()
    return kind != NULL and PyObject_TypeCheck(what, kind)


cdef class Reach:
    def __dealloc__(self):
        free(self.table)
        free(self.todo)

    cdef int explore(self, PyObject *root, Py_ssize_t known, PyObject *also) except -1:
        cdef Met *met
        cdef uint64_t i
        free(self.table)
        self.count = self.ntodo = 0
        self.lost = not is_alone()
        self.holding = False
        self.size = FIRST_SIZE
        self.table = <Met *>calloc(self.size, sizeof(Met))
        if self.table == NULL:
            self.lost = True
        if self.lost:
            return 0
        for _i in range(known):
            self._meet(root)
        if also != NULL:
            for _i in range(Py_REFCNT(also)):
                self._meet(also)
        self._walk()
        self.holding = True
        for i in range(self.size if not self.lost else 0):
            met = &self.table[i]
            if met.what != NULL and not met.held and Py_REFCNT(met.what) != met.found:
                met.held = True
                self._push(met.what)
        self._walk()
        return 0

    cdef bint owns(self, PyObject *what) noexcept:
        cdef Met *met
        if self.lost:
            return False
        met = self._find(what)
        return met.what != NULL and not met.held

    cdef Met *_find(self, PyObject *what) noexcept:
        cdef uint64_t at = (<uint64_t><uintptr_t>what >> 4) * <uint64_t>0x9E3779B97F4A7C15ULL >> 20
        at &= self.size - 1
        while self.table[at].what != NULL and self.table[at].what != what:
            at = (at + 1) & (self.size - 1)
        return &self.table[at]

    cdef void _meet(self, PyObject *what) noexcept:
        cdef Met *met
        if self.lost:
            return
        met = self._find(what)
        if self.holding:
            # Of the program, nothing is in the table.
            if met.what != NULL and not met.held:
                met.held = True
                self._push(what)
            return
        if met.what == NULL:
            if self.count == MOST:
                self.lost = True
                return
            met.what = what
            met.found = 1
            met.held = False
            self.count += 1
            self._push(what)
            if 2 * self.count > self.size:
                self._grow()
        else:
            met.found += 1

    cdef void _walk(self) noexcept:
        cdef PyObject *what
        cdef PyObject *under
        cdef PyTypeObject *kind
        while self.ntodo and not self.lost:
            self.ntodo -= 1
            what = self.todo[self.ntodo]
            kind = Py_TYPE(what)
            if PyObject_IS_GC(what):
                kind.tp_traverse(what, _visit, <void *>self)
            if is_array(what):
                under = array_calls.base(what)
                if under != NULL:
                    self._meet(under)

    cdef void _push(self, PyObject *what) noexcept:
        cdef PyTypeObject *kind = Py_TYPE(what)
        cdef void *todo
        if PyType_Check(what) or kind == MODULE or kind == FUNCTION or kind == FRAME or kind == CODE:
            return
        if self.ntodo == self.todo_size:
            todo = realloc(self.todo, (2 * self.todo_size + 64) * sizeof(PyObject *))
            if todo == NULL:
                self.lost = True
                return
            self.todo = <PyObject **>todo
            self.todo_size = 2 * self.todo_size + 64
        self.todo[self.ntodo] = what
        self.ntodo += 1

    cdef void _grow(self) noexcept:
        cdef Met *old = self.table
        cdef uint64_t i, old_size = self.size
        self.size = 4 * old_size
        self.table = <Met *>calloc(self.size, sizeof(Met))
        if self.table == NULL:
            self.table = old
            self.size = old_size
            self.lost = True
            return
        for i in range(old_size):
            if old[i].what != NULL:
                self._find(old[i].what)[0] = old[i]
        free(old)


def owned(list cell not None, candidates):
    """Which of some objects nobody has but the value in a list of one; for tests.

    Args:
        cell: The value, which the caller must not have elsewhere; it is taken out.
        candidates: A function of the value that returns the objects.
    """
    cdef Reach reach = Reach()
    cdef object value = cell.pop()
    addresses = [id(each) for each in candidates(value)]
    reach.explore(<PyObject *>value, 1, NULL)
    return [reach.owns(<PyObject *><uintptr_t>address) for address in addresses]
