"""pypeln: the same user's code for this version and for 0.4.9."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

from job import WORKERS, Failed, Job


@contextmanager
def process_map(job: Job, **policies: Any) -> Iterator[Iterator[Any]]:
    """`pypeln.process.map`."""
    from pypeln import process

    yield from _map(process, job, policies)


@contextmanager
def thread_map(job: Job) -> Iterator[Iterator[Any]]:
    """`pypeln.thread.map`."""
    from pypeln import thread

    yield from _map(thread, job, {})


@contextmanager
def restarting_process_map(job: Job) -> Iterator[Iterator[Any]]:
    """`pypeln.process.map` that restarts workers and emits what failed in the place of its result."""
    import pypeln

    with process_map(job, on_worker_death="restart", on_error="collect") as results:
        yield (Failed(result.error) if isinstance(result, pypeln.Failure) else result for result in results)


def _map(front_end: Any, job: Job, policies: dict[str, Any]) -> Iterator[Iterator[Any]]:
    stage = front_end.map(
        job.f,
        job.source(),
        workers=WORKERS,
        timeout=job.timeout_s or 0,
        on_start=job.initializer,
        **policies,
    )
    with closing(iter(stage)) as results:
        yield results
