"""The libraries that a case of one process stage is compared with, at chunk sizes that a user may choose."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from contenders.process_map import executor_map, loky_map, mpire_map, pool_map, pyper_map
from harness.case import Contender, Opener, Role


def process_peers(
    apply: Callable[..., Opener], items: Mapping[int, int], slow_items: int
) -> tuple[Contender, ...]:
    """Return the peers of a case.

    Args:
        apply: binds the task of the case, see `applying`.
        items: for each chunk size, the elements of a full run.
        slow_items: elements of a full run of those that send elements one by one and at some length.
    """
    chunked = [
        ("Pool", pool_map, ()),
        ("Executor", executor_map, ()),
        ("loky", loky_map, ("loky",)),
        ("mpire", mpire_map, ("mpire",)),
    ]
    return (
        *(
            Contender(
                f"{name} chunk {chunk}",
                Role.PEER,
                number if chunk > 1 or name == "Pool" else min(number, slow_items),
                apply(stage_map, chunk),
                packages=packages,
            )
            for name, stage_map, packages in chunked
            for chunk, number in items.items()
        ),
        Contender("pyper", Role.PEER, slow_items, apply(pyper_map), packages=("pyper",)),
    )
