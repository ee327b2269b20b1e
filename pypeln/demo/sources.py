"""Which files the demo works on: Python's own standard library, which every machine has."""

from __future__ import annotations

import sysconfig
from pathlib import Path

from pypeln.demo.errors import DemoError

# What other packages brought, and test data that is broken on purpose.
_LEFT_OUT = {"site-packages", "dist-packages", "test", "tests", "__pycache__"}


def standard_library() -> Path:
    """The folder of the standard library's source files."""
    return Path(sysconfig.get_path("stdlib"))


def choose_files(root: Path, count: int) -> list[str]:
    """Choose source files, spread evenly over all there are; the same ones each time.

    Args:
        root: The folder to look in.
        count: How many to choose; all there are when there are fewer.

    Returns:
        Their names relative to `root`, with forward slashes.

    Raises:
        DemoError: When there is no source file at all.
    """
    found = (path.relative_to(root) for path in root.rglob("*.py"))
    names = sorted(path.as_posix() for path in found if _LEFT_OUT.isdisjoint(path.parts))
    if not names:
        raise DemoError(f"no Python source files under {root}: this Python was installed without them")
    count = min(count, len(names))
    return [names[position * len(names) // count] for position in range(count)]
