"""How the consumer's thread waits for results."""

from __future__ import annotations

import time
from typing import Any

import pytest

from pypeln import pr, th
from pypeln._core.queue import InPort
from pypeln.graph.planner import planned
from pypeln.run import run as running
from pypeln.run.run import Run


def spares_wakes(stage: Any) -> bool:
    run = Run(planned(stage, 0))
    try:
        assert isinstance(run.sink, InPort)
        return run.sink.spares_wakes
    finally:
        run.close()


def test_wakes_are_spared_where_processes_need_all_cpus(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(running, "usable_cpus", lambda: 3)
    assert spares_wakes(pr.map(abs, [1], workers=3))
    assert spares_wakes(pr.map(abs, pr.map(abs, [1], workers=2), workers=1))
    assert not spares_wakes(pr.map(abs, [1], workers=2))
    # What others wait for is taken at once.
    assert not spares_wakes(th.map(abs, pr.map(abs, [1], workers=3)))


@pytest.mark.parametrize("pause_s", [0.0, 0.0001, 0.003])
def test_results_that_are_ready_are_not_held_back(monkeypatch: pytest.MonkeyPatch, pause_s: float) -> None:
    """A source that only goes on when each result has come, fast or slow, gets each, and ends."""
    monkeypatch.setattr(running, "usable_cpus", lambda: 1)
    seen: list[int] = []

    def source() -> Any:
        for n in range(300):
            while n > len(seen):
                time.sleep(pause_s)
            yield n

    for result in pr.map(abs, source(), workers=2):
        seen.append(result)
    assert seen == list(range(300))
