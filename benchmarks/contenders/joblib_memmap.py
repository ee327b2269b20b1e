"""joblib, whose large arguments reach the workers as memory-mapped files and whose results are pickled."""

from __future__ import annotations

import importlib
from collections.abc import Iterable
from contextlib import contextmanager
from typing import Any

from contenders.process_stages import Results, Stages

# joblib runs a single job in the caller's process, so the least that shows its memory maps is two.
JOBS = 2

# Smaller arrays are pickled. The default, 1 MiB, would leave most cases without a memory map.
LEAST_MAPPED_NBYTES = 10_000


@contextmanager
def joblib_stage(stages: Stages, source: Iterable[Any], workers: int) -> Results:
    """Yield the results of a single stage, as they come, from two processes instead of one."""
    if workers != 1 or len(stages) != 1:
        raise ValueError(f"joblib_stage is one stage of one worker, not {len(stages)} of {workers}")
    joblib = importlib.import_module("joblib")
    loky = importlib.import_module("joblib.externals.loky")
    parallel = joblib.Parallel(
        n_jobs=JOBS, backend="loky", return_as="generator_unordered", max_nbytes=LEAST_MAPPED_NBYTES
    )
    call = joblib.delayed(stages[0])
    try:
        yield parallel(call(element) for element in source)
    finally:
        loky.get_reusable_executor().shutdown()
