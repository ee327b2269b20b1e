"""W-P1, W-P2, W-D1, W-E1: the cases of these names with 1 to 16 workers, up to the cores that there are."""

from __future__ import annotations

import os
from dataclasses import replace

from cases import d1_process_dicts, e1_process_efficiency, p1_process_map, p2_process_stages
from contenders.chunked_pipe import chunked_pipe_map, chunked_pipe_stages
from contenders.process_map import pool_map, pypeln_map
from contenders.without_queue import equal_shares
from harness.case import Case, Contender, Role

CORES = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
# More workers than cores show how a system divides its time.
COUNTS = tuple(count for count in (1, 2, 4, 8, 16) if count <= max(CORES, 2))


def scaled(case: Case, *contenders: Contender) -> Case:
    return replace(case, name=f"W-{case.name}", workers=COUNTS, contenders=contenders)


def p1() -> Case:
    apply = p1_process_map.apply
    return scaled(
        p1_process_map.CASE,
        Contender("pypeln", Role.PYPELN, 2_000_000, apply(pypeln_map)),
        Contender("Pool chunk 1024", Role.PEER, 2_000_000, apply(pool_map, 1024)),
        Contender("mp.Pipe by hand", Role.CEILING, 2_000_000, apply(chunked_pipe_map)),
    )


def p2() -> Case:
    stages, pools = p2_process_stages.stages, p2_process_stages.three_pools
    return scaled(
        p2_process_stages.CASE,
        Contender("pypeln", Role.PYPELN, 1_000_000, stages(p2_process_stages.pypeln_stages)),
        Contender("3 Pools chunk 64", Role.PEER, 300_000, stages(pools, pool_map, 64)),
        Contender("3 Pools chunk 1024", Role.PEER, 500_000, stages(pools, pool_map, 1024)),
        Contender("mp.Pipe by hand", Role.CEILING, 1_000_000, p2_process_stages.by_hand(chunked_pipe_stages)),
    )


def d1() -> Case:
    apply = d1_process_dicts.apply
    return scaled(
        d1_process_dicts.CASE,
        Contender("pypeln", Role.PYPELN, 200_000, apply(pypeln_map)),
        Contender("Pool chunk 64", Role.PEER, 200_000, apply(pool_map, 64)),
        Contender("Pool chunk 1024", Role.PEER, 200_000, apply(pool_map, 1024)),
        Contender("mp.Pipe by hand", Role.CEILING, 200_000, apply(chunked_pipe_map, 64)),
    )


def e1() -> Case:
    apply = e1_process_efficiency.apply
    return scaled(
        e1_process_efficiency.CASE,
        *(
            replace(contender, per_worker=True)
            for contender in (
                Contender("pypeln", Role.PYPELN, 8_000, apply(pypeln_map)),
                Contender("Pool chunk 1", Role.PEER, 8_000, apply(pool_map, 1)),
                Contender("Pool chunk 64", Role.PEER, 8_000, apply(pool_map, 64)),
                Contender("equal shares by hand", Role.CEILING, 8_000, apply(equal_shares)),
            )
        ),
    )


CASES = {case.name: case for case in (p1(), p2(), d1(), e1())}
