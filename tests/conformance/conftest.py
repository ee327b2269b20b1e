"""The kinds of workers, one after the other."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from support.fronts import EVERY_FRONT, FRONTS, start_method


@pytest.fixture(params=FRONTS, ids=lambda front: front.name)
def front(request: pytest.FixtureRequest) -> Iterator[Any]:
    """Each front end: `pr` (whose processes are forked), `th`, `io`, `sync`."""
    with start_method(request.param.start_method):
        yield request.param.calls


@pytest.fixture(params=EVERY_FRONT, ids=lambda front: front.name)
def every_front(request: pytest.FixtureRequest) -> Iterator[Any]:
    """Each front end, `pr` with every start method."""
    with start_method(request.param.start_method):
        yield request.param.calls
