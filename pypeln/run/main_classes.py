"""Classes of a main module that worker processes cannot import: of a notebook, of stdin, of `python -c`.

Their instances are pickled with a reference to `__main__`. So a process that is not forked is given the
classes themselves, by value, and finds them there when it needs one.
"""

from __future__ import annotations

import sys
from typing import Any

# A class is pickled together with the globals that its methods use. One that would bring data along is left
# out, because it may not even be needed: it costs every worker its time and memory.
LARGEST_CLASS_NBYTES = 1 << 20

# What this process was given: pickled classes by name, None for one that was left out.
_given: dict[str, bytes | None] = {}


class _TooLarge(Exception):
    pass


class _Limited:
    """A file in memory that refuses to grow."""

    def __init__(self) -> None:
        self.parts: list[bytes] = []
        self._nbytes = 0

    def write(self, data: Any) -> None:
        part = bytes(data)
        self._nbytes += len(part)
        if self._nbytes > LARGEST_CLASS_NBYTES:
            raise _TooLarge
        self.parts.append(part)


def pickled_classes() -> dict[str, bytes | None]:
    """The classes of this program's main module by name; None for one that cannot go along."""
    names = list(vars(sys.modules["__main__"]).items())
    own = {name: cls for name, cls in names if isinstance(cls, type) and cls.__module__ == "__main__"}
    return _given | {name: _pickled(cls) for name, cls in own.items()}


def _pickled(cls: type) -> bytes | None:
    from pypeln import by_value

    file = _Limited()
    try:
        by_value.dump(cls, file)
    except Exception:  # of whatever its methods refer to
        return None
    return b"".join(file.parts)


def define_classes(classes: dict[str, bytes | None]) -> None:
    """In a worker process: have `__main__` know these."""
    if not classes:
        return
    _given.update(classes)
    vars(sys.modules["__main__"])["__getattr__"] = _found


def _found(name: str) -> Any:
    """What `__main__` has under this name, when somebody asks for the first time."""
    import pickle

    if name not in _given:
        raise AttributeError(f"module '__main__' has no attribute {name!r}")
    data = _given[name]
    if data is None:
        # No AttributeError: unpickling would replace it with one that says less.
        raise pickle.UnpicklingError(
            f"worker processes do not have the class {name} of the program: with the globals that its "
            f"methods use it takes more than {LARGEST_CLASS_NBYTES >> 20} MiB or cannot be pickled. Define "
            "it in a module, and import it from there"
        )
    cls = pickle.loads(data)
    setattr(sys.modules["__main__"], name, cls)
    return cls
