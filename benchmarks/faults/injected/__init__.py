"""The faults, in the order of the table."""

from __future__ import annotations

from job import Fault

from injected import deaths, errors, lifetime, pickling, sizes

FAULTS: tuple[Fault, ...] = (
    *deaths.FAULTS,
    *errors.FAULTS,
    *pickling.FAULTS,
    *lifetime.FAULTS,
    *sizes.FAULTS,
)


def fault_named(name: str) -> Fault:
    return next(fault for fault in FAULTS if fault.name == name)
