"""P5: start a process stage, send 10 elements, stop: what a short pipeline pays."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from multiprocessing import Process

from contenders.chunked_pipe import chunked_pipe_map
from contenders.process_map import pypeln_map
from contenders.process_peers import process_peers
from harness.case import Case, Contender, Role, applying
from harness.measures import start_stop


def add_one(x: int) -> int:
    return x + 1


def do_nothing() -> None:
    pass


@contextmanager
def only_processes(items: int, workers: int) -> Iterator[Iterable[int]]:
    """What the system takes for processes: started, ended, waited for."""
    processes = [Process(target=do_nothing) for _ in range(workers)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    yield range(1, items + 1)


apply = applying(add_one, range)

CASE = Case(
    name="P5",
    title="start a process stage, 10 elements, stop (the first time in a process beside it)",
    unit="ms",
    higher_is_better=False,
    workers=(1, 4),
    measure=start_stop(runs=11),
    expected=lambda n: range(1, n + 1),
    contenders=(
        Contender("pypeln", Role.PYPELN, 10, apply(pypeln_map)),
        Contender("pypeln 0.4.9", Role.OLD, 10, apply(pypeln_map)),
        *process_peers(apply, {1: 10}, slow_items=10),
        Contender("mp.Pipe by hand", Role.CEILING, 10, apply(chunked_pipe_map)),
        Contender("fork, exit, wait", Role.REFERENCE, 10, only_processes),
    ),
    quick_items=10,
)
