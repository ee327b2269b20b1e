"""Element types flow through every call and every `|`."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

PIPELINES = Path(__file__).with_name("typed_pipelines.py")


def test_a_type_checker_sees_the_types_of_elements(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "mypy", "--strict", "--config-file", "", "--cache-dir", str(tmp_path)]
    checked = subprocess.run(
        [*command, str(PIPELINES)], capture_output=True, text=True, timeout=300, check=False
    )
    # Of the package's own modules only what this file sees of them counts here.
    said = [line for line in checked.stdout.splitlines() if PIPELINES.name in line]
    assert said == [], checked.stdout
    assert checked.returncode in (0, 1), checked.stderr
