"""What benchmarks/where.py makes of the functions that a sample was taken in."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "benchmarks"))

import where

CORE = "__pyx_f_6pypeln_5_core_"
WORKER = [f"{CORE}6worker_6Worker_loop", f"{CORE}6worker_6Worker_run", "_PyObject_VectorcallTstate"]


@pytest.mark.parametrize(
    ("frames", "step"),
    [
        (["_PyEval_EvalFrameDefault", "_PyEval_Vector", "PyObject_CallOneArg", *WORKER], "call of f"),
        (WORKER, "worker's loop"),
        (["PyLong_FromLong", f"{CORE}7scalars_decode", *WORKER], "decode"),
        ([f"{CORE}7scalars_encode_scalar", f"{CORE}6shared_9SharedOut_give", *WORKER], "encode"),
        (["__memcpy_avx", "pp_push_small", f"{CORE}6shared_9SharedOut_give", *WORKER], "publish"),
        (["pp_pop_lease", f"{CORE}6shared_8SharedIn_fetch", *WORKER], "claim"),
        (["do_futex", "pp_os_wait", "wait_for", "pp_wait_pop"], "wait and wake"),
        (["rangeiter_next", "__Pyx_PyIter_Next2", f"{CORE}5queue_7OutPort_pour"], "source"),
        ([f"{CORE}7results_7Results___next__", "_PyEval_EvalFrameDefault"], "deliver"),
        (["_PyEval_EvalFrameDefault", "PyEval_EvalCode", "main"], None),
    ],
)
def test_the_innermost_function_of_pypeln_says_the_step(frames: list[str], step: str | None) -> None:
    assert where.step_of([where.plain(frame) for frame in frames]) == step


@pytest.mark.parametrize("payload", where.PAYLOADS)
def test_the_pipeline_that_is_looked_at_runs(payload: str) -> None:
    where.pipeline("th", payload, 2000)
