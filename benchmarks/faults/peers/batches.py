"""Maps whose first error ends the job."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

from job import WORKERS, Job


@contextmanager
def mpire_pool(job: Job) -> Iterator[Iterator[Any]]:
    """`mpire.WorkerPool.imap_unordered`."""
    import mpire

    with mpire.WorkerPool(WORKERS) as pool:
        yield pool.imap_unordered(
            job.f, job.source(), chunk_size=1, worker_init=job.initializer, task_timeout=job.timeout_s
        )


@contextmanager
def joblib_parallel(job: Job) -> Iterator[Iterator[Any]]:
    """`joblib.Parallel` over its default backend, as a generator."""
    from joblib import Parallel, delayed

    parallel = Parallel(
        WORKERS,
        return_as="generator_unordered",
        batch_size=1,
        timeout=job.timeout_s,
        **({"initializer": job.initializer} if job.initializer else {}),
    )
    with closing(parallel(delayed(job.f)(element) for element in job.source())) as results:
        yield results
