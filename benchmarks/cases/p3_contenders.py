"""What the P3 cases share: where their arrays come from, who carries them, and how results are read."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import cycle, islice
from typing import Any

import numpy as np

from contenders.joblib_memmap import joblib_stage
from contenders.process_stages import Stages, plain_stages, pool_stages, pypeln_stages
from contenders.reused_slots import reused_slots
from contenders.structures import leaves, with_leaves
from contenders.torch_queues import torch_stages
from harness.case import Case, Contender, Opener, Role
from harness.checks import WrongResults
from harness.measures import bandwidth


@dataclass(frozen=True)
class Source:
    """Elements that exist before they are asked for: making them is not what is measured.

    Args:
        make: makes an element of (bytes of all its arrays, number that fills them).
        nbytes: bytes of all arrays of an element.
        items: elements of a full run.
        slow_items: elements of a full run of contenders that are much slower.
        distinct: how many different elements come again and again, told apart by their numbers.
        quick_items: elements of a quick run.
        quick_nbytes: bytes of an element in a quick run, where `nbytes` would take long.
    """

    make: Callable[[int, float], Any]
    nbytes: int
    items: int
    slow_items: int
    distinct: int = 8
    quick_items: int = 8
    quick_nbytes: int | None = None

    def nbytes_of(self, items: int) -> int:
        """The bytes of each element in a run of `items`."""
        return (self.quick_nbytes or self.nbytes) if items <= self.quick_items else self.nbytes

    def numbers(self, items: int) -> Iterator[float]:
        """The number of each element of a run."""
        return islice(cycle(map(float, range(self.distinct))), items)

    def elements(self, items: int) -> Iterator[Any]:
        """The elements of a run, each of array objects of its own: pickle and joblib write one only once."""
        nbytes = self.nbytes_of(items)
        made = [self.make(nbytes, number) for number in range(min(items, self.distinct))]
        return (with_leaves(np.ndarray.view, element) for element in islice(cycle(made), items))


# What a result is told by: the number that fills it and the bytes of its arrays.
Mark = tuple[float, int]


def first_and_last(result: Any) -> Mark:
    """The mark of a result, by the ends of each of its arrays."""
    numbers: set[float] = set()
    nbytes = 0
    for array in leaves(result):
        numbers.update((array.item(0), array.item(array.size - 1)))
        nbytes += array.nbytes
    if len(numbers) != 1:
        raise WrongResults(f"a result holds {sorted(numbers)}: it is torn, or mixed of several elements")
    return numbers.pop(), nbytes


def mean_of_all(result: Any) -> Mark:
    """The mark of a result that is one array, by adding up all of it."""
    return float(result.sum()) / result.size, result.nbytes


def stages_case(
    name: str,
    title: str,
    source: Source,
    stages: Stages,
    *,
    factor: float = 1,
    result_share: float = 1,
    result_like: Callable[[Any], Any] | None = None,
    read: Callable[[Any], Mark] = first_and_last,
    pool_chunks: tuple[int, ...] = (1,),
) -> Case:
    """A case of arrays through stages of one process each, beside everybody who can carry them.

    Args:
        name: of the case.
        title: of the case.
        source: of the elements.
        stages: the functions; torch calls them with tensors.
        factor: by which the stages multiply.
        result_share: bytes of a result for each byte of an element.
        result_like: where results differ in shape from elements: makes one from the other at no cost.
        read: finds the number that fills a result, as little or as much of it as the consumer reads.
        pool_chunks: the chunk sizes that a user of Pool might choose.
    """
    like: dict[str, Any] = {} if result_like is None else {"result_like": result_like}

    def apply(carry: Callable[..., Any], *options: Any, **more: Any) -> Opener:
        return lambda items, workers: carry(stages, source.elements(items), workers, *options, **more)

    contenders = [
        Contender("pypeln", Role.PYPELN, source.items, apply(pypeln_stages)),
        Contender("pypeln 0.4.9", Role.OLD, source.slow_items, apply(pypeln_stages), packages=("numpy",)),
        *(
            Contender(f"Pool chunk {chunk}", Role.PEER, source.slow_items, apply(pool_stages, chunk))
            for chunk in pool_chunks
        ),
        Contender("torch queues", Role.PEER, source.slow_items, apply(torch_stages), packages=("torch",)),
    ]
    if len(stages) == 1:
        contenders.append(
            Contender(
                "joblib memmap, 2 jobs",
                Role.PEER,
                source.slow_items,
                apply(joblib_stage),
                packages=("joblib",),
            )
        )
    contenders.append(
        Contender("reused slots by hand", Role.CEILING, source.items, apply(reused_slots, **like))
    )
    if factor == 1 and result_like is None:
        contenders.append(
            Contender(
                "slots passed on by hand", Role.REFERENCE, source.items, apply(reused_slots, in_place=True)
            )
        )
    contenders.append(Contender("plain map()", Role.REFERENCE, source.items, apply(plain_stages)))
    return Case(
        name=name,
        title=title,
        unit="GB/s",
        higher_is_better=True,
        workers=(1,),
        measure=bandwidth(source.nbytes_of, read),
        expected=lambda items: [
            (number * factor, round(source.nbytes_of(items) * result_share))
            for number in source.numbers(items)
        ],
        contenders=tuple(contenders),
        quick_items=source.quick_items,
    )
