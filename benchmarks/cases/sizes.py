"""P1-1E4 to P1-1E7, T1-1E4 to T1-1E7: whether the rate falls or memory grows with the number of elements."""

from __future__ import annotations

from contenders import process_map, thread_map
from contenders.chunked_pipe import chunked_pipe_map
from harness.case import Case, Contender, Role, applying
from harness.measures import throughput_and_growth

POWERS = (4, 5, 6, 7)


def add_one(x: int) -> int:
    return x + 1


apply = applying(add_one, range)


def size_case(name: str, where: str, contenders: tuple[Contender, ...]) -> Case:
    return Case(
        name=name,
        title=f"{contenders[0].items:,} ints through one {where} stage, x + 1",
        unit="items/s",
        higher_is_better=True,
        workers=(1,),
        measure=throughput_and_growth,
        expected=lambda n: range(1, n + 1),
        contenders=contenders,
    )


CASES = {
    case.name: case
    for power in POWERS
    for case in (
        size_case(
            f"P1-1E{power}",
            "process",
            (
                Contender("pypeln", Role.PYPELN, 10**power, apply(process_map.pypeln_map)),
                Contender("Pool chunk 1024", Role.PEER, 10**power, apply(process_map.pool_map, 1024)),
                Contender("mp.Pipe by hand", Role.CEILING, 10**power, apply(chunked_pipe_map)),
            ),
        ),
        size_case(
            f"T1-1E{power}",
            "thread",
            (
                Contender("pypeln", Role.PYPELN, 10**power, apply(thread_map.pypeln_map)),
                Contender(
                    "ThreadPool chunk 1024", Role.PEER, 10**power, apply(thread_map.thread_pool_map, 1024)
                ),
                Contender("SimpleQueue by hand", Role.CEILING, 10**power, apply(thread_map.simple_queue_map)),
            ),
        ),
    )
}
