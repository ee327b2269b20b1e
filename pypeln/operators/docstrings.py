"""The parts that the docstrings of several calls share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

F = TypeVar("F", bound=Callable[..., Any])

_PARTS = {
    "{options}": """\
stage: A stage of any kind of worker, or an iterable (`io`: an async iterable as well). Left out, the call
                returns a partial for `|`.
            workers: How many workers call `f` at the same time. `io`: 0 for as many as there are elements.
                `sync`: always one, the consumer itself.
            maxsize: How many elements may wait in front of this stage; 0 for up to 8192, as is fast.
            timeout: Seconds that `f` may take for one element before it is dropped, or what `on_error` says
                happens to it; 0 for any.
            on_start: Called by each worker before its first element; may ask for `worker_info`. The dict it
                returns holds what `f` and `on_done` can ask for by name. `io`: may be async.
            on_done: Called by each worker after its last element; may ask for `worker_info`, `stage_status`
                (`.done`, `.active_workers`) and what `on_start` returned. `io`: may be async.
            on_error: What becomes of an element for which `f` raises an Exception or takes too long. "raise":
                the run ends with the error (TimeoutError). "skip": the element is dropped. "collect": a
                `Failure` with its item, error and traceback goes on in its place. A function of error and
                element: what it returns takes the place of what `f` would have returned; it may raise.
                None: errors are raised, and elements that take too long are dropped.
            retries: How often an element is tried again before that. None: not at all, but 3 times when its
                worker dies and `on_worker_death` is "restart".
            backoff: Seconds before the first retry; doubled before each further one, 60 at most. The worker
                waits for that long.
            on_worker_death: `pr`: "raise" ends the run with `WorkerDied` when a worker process is killed or
                leaves; "restart" puts another in its place, which executes the element again. What the dead
                one has sent is not sent twice. Other workers cannot die alone.""",
    "{injection}": """\
It gets the element, and by the names of its parameters what it asks for:
                `worker_info` (`.index`), `element_index` (a tuple), and what the dict of `on_start`
                holds.""",
    "{raises}": """\
TypeError: An argument has the wrong type.
            ValueError: An argument is out of range.""",
}


def with_shared_parts(call: F) -> F:
    """Fills the shared parts into the docstring of a public call."""
    if call.__doc__:  # absent under -OO
        for mark, text in _PARTS.items():
            call.__doc__ = call.__doc__.replace(mark, text)
    return call
