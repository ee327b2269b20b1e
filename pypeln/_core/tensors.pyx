# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False
"""The tensors of torch on their way: as the arrays that numpy sees in them, and tensors again where they
arrive.

Nothing here imports torch. A process that sends a tensor has it, and one that receives a tensor imports it as
unpickling any other class would.

Several tensors share one storage without a reference between them, so that counting references to Python
objects does not show who else may write to it: the storage counts for itself. And what a storage lies on
cannot be asked for: the views that were made for one are remembered by their addresses.
"""

from cpython.object cimport PyObject
from cpython.ref cimport Py_DECREF
from libc.stdint cimport uintptr_t

from pypeln._core.arena cimport Arenas, BlockView
from pypeln._core.c cimport PP_COPIED_TYPE, pp_arena_note
from pypeln._core.decoder cimport array_calls
from pypeln._core.pickling cimport Extent, extent_of
from pypeln._core.references cimport references_to

from importlib import import_module
from pickle import PickleBuffer

from pypeln._core.arrays import array_on, description as describe

# Where there is no data.
cdef char[1] NOTHING


def reduce_tensor(tensor):
    """How a tensor is pickled: described as an array, with a buffer, and what numpy cannot say."""
    cdef Extent extent
    if not _is_plain(tensor):
        return tensor.__reduce_ex__(5)
    torch = import_module("torch")
    alone = _has_its_storage_alone(torch, tensor)
    detached = tensor.detach()
    dtype = None
    try:
        array = detached.numpy()
    except TypeError:  # numpy has no such dtype
        dtype = str(tensor.dtype).removeprefix("torch.")
        width = {1: torch.int8, 2: torch.int16, 4: torch.int32, 8: torch.int64}.get(tensor.element_size())
        if width is None:
            return tensor.__reduce_ex__(5)
        array = detached.view(width).numpy()
    described, extent = _aside(array)
    if extent is None:
        return tensor.__reduce_ex__(5)
    if extent.owner is array:
        # Not compacted, so it is the tensor's memory. What the array was for, numpy does no longer need.
        extent.owner = tensor
        extent.storage = <char *><uintptr_t>tensor.untyped_storage().data_ptr() if alone else NULL
    return tensor_on, (described, PickleBuffer(extent), dtype)


cdef tuple _aside(object array):
    """Description and extent of an array, which is compacted when its data is to be copied anyway."""
    cdef char *low = NULL
    cdef size_t nbytes = 0
    cdef PyObject *compacted
    array_calls.extent(<PyObject *>array, &low, &nbytes)
    if nbytes == 0:
        low = NOTHING
    if array_calls.of_pickler == NULL or (<Arenas><object>array_calls.of_pickler).find(low) is None:
        compacted = array_calls.compact(<PyObject *>array)
        array = <object>compacted
        Py_DECREF(array)
        array_calls.extent(<PyObject *>array, &low, &nbytes)
    described = describe(array)
    return (None, None) if described is None else (described, extent_of(array, low, nbytes, False))


cdef bint _is_plain(object tensor) except -1:
    """Whether its numbers, dtype and strides are all there is to it."""
    return (
        tensor.device.type == "cpu"
        and tensor.layout is import_module("torch").strided
        and not (tensor.is_quantized or tensor.is_nested or tensor.requires_grad)
        and not (tensor.is_conj() or tensor.is_neg())
        and not tensor.__dict__
    )


cdef bint _has_its_storage_alone(object torch, object tensor) except -1:
    """Whether no other tensor, and nothing inside torch, has the storage of a tensor."""
    count = getattr(torch._C, "_storage_Use_Count", None)
    if count is None or not hasattr(tensor, "_use_count"):
        return False
    storage = tensor.untyped_storage()
    base = tensor._base
    # The storage object made here is one of those that are counted.
    expected = 2
    if base is not None:
        # Of what it is a view, only the tensor itself and the variable here may know.
        if base._use_count() != 2 or references_to(<PyObject *>base) != 1 or base._base is not None:
            return False
        expected = 3
    return tensor._use_count() == 1 and count(storage._cdata) == expected


def tensor_on(bytes description not None, buffer, dtype):
    """The tensor that was sent, on the buffer that has arrived."""
    cdef BlockView view = None
    torch = import_module("torch")
    array = array_on(description, buffer)
    if type(buffer) is BlockView:
        view = <BlockView>buffer
    if not array.flags.writeable:
        # Nothing keeps a tensor from being written to, and somebody else may look at this memory.
        array = array.copy(order="K")
        if view is not None:
            pp_arena_note(&view.arena.handle, PP_COPIED_TYPE, view.nbytes)
    elif view is not None:
        view.give_to_tensor()
    tensor = torch.from_numpy(array)
    return tensor if dtype is None else tensor.view(getattr(torch, dtype))
