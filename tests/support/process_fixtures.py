"""Fixtures of tests that look at processes: how workers start, and which of them are of this test."""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterator

import pytest

from support.fronts import METHODS, start_method
from support.process_table import ignore_present_processes


@pytest.fixture(autouse=True)
def only_this_test() -> None:
    """What `children` sees is of this test."""
    ignore_present_processes()


@pytest.fixture(name="start_method", params=METHODS)
def every_start_method(request: pytest.FixtureRequest) -> Iterator[str]:
    """Every way to start a worker process, set as a program sets it."""
    with start_method(request.param):
        assert multiprocessing.get_start_method() == request.param
        yield request.param


@pytest.fixture
def fork() -> Iterator[None]:
    """Workers are forked: the fastest start, for what does not depend on how they start."""
    with start_method("fork"):
        yield
