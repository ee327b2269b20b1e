"""What the tests of the promises share."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

import pytest
from support import fronts
from support.process_fixtures import every_start_method, fork, only_this_test

__all__ = ["every_start_method", "fork", "only_this_test"]

if sys.platform != "linux":
    collect_ignore_glob = ["test_*"]  # the witness of what is left behind is /proc


@pytest.fixture(params=fronts.FRONTS, ids=lambda front: front.name)
def front(request: pytest.FixtureRequest) -> Iterator[Any]:
    """Each front end: `pr` (whose processes are forked), `th`, `io`, `sync`."""
    with fronts.start_method(request.param.start_method):
        yield request.param.calls
