"""The compiled modules as the build has left them."""

from __future__ import annotations

import importlib
import pkgutil
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import pypeln._core

MODULES = [module.name for module in pkgutil.iter_modules(pypeln._core.__path__)]


@pytest.mark.parametrize("name", MODULES)
def test_a_module_finds_all_that_it_was_compiled_against(name: str) -> None:
    assert importlib.import_module(f"pypeln._core.{name}")


def test_a_source_tree_without_them_says_what_to_do(tmp_path: Path) -> None:
    compiled = shutil.ignore_patterns("*.so", "*.pyd", "__pycache__")
    shutil.copytree(Path(pypeln.__file__).parent, tmp_path / "pypeln", ignore=compiled)
    program = [sys.executable, "-c", "import pypeln"]
    done = subprocess.run(program, cwd=tmp_path, env={}, capture_output=True, text=True, timeout=60)
    message = done.stderr.splitlines()[-1]
    assert message.startswith("ImportError: the compiled modules of pypeln are not in ")
    assert str(tmp_path) in message and "another folder" in message and "CONTRIBUTING.md" in message
