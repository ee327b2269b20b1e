"""A pipeline for fault points to strike. `run.py` starts it, with what is to happen in the environment.

Usage: program.py START_METHOD SCENARIO SCRATCH_FOLDER

Its last line on stdout is JSON: the results or the name of the error, and the accounts of all stages.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ELEMENTS = 16
CHILDREN = 3

# None restarts nothing, "restart" everything. "late" restarts and has one element that takes too long, once;
# "broken" has one that cannot be done.
SCENARIOS = ("raise", "restart", "late", "broken")


def expected() -> list[list[int]]:
    """What a run that is not spoilt gives."""
    return [[i, child] for i in range(ELEMENTS) for child in range(CHILDREN) if (i + child) % 4]


def same(i: int) -> int:
    return i


def spill(i: int) -> tuple[Any, bytes]:
    """Larger than a slot: it travels in a block, with a reference to that of an array."""
    import numpy as np

    return np.full(5000, i, np.uint32), bytes(100)


def spill_late(i: int) -> tuple[Any, bytes]:
    marker = Path(os.environ["FAULT_SCRATCH"], "late")
    if i == 5 and not marker.exists():
        marker.touch()
        time.sleep(1000)
    return spill(i)


def spill_broken(i: int) -> tuple[Any, bytes]:
    if i == 5:
        raise LookupError(i)
    return spill(i)


def parts(data: tuple[Any, bytes]) -> Iterator[tuple[int, int]]:
    """Several for one, in a slot each."""
    i = int(data[0][0])
    if not (data[0] == i).all() or data[1] != bytes(100):
        raise ValueError(f"element {i} has changed on its way")
    for child in range(CHILDREN):
        yield i, child


def keep(part: tuple[int, int]) -> bool:
    return sum(part) % 4 != 0


def main() -> None:
    import pypeln as pl  # run.py, which imports this module for what it expects, need not have it

    start_method, scenario, scratch = sys.argv[1:]
    os.environ["FAULT_SCRATCH"] = scratch
    os.environ["PYPELN_FAULT_PARENT"] = str(os.getpid())
    multiprocessing.set_start_method(start_method)
    if start_method == "fork":
        import numpy  # noqa: F401  # once, and not in each of many processes: half the time of a run
    policy: dict[str, Any] = {}
    if scenario in ("restart", "late"):
        policy = {"on_worker_death": "restart"}
    first = {"late": spill_late, "broken": spill_broken}.get(scenario, spill)
    late: dict[str, Any] = {"timeout": 2, "retries": 3} if scenario == "late" else {}
    stage = (
        range(ELEMENTS)
        | pl.pr.map(same, workers=1, maxsize=2, **policy)
        # Without a bound: small elements that follow one another share a slot.
        | pl.pr.map(first, workers=2, **policy, **late)
        | pl.pr.flat_map(parts, workers=2, maxsize=2, **policy)
        | pl.pr.filter(keep, workers=1, maxsize=2, **policy)
        | pl.pr.ordered()
    )
    outcome: dict[str, Any] = {}
    try:
        outcome["results"] = list(stage)
    except Exception as error:  # whatever it is, run.py judges it
        outcome["error"] = type(error).__name__
        outcome["message"] = str(error)
    outcome["stats"] = [stats._asdict() for stats in stage.pipeline_stats()]
    outcome["children"] = len(multiprocessing.active_children())
    print(json.dumps(outcome))


if __name__ == "__main__":
    main()
