"""Q1: the queues themselves, from a process or a thread that does nothing but put to one that only takes."""

from __future__ import annotations

import multiprocessing
import queue
from collections.abc import Callable
from multiprocessing import Process
from threading import Thread
from typing import Any

from contenders.queues import faster_fifo_queue, pypeln_queue, standard_queue
from harness.case import Case, Contender, Opener, Role
from harness.measures import throughput


def carry(open_queue: Callable[..., Any], *options: Any) -> Opener:
    return lambda items, producers: open_queue(*options, range(items), producers)


def queue_case(name: str, title: str, contenders: tuple[Contender, ...]) -> Case:
    return Case(
        name=name,
        title=title,
        unit="items/s",
        higher_is_better=True,
        workers=(1,),
        measure=throughput,
        expected=range,
        contenders=contenders,
    )


CASES = {
    case.name: case
    for case in (
        queue_case(
            "Q1-PROCESSES",
            "a queue from one process to another, ints put and taken",
            (
                Contender("pypeln", Role.PYPELN, 500_000, carry(pypeln_queue, "process")),
                Contender("pypeln 0.4.9", Role.OLD, 5_000, carry(pypeln_queue, "process")),
                Contender(
                    "faster-fifo put_many",
                    Role.PEER,
                    200_000,
                    carry(faster_fifo_queue),
                    packages=("faster_fifo",),
                ),
                Contender(
                    "mp.SimpleQueue",
                    Role.PEER,
                    100_000,
                    carry(standard_queue, Process, multiprocessing.SimpleQueue),
                ),
                Contender(
                    "mp.Queue", Role.PEER, 100_000, carry(standard_queue, Process, multiprocessing.Queue)
                ),
            ),
        ),
        queue_case(
            "Q1-THREADS",
            "a queue from one thread to another, ints put and taken",
            (
                Contender("pypeln", Role.PYPELN, 1_000_000, carry(pypeln_queue, "thread")),
                Contender("pypeln 0.4.9", Role.OLD, 20_000, carry(pypeln_queue, "thread")),
                Contender(
                    "queue.SimpleQueue",
                    Role.PEER,
                    2_000_000,
                    carry(standard_queue, Thread, queue.SimpleQueue),
                ),
                Contender("queue.Queue", Role.PEER, 200_000, carry(standard_queue, Thread, queue.Queue)),
            ),
        ),
    )
}
