"""The program whose pipelines chaos is about: runs scenarios, one after the other, as the monitor asks.

A line of JSON in, one when the run starts, one when it has ended.
"""

from __future__ import annotations

import gc
import json
import multiprocessing
import os
import signal
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))


def main() -> None:
    """Answer the monitor until it closes the pipe."""
    # Not above: workers that are not forked import this module.
    # Everything that a run may import is imported before descriptors become few and imports are interrupted.
    import numpy  # noqa: F401
    import one_run
    import shapes

    import pypeln as pl
    import pypeln.run.async_run
    import pypeln.run.supervisor
    import pypeln.run.task_control
    import pypeln.run.task_host
    import pypeln.run.worker_process
    import pypeln.run.worker_thread

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    method = sys.argv[1]
    multiprocessing.set_start_method(method)
    if method != "fork":
        from multiprocessing import forkserver, resource_tracker

        resource_tracker.ensure_running()
        if method == "forkserver":
            forkserver.ensure_running()
    for front in (pl.pr, pl.th, pl.io, pl.sync):
        assert sorted(front.map(abs, range(3), timeout=60)) == [0, 1, 2]
    say({"event": "ready"})
    for line in sys.stdin:
        request = json.loads(line)
        scenario = shapes.scenario_of(request["seed"], method, request["weather"])
        report = one_run.execute(scenario, request["folder"], lambda: say({"event": "started"}))
        gc.collect()
        say({"event": "ended", "rss_kib": _rss_kib(), **report.as_dict()})


def say(what: dict[str, Any]) -> None:
    """Tell the monitor."""
    os.write(1, json.dumps(what).encode() + b"\n")


def _rss_kib() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") // 1024


if __name__ == "__main__":
    main()
