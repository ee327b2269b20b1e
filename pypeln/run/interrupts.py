"""Ctrl-C where an exception in the middle would tear something: while processes start or a run is joined."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator


@contextlib.contextmanager
def interrupts_held(then: Callable[[], None] | None = None) -> Iterator[None]:
    """Delay Ctrl-C until the end of the `with` block, where the handler that was there gets it.

    `os.fork` drops the exceptions of a signal handler that runs inside its callbacks, and with them the
    release of the lock of `logging`; a forked child that has not come to ignore Ctrl-C yet would print a
    traceback: it inherits this handler. Only the main thread runs signal handlers, so that in others there is
    nothing to do.

    Args:
        then: Called at the first Ctrl-C, in a thread of its own, to end what the block waits for.
    """
    handler = signal.getsignal(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread() or not callable(handler):
        yield
        return
    held: list[threading.Thread | None] = []

    def hold(number: int, frame: object) -> None:
        if not held and then is not None:
            thread = threading.Thread(target=then, name="pypeln interrupt")
            held.append(thread)
            thread.start()
        else:
            held.append(None)

    signal.signal(signal.SIGINT, hold)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, handler)
        for thread in held:
            if thread is not None:
                thread.join()
        if held:
            signal.raise_signal(signal.SIGINT)
