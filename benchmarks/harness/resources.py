"""What a process and its ended children have used."""

from __future__ import annotations

import resource
import sys


def cpu_seconds() -> float:
    """CPU time of this process and of the children that it has waited for, in seconds."""
    return sum(usage.ru_utime + usage.ru_stime for usage in _usages())


def peak_rss_mib() -> float:
    """Largest resident set of this process or of any one child that it has waited for, in MiB."""
    return max(_max_rss_mib(usage) for usage in _usages())


def own_peak_rss_mib() -> float:
    """Largest resident set of this process, in MiB."""
    return _max_rss_mib(resource.getrusage(resource.RUSAGE_SELF))


def _max_rss_mib(usage: resource.struct_rusage) -> float:
    unit = 1 if sys.platform == "darwin" else 1024
    return usage.ru_maxrss * unit / 2**20


def _usages() -> list[resource.struct_rusage]:
    return [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
