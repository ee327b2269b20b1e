"""Concurrent data pipelines: stages of processes, threads and tasks, joined by bounded queues.

>>> from pypeln import th
>>> [" a", "b "] | th.map(str.strip, workers=2) | th.ordered() | list
['a', 'b']
"""

from __future__ import annotations

from pypeln import io, pr, process, sync, task, th, thread
from pypeln._version import __version__
from pypeln.budget import memory
from pypeln.element import Element
from pypeln.errors import (
    EncodeError,
    ForkedRunError,
    PipelineError,
    RemoteError,
    UnguardedMainError,
    WorkerDied,
)
from pypeln.failure import Failure
from pypeln.graph.partial import Partial
from pypeln.graph.stage import IoStage, Stage
from pypeln.pinning import pin
from pypeln.run.main_module import say_errors_in_one_piece
from pypeln.run.memory_stats import MemoryStats
from pypeln.run.stats import StageStats

say_errors_in_one_piece()
del say_errors_in_one_piece

# The name that pypeln 0.4.9 gave to what all stages have in common.
BaseStage = Stage

__all__ = [
    "BaseStage",
    "Element",
    "EncodeError",
    "Failure",
    "ForkedRunError",
    "IoStage",
    "MemoryStats",
    "Partial",
    "PipelineError",
    "RemoteError",
    "Stage",
    "StageStats",
    "UnguardedMainError",
    "WorkerDied",
    "__version__",
    "io",
    "memory",
    "pin",
    "pr",
    "process",
    "sync",
    "task",
    "th",
    "thread",
]
