"""What fault tests share: the start methods of processes, and a census of what is there before and after."""

from __future__ import annotations

import multiprocessing
import sys
from collections.abc import Iterator

import pytest
from process_table import ignore_present_processes

if sys.platform != "linux":
    collect_ignore_glob = ["test_*"]  # the witness of what is left behind is /proc


@pytest.fixture(autouse=True)
def only_this_test() -> None:
    """What `children` sees is of this test."""
    ignore_present_processes()


@pytest.fixture(params=["fork", "forkserver", "spawn"])
def start_method(request: pytest.FixtureRequest) -> Iterator[str]:
    """Every way to start a worker process, set as a program sets it."""
    multiprocessing.set_start_method(request.param, force=True)
    yield request.param
    multiprocessing.set_start_method(None, force=True)


@pytest.fixture
def fork() -> Iterator[None]:
    """Workers are forked: the fastest start, for what does not depend on how they start."""
    multiprocessing.set_start_method("fork", force=True)
    yield
    multiprocessing.set_start_method(None, force=True)
