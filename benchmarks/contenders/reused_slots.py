"""Arrays through shared memory by hand: a few slots that are used again, their numbers sent through pipes.

It is the ceiling of copying arrays: shapes and types known beforehand, one worker for each stage, a copy on
each way into a stage and none in between.
"""

from __future__ import annotations

import mmap
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from itertools import chain
from multiprocessing import get_context
from multiprocessing.connection import Connection
from typing import Any

import numpy as np
from numpy.typing import NDArray

from contenders.process_stages import Results, Stages
from contenders.structures import copy_into, with_leaves

F = Callable[[Any], Any]

# One buffer, an element of arrays in shared memory, for each slot.
Buffers = list[Any]


def _shared(array: NDArray[Any]) -> NDArray[Any]:
    memory = mmap.mmap(-1, array.nbytes)
    return np.frombuffer(memory, dtype=array.dtype).reshape(array.shape)


def _work(f: F, taken: Connection, given: Connection, before: Buffers, after: Buffers) -> None:
    for slot in iter(taken.recv, None):
        result = f(before[slot])
        if result is not after[slot]:
            copy_into(after[slot], result)
        given.send(slot)
    given.send(None)


def _exchange(
    source: Iterator[Any], first: Connection, last: Connection, given: Buffers, back: Buffers
) -> Iterator[Any]:
    in_flight = 0
    free = list(range(len(given)))
    while True:
        while free:
            element = next(source, None)
            if element is None:
                break
            slot = free.pop()
            copy_into(given[slot], element)
            first.send(slot)
            in_flight += 1
        if not in_flight:
            return
        slot = last.recv()
        in_flight -= 1
        # The consumer must be done with the view before it asks for the next.
        yield back[slot]
        free.append(slot)


@contextmanager
def reused_slots(
    stages: Stages,
    source: Iterable[Any],
    workers: int,
    result_like: F = lambda element: element,
    in_place: bool = False,
) -> Results:
    """Yield views of the results of `stages`, each one process, valid until the next is asked for.

    Args:
        stages: the functions, whose results all have the same shapes.
        source: the elements, which all have the same shapes.
        workers: one.
        result_like: makes of an element, at no cost, something of the shapes of the results.
        in_place: let functions that pass on what they get pass on the slot, without a copy.
    """
    if workers != 1:
        raise ValueError(f"reused_slots has one worker for each stage, not {workers}")
    # The workers inherit the buffers.
    context = get_context("fork")
    elements = iter(source)
    sample = next(elements)
    # Enough that everybody can work on one while another waits for them.
    slots = range(2 * (len(stages) + 1))
    buffers = [[with_leaves(_shared, sample) for _ in slots]]
    for _ in stages:
        template = result_like(sample)
        buffers.append(buffers[0] if in_place else [with_leaves(_shared, template) for _ in slots])
    pipes = [context.Pipe(duplex=False) for _ in buffers]
    processes = [
        context.Process(
            target=_work, args=(f, pipes[i][0], pipes[i + 1][1], *buffers[i : i + 2]), daemon=True
        )
        for i, f in enumerate(stages)
    ]
    for process in processes:
        process.start()
    yield _exchange(chain([sample], elements), pipes[0][1], pipes[-1][0], buffers[0], buffers[-1])
    pipes[0][1].send(None)
    for process in processes:
        process.join()
