"""Copies are counted here, which does not depend on how processes start: they are forked."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from support.fronts import start_method


@pytest.fixture(autouse=True)
def forked() -> Iterator[None]:
    """Workers are forked: the fastest start."""
    with start_method("fork"):
        yield
