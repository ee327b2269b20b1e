# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False
# cython: auto_pickle=False
"""Pickling what is not written natively: protocol 5, with large buffers beside the stream.

What pickle itself would copy, or cannot do, has a reducer here: arrays that are not contiguous, memoryviews,
and the tensors of torch where a program uses it. They are in the table of this pickler only, and a type that
a program has registered with copyreg keeps its own.
"""

cimport cython
from cpython.buffer cimport PyBuffer_FillInfo
from cpython.memoryview cimport PyMemoryView_GET_BUFFER

import copyreg
from pickle import PickleBuffer, Pickler
from sys import modules

cdef enum:
    # Copying 2 KiB twice costs less than the book-keeping of a buffer of its own.
    ASIDE_MIN = 2048


cdef class Extent:
    def __getbuffer__(self, Py_buffer *buffer, int flags):
        PyBuffer_FillInfo(buffer, self, self.low, self.nbytes, self.read_only, flags)


cdef extent_of(object owner, char *low, Py_ssize_t nbytes, bint read_only):
    cdef Extent extent = Extent.__new__(Extent)
    extent.owner = owner
    extent.low = low
    extent.nbytes = nbytes
    extent.read_only = read_only
    return extent


def memoryview_on(buffer, format, shape):
    """The memoryview that was sent."""
    view = memoryview(buffer)
    return view if (format, shape) == ("B", (view.nbytes,)) else view.cast("B").cast(format, shape)


def _reduce_memoryview(view):
    if not view.c_contiguous:
        raise TypeError("cannot pickle a memoryview that is not contiguous; send bytes(view)")
    return memoryview_on, (PickleBuffer(view), view.format.lstrip("@"), view.shape)


@cython.final
cdef class Pickling:
    def __init__(self):
        self.chunks = []

    def write(self, chunk):
        self.chunks.append(bytes(chunk) if type(chunk) is not bytes else chunk)

    def __call__(self, buffer):
        """The buffer_callback: keeps the large ones, leaves the small ones in band."""
        view = buffer.raw()
        if PyMemoryView_GET_BUFFER(view).len < ASIDE_MIN:
            return True
        if self.views is None:
            self.views = []
        self.views.append(view)
        return False

    cdef object dumps(self, object value):
        """The stream; `views` are its large buffers, until the caller takes them."""
        self._prepare()
        self.busy = True
        try:
            self.pickler.dump(value)
            return self.chunks[0] if len(self.chunks) == 1 else b"".join(self.chunks)
        finally:
            self.busy = False
            self.chunks.clear()
            self.pickler.clear_memo()

    cdef int _prepare(self) except -1:
        self.views = None
        if self.pickler is None:
            self.pickler = Pickler(self, 5, buffer_callback=self)
        reducers = reducers_now()
        if self.table is not reducers:
            self.table = self.pickler.dispatch_table = reducers


cdef dict _reducers = {}
cdef tuple _made_from = ()


cdef dict reducers_now():
    """copyreg's table, and what this module adds to it."""
    global _reducers, _made_from
    cdef bint arrays = "pypeln._core.arrays" in modules
    cdef bint tensors = "torch" in modules
    table = copyreg.dispatch_table
    # Programs register at import, so that the number of entries tells.
    if _made_from == (len(table), arrays, tensors):
        return _reducers
    made = {memoryview: _reduce_memoryview}
    if arrays:
        from pypeln._core.arrays import reduce_array

        made[modules["numpy"].ndarray] = reduce_array
    if tensors:
        if not hasattr(modules["torch"], "Tensor"):
            tensors = False  # it is being imported at this moment
        else:
            from pypeln._core.tensors import reduce_tensor

            made[modules["torch"].Tensor] = reduce_tensor
    made.update(table)
    _reducers = made
    _made_from = (len(table), arrays, tensors)
    return made
