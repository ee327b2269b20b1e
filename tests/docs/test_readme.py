"""README and pages tell the truth: every code block of them runs, and prints what its comments say."""

from __future__ import annotations

import ast
import io
import multiprocessing
import os
import re
import subprocess
import sys
import tokenize
from pathlib import Path
from typing import Any, NamedTuple

import pytest

import pypeln

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
PAGES = {path.name: path.read_text(encoding="utf-8") for path in sorted((ROOT / "docs").glob("*.md"))}

# A subprocess with another working directory must find the same pypeln, also where PYTHONPATH is relative.
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(Path(pypeln.__file__).resolve().parents[1])}

# A watchdog for a block that hangs, far above the second that a block takes.
BLOCK_TIMEOUT_S = 60


class Block(NamedTuple):
    """A fenced block of the README: its language, the line it starts in, its text."""

    language: str
    line: int
    text: str


def blocks_of(markdown: str) -> list[Block]:
    """Every fenced block of a page."""
    found = []
    for match in re.finditer(r"^```(\w*)\n(.*?)^```$", markdown, flags=re.MULTILINE | re.DOTALL):
        line = markdown.count("\n", 0, match.start()) + 1
        found.append(Block(match.group(1), line, match.group(2)))
    return found


def promised_output(code: str) -> list[str]:
    """The comment behind each line that prints, in the order of the lines."""
    prints = {
        node.lineno
        for node in ast.walk(ast.parse(code))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print"
    }
    comments = {
        token.start[0]: token.string.lstrip("# ")
        for token in tokenize.generate_tokens(io.StringIO(code).readline)
        if token.type == tokenize.COMMENT
    }
    silent = prints - comments.keys()
    assert not silent, f"lines {sorted(silent)} print, and no comment says what"
    return [comments[line] for line in sorted(prints)]


def assert_line_is_as_promised(printed: str, promised: str) -> None:
    """Compare a printed line with its comment; after "e.g." the order of the elements is free."""
    if promised.startswith("e.g. "):
        example: Any = ast.literal_eval(promised.removeprefix("e.g. "))
        assert sorted(ast.literal_eval(printed)) == sorted(example)
    else:
        assert printed == promised


def python_cases(page: str, blocks: list[Block]) -> list[Any]:
    """Each Python block as a reader runs it, and those that start processes under every start method."""
    cases = []
    for block in blocks:
        uses_processes = re.search(r"\bpr\.|\bprocess\.", block.text) is not None
        methods = multiprocessing.get_all_start_methods() if uses_processes else []
        for method in [None, *methods]:
            id = f"{page}-line{block.line}-{method or 'default'}"
            cases.append(pytest.param(block, method, id=id))
    return cases


BLOCKS = blocks_of(README)
PYTHON_BLOCKS = [block for block in BLOCKS if block.language == "python"]
CASES = python_cases("README.md", PYTHON_BLOCKS)
for name, text in PAGES.items():
    CASES += python_cases(name, [block for block in blocks_of(text) if block.language == "python"])


@pytest.mark.parametrize(("block", "start_method"), CASES)
def test_python_block_prints_what_its_comments_say(
    block: Block, start_method: str | None, tmp_path: Path
) -> None:
    script = tmp_path / "block.py"
    setup = ""
    if start_method is not None:
        setup = (
            "if __name__ == '__main__':\n"
            f"    import multiprocessing; multiprocessing.set_start_method({start_method!r})\n"
        )
    script.write_text(setup + block.text, encoding="utf-8")

    done = subprocess.run(
        [sys.executable, "-W", "default", script.name],
        cwd=tmp_path,
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        timeout=BLOCK_TIMEOUT_S,
    )

    assert (done.returncode, done.stderr) == (0, "")
    promised = promised_output(block.text)
    printed = done.stdout.splitlines()
    assert len(printed) == len(promised), done.stdout
    for printed_line, promised_line in zip(printed, promised, strict=True):
        assert_line_is_as_promised(printed_line, promised_line)


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


def test_every_relative_link_of_the_readme_leads_somewhere() -> None:
    targets = re.findall(r"\]\(([^)#\s]+)[^)]*\)", README)
    relative = [target for target in targets if "://" not in target]
    missing = [target for target in relative if not (ROOT / target).exists()]
    assert len(relative) >= 5
    assert not missing


def test_every_relative_link_of_a_page_leads_somewhere() -> None:
    for text in PAGES.values():
        targets = [each for each in re.findall(r"\]\(([^)#\s]+)[^)]*\)", text) if "://" not in each]
        assert [target for target in targets if not (ROOT / "docs" / target).exists()] == []


def test_every_command_in_the_text_names_a_file_that_exists() -> None:
    scripts = re.findall(r"`python ([\w/.]+\.py)", "\n".join([README, *PAGES.values()]))
    assert scripts
    assert [script for script in scripts if not (ROOT / script).exists()] == []


@pytest.mark.parametrize("name", ["architecture", "arrays"])
def test_picture_is_what_its_script_draws(name: str, tmp_path: Path) -> None:
    drawn = tmp_path / f"{name}.svg"
    subprocess.run(
        [sys.executable, str(ROOT / f"docs/images/{name}.py"), str(drawn)],
        check=True,
        timeout=BLOCK_TIMEOUT_S,
    )
    kept = ROOT / f"docs/images/{name}.svg"
    assert drawn.read_text(encoding="utf-8") == kept.read_text(encoding="utf-8")
