# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False
# cython: auto_pickle=False
"""Plain classes: of their objects pickle writes the class, by its name, and the __dict__, and nothing else.
And named tuples, of which it writes the class and the items.

The codec does that itself, which takes a tenth of the time. Whatever a class says about copying, creating or
looking up, and be it in a base, leaves its objects to pickle: nothing is special but what everybody has.
"""
from abc import ABCMeta
from collections import namedtuple
import copyreg
from importlib import import_module
from sys import modules
from types import FunctionType, GetSetDescriptorType, ModuleType


class _Plain:
    pass


# By what a class, or a base of it, has a say in how its objects are pickled, made or seen.
cdef tuple SPECIAL = (
    "__reduce__", "__reduce_ex__", "__getstate__", "__setstate__", "__getnewargs__", "__getnewargs_ex__",
    "__new__", "__getattr__", "__getattribute__", "__class__",
)


# For a named tuple, which has a __new__ and a __getnewargs__ anyway.
cdef frozenset PICKLED_OTHERWISE = frozenset(SPECIAL) - {"__new__", "__getnewargs__"}


cdef bint is_plain(object cls) except -1:
    if type(cls) is not type and type(cls) is not ABCMeta:
        return False
    # No state that is not in the __dict__: neither slots nor what a base in C has.
    if (cls.__basicsize__, cls.__itemsize__, cls.__dictoffset__) != (
        _Plain.__basicsize__, 0, _Plain.__dictoffset__
    ):
        return False
    if cls in copyreg.dispatch_table:
        return False
    for base in cls.__mro__[:-1]:
        own = vars(base)
        for name in SPECIAL:
            if name in own:
                return False
        if own.get("__slots__") or type(own.get("__dict__")) not in (type(None), GetSetDescriptorType):
            return False
    return True


cdef object _GENERATED = namedtuple("_Named", "x").__getnewargs__.__code__


cdef bint is_named(object cls) except -1:
    """Whether it is a named tuple that makes and pickles itself as all of them do."""
    if type(cls) is not type or cls.__bases__ != (tuple,) or cls in copyreg.dispatch_table:
        return False
    own = vars(cls)
    if type(own.get("_fields")) is not tuple or own.keys() & PICKLED_OTHERWISE:
        return False
    new, arguments = own.get("__new__"), own.get("__getnewargs__")
    if type(new) is not staticmethod or type(arguments) is not FunctionType:
        return False
    new = new.__func__
    if type(new) is not FunctionType or new.__globals__.get("__name__") != f"namedtuple_{cls.__name__}":
        return False
    return arguments.__code__ is _GENERATED


# Runs none of the program's code, because the encoder has begun to write.
cdef str name_of(object cls):
    if not (is_named(cls) if issubclass(cls, tuple) else is_plain(cls)):
        return None
    module, qualname = cls.__module__, cls.__qualname__
    if type(module) is not str or type(qualname) is not str:
        return None
    found = modules.get(module)
    for part in qualname.split("."):
        found = vars(found).get(part) if isinstance(found, (ModuleType, type)) else None
    return f"{module}:{qualname}" if found is cls else None


cdef object class_of(str name):
    module, separator, qualname = name.partition(":")
    if not separator or not all(part.isidentifier() for part in f"{module}.{qualname}".split(".")):
        raise LookupError(f"{name!r} names no class")
    found = modules[module] if module in modules else import_module(module)
    for part in qualname.split("."):
        found = getattr(found, part)
    if not isinstance(found, type) or not (is_named(found) or is_plain(found)):
        raise LookupError(f"{name!r} is no plain class")
    return found
