"""The README tells the truth: every code block runs, and prints what its comments say; commands exist."""

from __future__ import annotations

import multiprocessing
import subprocess
import sys
from pathlib import Path

import pytest
from support.markdown import (
    BLOCK_TIMEOUT_S,
    ENVIRONMENT,
    ROOT,
    Block,
    assert_block_does_as_it_says,
    blocks_of,
    links_of,
    promised_output,
)

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = blocks_of(README)
PYTHON_BLOCKS = [block for block in BLOCKS if block.language == "python"]

# Each as a reader runs it, and those that start processes under every start method.
CASES = [
    pytest.param(block, method, id=f"line{block.line}-{method or 'default'}")
    for block in PYTHON_BLOCKS
    for method in [None, *(multiprocessing.get_all_start_methods() if block.uses_processes else [])]
]


@pytest.mark.parametrize(("block", "start_method"), CASES)
def test_python_block_prints_what_its_comments_say(
    block: Block, start_method: str | None, tmp_path: Path
) -> None:
    assert_block_does_as_it_says(block, start_method, tmp_path)


def test_every_block_is_of_a_language_that_is_tested() -> None:
    assert {block.language for block in BLOCKS} == {"python", "bash"}


def test_every_python_block_promises_an_output() -> None:
    assert len(PYTHON_BLOCKS) >= 10
    for block in PYTHON_BLOCKS:
        assert promised_output(block.text), f"the block in line {block.line} prints nothing"


def test_bash_blocks_are_the_two_commands_and_nothing_else() -> None:
    commands = [block.text.strip() for block in BLOCKS if block.language == "bash"]
    assert commands == ["pip install . && pypeln demo", "pip install '.[test]' && pytest"]


def test_commands_name_an_extra_and_a_script_that_the_package_has() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert "test" in project["optional-dependencies"]
    assert "pypeln" in project["scripts"]


def test_demo_is_a_command_of_the_package(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "pypeln", "demo", "--help"],
        cwd=tmp_path,
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        timeout=BLOCK_TIMEOUT_S,
    )
    assert done.returncode == 0, done.stderr
    assert "usage: pypeln demo" in done.stdout


def test_every_relative_link_leads_somewhere() -> None:
    links = links_of(README)
    assert len(links) >= 5
    assert [link for link in links if not (ROOT / link).exists()] == []
