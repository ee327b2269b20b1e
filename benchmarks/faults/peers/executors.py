"""Executors and their futures: every element is submitted, results are taken as they are completed."""

from __future__ import annotations

import concurrent.futures
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future, as_completed
from contextlib import contextmanager
from typing import Any

from job import WORKERS, Failed, Job


@contextmanager
def process_pool_executor(job: Job) -> Iterator[Iterator[Any]]:
    """`concurrent.futures.ProcessPoolExecutor`."""
    with _shut_down(concurrent.futures.ProcessPoolExecutor(WORKERS, initializer=job.initializer)) as executor:
        yield _completed(job, lambda element: executor.submit(job.f, element))


@contextmanager
def thread_pool_executor(job: Job) -> Iterator[Iterator[Any]]:
    """`concurrent.futures.ThreadPoolExecutor`."""
    with _shut_down(concurrent.futures.ThreadPoolExecutor(WORKERS, initializer=job.initializer)) as executor:
        yield _completed(job, lambda element: executor.submit(job.f, element))


@contextmanager
def loky_executor(job: Job) -> Iterator[Iterator[Any]]:
    """`loky.ProcessPoolExecutor`."""
    import loky

    executor = loky.ProcessPoolExecutor(WORKERS, initializer=job.initializer)
    try:
        yield _completed(job, lambda element: executor.submit(job.f, element))
    finally:
        executor.shutdown(wait=True, kill_workers=True)


@contextmanager
def pebble_pool(job: Job) -> Iterator[Iterator[Any]]:
    """`pebble.ProcessPool`, whose futures can be cancelled and have time-outs."""
    import pebble

    pool = pebble.ProcessPool(WORKERS, initializer=job.initializer)
    try:
        yield _completed(job, lambda element: pool.schedule(job.f, args=[element], timeout=job.timeout_s))
    finally:
        pool.stop()
        pool.join()


@contextmanager
def _shut_down(executor: Executor) -> Iterator[Executor]:
    try:
        yield executor
    finally:
        executor.shutdown(wait=True, cancel_futures=True)


def _completed(job: Job, submit: Callable[[Any], Future[Any]]) -> Iterator[Any]:
    futures = []
    problem = None
    try:
        for element in job.source():
            futures.append(submit(element))
    except Exception as error:
        # What was submitted before can still be had.
        problem = error
    for future in as_completed(futures):
        try:
            result = future.result()
        except Exception as error:
            result = Failed(error)
        yield result
    if problem is not None:
        raise problem
