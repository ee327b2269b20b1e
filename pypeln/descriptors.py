"""Descriptors that reach a process in a pickle, and files that have no name."""

from __future__ import annotations

import os
import sys
from typing import Any


def anonymous_file(name: str) -> int:
    """A descriptor of a new file that is gone with its last descriptor.

    Args:
        name: What the system may show of it.

    Raises:
        OSError: There is no descriptor left, or no room.
    """
    if sys.platform == "linux" and hasattr(os, "memfd_create"):
        return os.memfd_create(name, os.MFD_CLOEXEC)
    import tempfile

    with tempfile.TemporaryFile() as file:
        return os.dup(file.fileno())


def handed(fd: int) -> Any:
    """A descriptor as it goes into the pickle for a child that is being spawned.

    For each child only once: multiprocessing refuses to spawn with one that it has twice.
    """
    if sys.platform == "win32":
        raise AssertionError("refused before")
    else:
        from multiprocessing.reduction import DupFd

        return DupFd(fd)


def received(handle: Any) -> int:
    """What `handed` has sent, which no program that this process starts inherits.

    multiprocessing makes it inheritable, so that the child gets it, and leaves it so.
    """
    fd: int = handle.detach()
    os.set_inheritable(fd, False)
    return fd
