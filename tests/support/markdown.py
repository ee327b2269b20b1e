"""Pages of documentation as the tests see them: code blocks, links, and what blocks promise to print."""

from __future__ import annotations

import ast
import io
import os
import re
import subprocess
import sys
import tokenize
from pathlib import Path
from typing import Any, NamedTuple

import pypeln

ROOT = Path(__file__).resolve().parents[2]

# A subprocess with another working directory must find the same pypeln, also where PYTHONPATH is relative.
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(Path(pypeln.__file__).resolve().parents[1])}

# What an interpreter is asked to show while it runs a block: everything, except that CPython warns from 3.12
# on of forks beside threads, as a replacement of a worker is one. docs/errors.md says so.
WARNINGS = ["-W", "default", "-W", "ignore:This process:DeprecationWarning"]

# A watchdog for a block that hangs, far above the second that a block takes.
BLOCK_TIMEOUT_S = 60


class Block(NamedTuple):
    """A fenced block of a page: its language, the line it starts in, its text."""

    language: str
    line: int
    text: str

    @property
    def uses_processes(self) -> bool:
        """Whether it runs a pipeline of processes."""
        return re.search(r"\bpr\.|\bprocess\.", self.text) is not None


def blocks_of(markdown: str) -> list[Block]:
    """Every fenced block of a page."""
    found: list[Block] = []
    language, begins, lines = "", 0, []
    for number, line in enumerate(markdown.splitlines(keepends=True), start=1):
        if not begins and line.startswith("```"):
            language, begins, lines = line.strip("`\n "), number, []
        elif begins and line.rstrip() == "```":
            found.append(Block(language, begins, "".join(lines)))
            begins = 0
        elif begins:
            lines.append(line)
    assert not begins, f"the block in line {begins} does not end"
    return found


def links_of(markdown: str) -> list[str]:
    """The targets of links that do not lead into the network, without what follows a `#`."""
    targets = re.findall(r"\]\(([^)#\s]+)[^)]*\)", markdown)
    return [target for target in targets if "://" not in target]


def promised_output(code: str) -> list[str]:
    """What the comments say that is printed: behind a print, or in the lines after the loop that it is in."""
    tree = ast.parse(code)
    prints = {
        node.lineno
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print"
    }
    comments = {
        token.start[0]: token.string.lstrip("# ")
        for token in tokenize.generate_tokens(io.StringIO(code).readline)
        if token.type == tokenize.COMMENT
    }
    alone = {
        number for number, line in enumerate(code.splitlines(), start=1) if line.lstrip().startswith("#")
    }
    promised = {line: comments[line] for line in prints & comments.keys()}
    for line in prints - comments.keys():
        around = [
            node.end_lineno or 0
            for node in ast.walk(tree)
            if isinstance(node, ast.stmt) and node.lineno <= line <= (node.end_lineno or 0)
        ]
        number = min((end + 1 for end in around if end + 1 in alone), default=0)
        assert number, f"line {line} prints, and no comment says what"
        while number in alone:
            promised[number] = comments[number]
            number += 1
    return [text for _, text in sorted(promised.items())]


def assert_block_does_as_it_says(block: Block, start_method: str | None, folder: Path) -> None:
    """Run a block as a reader would, in a file of its own, and compare what it prints with its comments.

    Args:
        block: A Python block.
        start_method: What multiprocessing is told before; None: nothing.
        folder: Where it runs.
    """
    script = folder / "block.py"
    setup = ""
    if start_method is not None:
        setup = (
            "if __name__ == '__main__':\n"
            f"    import multiprocessing; multiprocessing.set_start_method({start_method!r})\n"
        )
    script.write_text(setup + block.text, encoding="utf-8")

    done = subprocess.run(
        [sys.executable, *WARNINGS, script.name],
        cwd=folder,
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
        _assert_line_is_as_promised(printed_line, promised_line)


def _assert_line_is_as_promised(printed: str, promised: str) -> None:
    """Compare a printed line with its comment; after "e.g." the order of the elements is free."""
    if promised.startswith("e.g. "):
        example: Any = ast.literal_eval(promised.removeprefix("e.g. "))
        assert sorted(ast.literal_eval(printed)) == sorted(example)
    else:
        assert printed == promised
