"""Descriptors that reach a process in a pickle, as `multiprocessing.reduction.DupFd`."""

from __future__ import annotations

import os
from typing import Any


def received(handle: Any) -> int:
    """The descriptor of a DupFd, which no program that this process starts inherits.

    multiprocessing makes it inheritable, so that the child gets it, and leaves it so.
    """
    fd: int = handle.detach()
    os.set_inheritable(fd, False)
    return fd
