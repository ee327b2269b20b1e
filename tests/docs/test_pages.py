"""The pages of the site tell the truth: every Python block runs, links and commands lead somewhere."""

from __future__ import annotations

import multiprocessing
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

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

DOCS = ROOT / "docs"
PAGES = {
    str(path.relative_to(ROOT)): path.read_text(encoding="utf-8")
    for path in [*sorted(DOCS.rglob("*.md")), ROOT / "CONTRIBUTING.md", ROOT / "SECURITY.md"]
}

# Beside Python: commands, transcripts and output; and what Sphinx does, which a directive in braces says.
LANGUAGES = {"python", "bash", "sh", "console", "text", ""}


def cases() -> list[Any]:
    """Each block as a reader runs it, and those that start processes also in the most different way."""
    found = []
    for page, text in PAGES.items():
        for block in blocks_of(text):
            if block.language != "python":
                continue
            methods = [None, "spawn"] if block.uses_processes else [None]
            if multiprocessing.get_start_method() == "spawn":
                methods = [None]
            for method in methods:
                id = f"{page}-line{block.line}-{method or 'default'}"
                found.append(pytest.param(block, method, id=id))
    return found


@pytest.mark.parametrize(("block", "start_method"), cases())
def test_python_block_prints_what_its_comments_say(
    block: Block, start_method: str | None, tmp_path: Path
) -> None:
    assert promised_output(block.text), "it prints nothing, so it shows nothing"
    assert_block_does_as_it_says(block, start_method, tmp_path)


def one_liners() -> list[Any]:
    """The commands that are programs themselves."""
    return [
        pytest.param(block.text, id=f"{page}-line{block.line}")
        for page, text in PAGES.items()
        for block in blocks_of(text)
        if block.language == "bash" and block.text.startswith("python -c ")
    ]


@pytest.mark.parametrize("command", one_liners())
def test_a_program_on_the_command_line_runs(command: str, tmp_path: Path) -> None:
    line, _, promised = command.rstrip().rpartition("  # ")
    _, *arguments = shlex.split(line)
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=tmp_path,
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        timeout=BLOCK_TIMEOUT_S,
    )
    assert (done.returncode, done.stderr, done.stdout) == (0, "", promised + "\n")


@pytest.mark.parametrize("page", PAGES)
def test_every_block_is_of_a_language_that_is_known(page: str) -> None:
    languages = {block.language for block in blocks_of(PAGES[page])}
    assert {each for each in languages if not each.startswith("{")} <= LANGUAGES


@pytest.mark.parametrize("page", PAGES)
def test_no_block_of_code_is_merely_indented_where_nobody_would_run_it(page: str) -> None:
    text = re.sub(r"^```.*?^```$", "", PAGES[page], flags=re.MULTILINE | re.DOTALL)
    paragraphs = re.split(r"\n\s*\n", text)
    # Behind an item of a list an indented paragraph is a part of it.
    listed = (re.match(r"\s*([-*]|\d+\.) ", each) for each in ["", *paragraphs])
    assert [
        each
        for each, behind_item in zip(paragraphs, listed, strict=False)
        if each.startswith("    ") and not behind_item
    ] == []


@pytest.mark.parametrize("page", PAGES)
def test_every_relative_link_leads_somewhere(page: str) -> None:
    folder = (ROOT / page).parent
    assert [link for link in links_of(PAGES[page]) if not (folder / link).exists()] == []


def test_every_command_in_the_text_names_a_file_that_exists() -> None:
    text = "\n".join([(ROOT / "README.md").read_text(encoding="utf-8"), *PAGES.values()])
    scripts = re.findall(r"`python ([\w/.]+\.py)", text)
    assert scripts
    assert [script for script in scripts if not (ROOT / script).exists()] == []


@pytest.mark.parametrize("script", sorted((DOCS / "images").glob("[!_]*.py")), ids=lambda path: path.stem)
def test_picture_is_what_its_script_draws(script: Path, tmp_path: Path) -> None:
    drawn = tmp_path / "drawn.svg"
    subprocess.run([sys.executable, str(script), str(drawn)], check=True, timeout=60)
    kept = script.with_suffix(".svg")
    assert drawn.read_text(encoding="utf-8") == kept.read_text(encoding="utf-8")
