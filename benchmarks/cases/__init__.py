"""The cases by name, each imported only when it is run: what one case imports, another's forks would copy."""

from __future__ import annotations

import importlib
import sys

from harness.case import Case

MODULES = {
    "P1": "cases.p1_process_map",
    **{
        f"P1-{kind}": "cases.payloads"
        for kind in ("FLOATS", "STRINGS", "BYTES", "TUPLES", "DICTS", "NESTED", "OBJECTS")
    },
    "D1": "cases.d1_process_dicts",
    "P2": "cases.p2_process_stages",
    **{
        f"P3-{size}{work}": "cases.p3_process_arrays"
        for size in ("4K", "64K", "1M", "16M", "500M")
        for work in ("", "-X2")
    },
    **{
        f"P3-{size}-{work}": "cases.p3_process_arrays"
        for size in ("64K", "1M", "16M")
        for work in ("X2-X2", "PASS5")
    },
    "P3-1M-SUM": "cases.p3_process_arrays",
    **{
        f"P3-{name}": "cases.p3_process_structures"
        for name in ("DICT10", "DICT10-FIELD", "LIST100", "1M-EVERY2", "1M-INNER", "1M-T")
    },
    "L1": "cases.l1_image_loader",
    "P4": "cases.p4_process_latency",
    "P5": "cases.p5_process_start",
    "P6": "cases.light_load",
    "E1": "cases.e1_process_efficiency",
    "S1": "cases.s1_process_skew",
    "S2": "cases.light_load",
    "T1": "cases.t1_thread_map",
    "T2": "cases.t2_thread_waiting",
    "T3": "cases.light_load",
    "A1": "cases.a1_task_map",
    "A2": "cases.a2_task_waiting",
    "A3": "cases.a3_task_requests",
    "Q1-PROCESSES": "cases.q1_queues",
    "Q1-THREADS": "cases.q1_queues",
    # They look at the memory of processes as Linux shows it.
    **({"M1": "cases.m1_memory"} if sys.platform == "linux" else {}),
    **(
        {f"{case}-1E{power}": "cases.sizes" for case in ("P1", "T1") for power in (4, 5, 6, 7)}
        if sys.platform == "linux"
        else {}
    ),
    **{f"W-{case}": "cases.workers" for case in ("P1", "P2", "D1", "E1")},
    "W-P3-1M-X2": "cases.workers_arrays",
    "IDLE": "cases.idle_cpu",
    "IMPORT": "cases.import_time",
}


def load_case(name: str) -> Case:
    """Return the case called `name`; raises KeyError when there is none."""
    module = importlib.import_module(MODULES[name])
    case = module.CASE if hasattr(module, "CASE") else module.CASES[name]
    assert isinstance(case, Case)
    assert case.name == name
    return case
