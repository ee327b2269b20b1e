"""How often the large buffers of a run were copied, for tests."""

from __future__ import annotations

from typing import Any

from pypeln.run.memory_stats import MemoryStats

REASONS = ("copied_in", "copied_held", "copied_busy", "copied_out", "copied_type")


def counts(stats: MemoryStats) -> dict[str, int]:
    """Why the buffers of one queue were copied, and how often."""
    return {reason: getattr(stats, reason).count for reason in REASONS if getattr(stats, reason).count}


def copies(stage: Any) -> list[dict[str, int]]:
    """The same for each queue of the newest run of a stage, sources first."""
    return [counts(each) for each in stage.memory_stats()]


def lent(stage: Any) -> list[int]:
    """How many buffers were sent as references, for each queue."""
    return [each.lent.count for each in stage.memory_stats()]
