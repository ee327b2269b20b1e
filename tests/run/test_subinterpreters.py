"""A subinterpreter is refused, and told so."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

# What makes one: the first until CPython 3.12, the second since.
PROGRAM = """
try:
    import _interpreters as interpreters
except ImportError:
    import _xxsubinterpreters as interpreters
if {first}:
    import pypeln
try:
    interpreter = interpreters.create({config})
except (TypeError, ValueError):
    interpreter = interpreters.create(isolated={isolated})
failure = interpreters.run_string(interpreter, '''
try:
    import pypeln
except ImportError as error:
    print("refused:", error)
else:
    print("imported")
''')
assert failure is None, failure
"""


@pytest.mark.parametrize("isolated", [True, False], ids=["isolated", "sharing the GIL"])
@pytest.mark.parametrize("first", [True, False], ids=["after the main interpreter", "as the first"])
def test_a_subinterpreter_is_told_to_import_pypeln_elsewhere(
    isolated: bool, first: bool, tmp_path: Path
) -> None:
    program = PROGRAM.format(
        first=first, isolated=isolated, config=repr("isolated" if isolated else "legacy")
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("refused: pypeln cannot be used in a subinterpreter"), done.stdout
