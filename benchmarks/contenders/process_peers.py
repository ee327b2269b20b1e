"""The libraries that a case of one process stage is compared with, at chunk sizes that a user may choose."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from contenders.process_map import executor_map, loky_map, mpire_map, pool_map, pyper_map, streamable_map
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
    # Each with the elements that it can do in a second or two, however many a chunk holds.
    chunked = [
        ("Pool", pool_map, (), 10**7),
        ("Executor", executor_map, (), 300_000),
        ("loky", loky_map, ("loky",), 300_000),
        ("mpire", mpire_map, ("mpire",), 50_000),
    ]
    return (
        *(
            Contender(
                f"{name} chunk {chunk}",
                Role.PEER,
                min(number, most if chunk > 1 or name == "Pool" else slow_items),
                apply(stage_map, chunk),
                packages=packages,
            )
            for name, stage_map, packages, most in chunked
            for chunk, number in items.items()
        ),
        Contender("streamable", Role.PEER, slow_items, apply(streamable_map), packages=("streamable",)),
        Contender("pyper", Role.PEER, slow_items, apply(pyper_map), packages=("pyper",)),
    )
