"""The contenders: each applies a function to a stream with two workers, as its documentation shows."""

from __future__ import annotations

import inspect
from importlib import metadata, util

from peers import batches, executors, pipelines, pools
from peers.contender import Contender

CONTENDERS = (
    Contender("Pool", pools.multiprocessing_pool),
    Contender("ProcessPoolExecutor", executors.process_pool_executor),
    Contender("loky", executors.loky_executor, package="loky"),
    Contender("joblib", batches.joblib_parallel, package="joblib", times_out=True),
    Contender("mpire", batches.mpire_pool, package="mpire", times_out=True),
    Contender("pebble", executors.pebble_pool, package="pebble", times_out=True),
    Contender("billiard", pools.billiard_pool, package="billiard", times_out=True),
    Contender("pypeln 0.4.9", pipelines.process_map, package="pypeln", times_out=True, version="0.4.9"),
    Contender("pypeln", pipelines.process_map, package="pypeln", times_out=True),
    Contender(
        "pypeln restart", pipelines.restarting_process_map, package="pypeln", times_out=True, restarts=True
    ),
    Contender("ThreadPoolExecutor", executors.thread_pool_executor, kind="threads"),
    Contender("pypeln 0.4.9 thread", pipelines.thread_map, "threads", "pypeln", True, version="0.4.9"),
    Contender("pypeln thread", pipelines.thread_map, "threads", "pypeln", True),
)

# What is asked of `version`: the column of a released version is run by an interpreter of its own.
OLD_VERSION = "0.4.9"


def contender_named(name: str) -> Contender:
    return next(contender for contender in CONTENDERS if contender.name == name)


def versions() -> dict[str, str]:
    """The version of each contender's package that this interpreter has, by name of the contender."""
    found: dict[str, str] = {}
    for contender in CONTENDERS:
        if contender.package is None:
            continue
        try:
            version = metadata.version(contender.package)
        except metadata.PackageNotFoundError:
            continue
        if (version == OLD_VERSION) != (contender.version == OLD_VERSION) and contender.package == "pypeln":
            continue
        if contender.restarts and not _restarts():
            continue
        found[contender.name] = version
    return found


def _restarts() -> bool:
    if util.find_spec("pypeln") is None:
        return False
    from pypeln import process

    return "on_worker_death" in inspect.signature(process.map).parameters
