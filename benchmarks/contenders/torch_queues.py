"""Workers of `torch.multiprocessing` joined by its queues: every tensor travels as a file descriptor.

A tensor is copied into shared memory when it is sent first; what a worker passes on is not copied again.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from contenders.process_stages import Results, Stages
from contenders.structures import with_leaves


def _work(f: Callable[[Any], Any], taken: Any, given: Any, finished: Any) -> None:
    for element in iter(taken.get, None):
        given.put(f(element))
    given.put(None)
    # The next one asks this process for the descriptors of what it was sent.
    finished.wait()


def _exchange(source: Iterable[Any], first: Any, last: Any, most: int) -> Iterator[Any]:
    torch = importlib.import_module("torch")

    def result() -> Any:
        return with_leaves(lambda tensor: tensor.numpy(), last.get())

    in_flight = 0
    for element in source:
        first.put(with_leaves(torch.from_numpy, element))
        in_flight += 1
        if in_flight == most:
            yield result()
            in_flight -= 1
    for _ in range(in_flight):
        yield result()


@contextmanager
def torch_stages(stages: Stages, source: Iterable[Any], workers: int) -> Results:
    """Yield the results of `stages`, each one process, as arrays; the functions get and return tensors."""
    if workers != 1:
        raise ValueError(f"torch_stages has one worker for each stage, not {workers}")
    torch = importlib.import_module("torch")
    # As the workers of a DataLoader: a worker is one core.
    torch.set_num_threads(1)
    context = importlib.import_module("torch.multiprocessing").get_context("fork")
    finished = context.Event()
    queues = [context.SimpleQueue() for _ in range(len(stages) + 1)]
    processes = [
        context.Process(target=_work, args=(f, taken, given, finished), daemon=True)
        for f, taken, given in zip(stages, queues, queues[1:], strict=False)
    ]
    for process in processes:
        process.start()
    yield _exchange(source, queues[0], queues[-1], most=2 * len(queues))
    queues[0].put(None)
    finished.set()
    for process in processes:
        process.join()
