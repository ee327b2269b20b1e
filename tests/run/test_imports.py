"""What a pipeline imports: each module that it can do without is time before the first element."""

from __future__ import annotations

import subprocess
import sys

import pytest

PROGRAM = """
import sys
import pypeln as pl

def negative(x):
    return -x

if {kind} is not None:
    if {kind} is pl.pr:
        import multiprocessing
        multiprocessing.set_start_method("fork")
    assert sorted({kind}.map(negative, [1, 2], workers=2)) == [-2, -1]
unneeded = {{"numpy", "cloudpickle", "dataclasses", "inspect", "traceback", "datetime", "asyncio"}}
print(*sorted(unneeded & sys.modules.keys()))
"""


@pytest.mark.parametrize("kind", [None, "pl.th", "pl.pr", "pl.sync"])
def test_a_pipeline_imports_nothing_that_takes_long(kind: str | None, tmp_path: object) -> None:
    program = PROGRAM.format(kind=kind)
    bare = subprocess.run(
        [sys.executable, "-c", "import sys, multiprocessing.popen_fork; print(*sys.modules)"],
        capture_output=True,
        text=True,
        check=True,
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=str(tmp_path)
    )
    # What multiprocessing imports by itself, on some Python, is not ours to leave out.
    assert not set(done.stdout.split()) - set(bare.stdout.split())
