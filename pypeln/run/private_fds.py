"""Descriptors that no forked copy of this process may keep: the parent's ends of pipes to its workers.

A worker notices the end of its parent when the last copy of such an end is closed. Every fork inherits one:
workers of this run and of others that run meanwhile, children that the program forks for itself. Any of them
would hide the death of the parent from workers that it knows nothing of, and two runs could keep each other's
workers for ever.

Failure modes: a fork between `discard` and `close` inherits the descriptor for good. It is closed only when
its worker has ended, so nobody listens at its other end.
"""

from __future__ import annotations

import os

_private: set[int] = set()


def own_privately(fd: int) -> int:
    """Have every process that is forked from now on close this descriptor. Returns it."""
    _private.add(fd)
    return fd


def close_private(fd: int) -> None:
    """Close such a descriptor here."""
    _private.discard(fd)
    os.close(fd)


def _close_all() -> None:
    for fd in _private:
        os.close(fd)
    _private.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_close_all)
