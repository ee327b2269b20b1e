"""Bells: descriptors through which threads and processes wake an event loop."""

from __future__ import annotations

import os
import sys
from typing import Any

from pypeln._core.system import DescriptorPair
from pypeln.descriptors import handed, received
from pypeln.platforms import refuse_on_windows


class Bell(DescriptorPair):
    """Becomes readable when it rings, until it is read. One per side of a queue that has an event loop there.

    On Linux an eventfd, elsewhere a pipe: `listen_fd` is for the loop, `ring_fd` for those who ring. They are
    closed with this object and no earlier: a thread that could not be ended may ring until then.
    """

    def __init__(self) -> None:
        refuse_on_windows("waking an event loop")
        if sys.platform == "win32":
            raise AssertionError("refused before")
        if sys.platform == "linux" and hasattr(os, "eventfd"):
            self.listen_fd = self.ring_fd = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        else:
            self.listen_fd, self.ring_fd = os.pipe()
            os.set_blocking(self.listen_fd, False)
            os.set_blocking(self.ring_fd, False)

    def ring(self) -> None:
        """Wake the loop. A bell that nobody has heard yet stays rung."""
        if self.ring_fd < 0:
            return
        try:
            os.write(self.ring_fd, b"\1\0\0\0\0\0\0\0")
        except BlockingIOError:
            pass

    def __getstate__(self) -> tuple[Any, Any]:
        # Only ever pickled for a child that is being spawned.
        # A descriptor may be handed over only once: multiprocessing refuses to spawn with one it has twice.
        return handed(self.listen_fd), None if self.ring_fd == self.listen_fd else handed(self.ring_fd)

    def __setstate__(self, state: tuple[Any, Any]) -> None:
        self.listen_fd = self.ring_fd = received(state[0])
        if state[1] is not None:
            self.ring_fd = received(state[1])


def ring_all(*bells: Bell | None) -> None:
    """Ring those that there are."""
    for bell in bells:
        if bell is not None:
            bell.ring()


def close_all(*bells: Bell | None) -> None:
    """Free the descriptors of those that there are. Idempotent."""
    for bell in bells:
        if bell is not None:
            bell.close()


def ring_fd(bell: Bell | None) -> int:
    """What ports are told: the descriptor to ring, or -1."""
    return -1 if bell is None else bell.ring_fd


def listen_fd(bell: Bell | None) -> int:
    """What ports are told: the descriptor to listen to, or -1."""
    return -1 if bell is None else bell.listen_fd
