# cython: language_level=3
"""What iterating a pipeline returns: a generator, and a way around it.

Going through a generator for each element costs as much as the queue that the element comes from. So what is
there already is taken straight from the port, and the generator is resumed for all else: to wait, to end the
run, and for errors, which go through it to be told as errors of the run.
"""

cimport cython

from cython cimport critical_section
from cpython.exc cimport PyErr_CheckSignals

from pypeln._core.queue cimport CLOSED, EMPTY, END, InPort

cdef enum:
    # Slots between two looks at signals: `list(stage)` runs no bytecode that would look for Ctrl-C.
    LOOK_EVERY = 16


@cython.final
cdef class Bypass:
    """Where the generator says that elements may be taken around it: while it rests in `yield from port`."""

    def __init__(self):
        self.port = None

    def open(self, InPort port):
        self.port = port

    def shut(self):
        self.port = None


@cython.final
cdef class Results:
    """An iterator over the results of a run.

    Args:
        generator: Yields them, and ends the run when it is closed.
        bypass: Opened by that generator.
    """

    cdef object generator
    cdef Bypass bypass
    cdef unsigned int since

    def __init__(self, generator, Bypass bypass not None):
        self.generator = generator
        self.bypass = bypass

    def __iter__(self):
        return self

    def __next__(self):
        cdef InPort port = self.bypass.port
        cdef object value
        if port is None or port.foreign:
            return next(self.generator)
        with critical_section(self.bypass):  # threads that share an iterator, without the GIL
            if port.has_stock():
                return port.from_stock()
        self.since += 1
        try:
            if self.since % LOOK_EVERY == 0:
                PyErr_CheckSignals()
            with critical_section(self.bypass):
                value = port.fetch()
        except BaseException as error:
            return self.generator.throw(error)
        if value is EMPTY or value is CLOSED or value is END:
            return next(self.generator)
        return value

    def close(self):
        """End the run; when this returns, everything that it started is gone."""
        self.generator.close()
