"""How much shared memory a run may take, and each of its queues."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Final, NamedTuple

# Less than this no queue can do with: a chunk of its arena.
LEAST: Final = 1 << 20

# A queue that nobody has given more takes no more than this for what is on its way.
MOST_OF_ONE_QUEUE: Final = 1 << 30

# So many times as much again, for elements of which a few would fill that, as far as half of the memory goes.
_MORE_FOR_LARGE: Final = 4

_CGROUP_LIMITS: Final = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")

_of_context: ContextVar[int | None] = ContextVar("pypeln memory", default=None)


@contextmanager
def memory(nbytes: int) -> Iterator[None]:
    """Bound the shared memory of the runs that are made within a `with` block.

    It is divided among the queues of a run that touch a process. Of its share, one half is for elements on
    their way: when it is full, producers wait. As much again is there for when receivers keep what they have
    got; when that is too much as well, they get copies. Memory that nothing lies in is not taken.

    Left out, a run has the bytes that the environment variable PYPELN_MEMORY says, or half of the memory of
    the machine (of the container, where that has less), and each queue 1 GiB for elements on their way at
    most. Elements of more than a sixteenth of that then have room for four more of their size, as far as one
    half of the memory goes.

    Args:
        nbytes: For a whole run, in bytes; at least 2 MiB for each queue.

    Raises:
        TypeError: `nbytes` is not an integer.
        ValueError: It is less than one queue needs. A run raises it when it has more queues than that is
            enough for.

    Example:
        >>> import pypeln as pl
        >>> with pl.memory(256 << 20):
        ...     lengths = list(pl.pr.map(len, [b"ab", b"abc"]))
        >>> lengths
        [2, 3]
    """
    if isinstance(nbytes, bool) or not isinstance(nbytes, int):
        raise TypeError(f"memory: nbytes must be an integer, got {nbytes!r}")
    if nbytes < 2 * LEAST:
        raise ValueError(f"memory: nbytes must be at least {2 * LEAST} (2 MiB), got {nbytes}")
    token = _of_context.set(nbytes)
    try:
        yield
    finally:
        _of_context.reset(token)


def of_run() -> int | None:
    """The bytes that somebody has said a run may take; None when nobody has.

    Raises:
        ValueError: The environment variable is no number of bytes.
    """
    here = _of_context.get()
    return here if here is not None else _setting("PYPELN_MEMORY", 2 * LEAST, "a run between processes")


class Share(NamedTuple):
    """What one queue may take for elements on their way, in bytes."""

    nbytes: int
    for_large: int = 0  # behind that, for large elements alone


def of_each_queue(run: int | None, queues: int) -> Share:
    """The bytes of payload that may be on their way in each queue of a run.

    PYPELN_QUEUE_BYTES, or an equal share of what the run may take.

    Args:
        run: What `of_run` said.
        queues: How many there are.

    Raises:
        ValueError: The run has too many queues for its memory, or the environment variable is no number of
            bytes.
    """
    queue = _setting("PYPELN_QUEUE_BYTES", LEAST, "a queue between processes")
    if queue is not None:
        return Share(queue)
    if run is None:
        half = available() // 2 // max(1, queues)
        share = min(MOST_OF_ONE_QUEUE, max(64 * LEAST, half // 2))
        return Share(share, min(_MORE_FOR_LARGE * share, max(0, half - 2 * share)))
    share = run // (2 * max(1, queues))
    if share < LEAST:
        raise ValueError(
            f"the pipeline has {queues} queues between processes, which take at least {2 * LEAST} bytes "
            f"(2 MiB) each; it may take {run} bytes altogether"
        )
    return Share(share)


def available() -> int:
    """The memory of the machine, or of the container, in bytes."""
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") if hasattr(os, "sysconf") else 4 << 30
    for path in _CGROUP_LIMITS:
        try:
            with open(path) as file:
                text = file.read().strip()
        except OSError:
            continue
        if text.isdecimal():  # not "max"
            memory = min(memory, int(text))
    return memory


def _setting(name: str, least: int, whose: str) -> int | None:
    setting = os.environ.get(name)
    if setting is None:
        return None
    if not setting.isdecimal() or int(setting) < least:
        raise ValueError(
            f"{name} is {setting!r}; it is the byte budget of {whose}, a whole number of bytes and at least "
            f"{least} ({least >> 20} MiB)"
        )
    return int(setting)
