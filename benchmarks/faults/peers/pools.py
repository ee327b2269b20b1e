"""Pools with the interface of `multiprocessing.Pool`."""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from job import WORKERS, Failed, Job

# More than any fault has elements: an iterator that raises the same error for ever must not go on for ever.
MOST_ERRORS = 1000


@contextmanager
def multiprocessing_pool(job: Job) -> Iterator[Iterator[Any]]:
    """`multiprocessing.Pool`."""
    with multiprocessing.Pool(WORKERS, initializer=job.initializer) as pool:
        yield _each(pool.imap_unordered(job.f, job.source()))
    pool.join()


@contextmanager
def billiard_pool(job: Job) -> Iterator[Iterator[Any]]:
    """`billiard.Pool`, Celery's: `apply_async`, since its iterators know no time-outs and lose workers."""
    import billiard

    with billiard.Pool(WORKERS, initializer=job.initializer) as pool:
        yield _applied(pool, job)
    pool.join()


def _applied(pool: Any, job: Job) -> Iterator[Any]:
    applied = [pool.apply_async(job.f, (element,), timeout=job.timeout_s) for element in job.source()]
    for result in applied:
        try:
            value = result.get()
        except Exception as error:
            value = Failed(error)
        yield value


def _each(results: Iterator[Any]) -> Iterator[Any]:
    errors = 0
    while errors < MOST_ERRORS:
        try:
            yield next(results)
        except StopIteration:
            return
        except Exception as error:
            # The iterator can be read on after an element that failed.
            errors += 1
            yield Failed(error)
