"""The `pypeln` command as a user starts it: another process, with a temporary folder of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

WATCHDOG_S = 120

Command = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def temporary_folder(tmp_path: Path) -> Path:
    """Where the command under test makes its temporary files, and nobody else any."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    return folder


@pytest.fixture
def environment(temporary_folder: Path) -> dict[str, str]:
    return {**os.environ, "TMPDIR": str(temporary_folder), "TEMP": str(temporary_folder)}


@pytest.fixture
def pypeln(environment: dict[str, str], tmp_path: Path) -> Command:
    """Run the command with the given words; it is killed when it does not end."""

    def run(*words: str, program: tuple[str, ...] = ("-m", "pypeln")) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, *program, *words],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            timeout=WATCHDOG_S,
        )

    return run
