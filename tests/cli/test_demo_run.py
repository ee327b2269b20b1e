"""`pypeln demo` from its start to its end, checked against the files it says it worked on."""

from __future__ import annotations

import ast
import multiprocessing
import os
import re
import sqlite3
import subprocess
import sys
import sysconfig
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

WATCHDOG_S = 120

Command = Callable[..., "subprocess.CompletedProcess[str]"]


def query(path: Path, sql: str) -> list[Any]:
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute(sql).fetchall()


def figures(output: str) -> dict[str, dict[str, str]]:
    """Read the table of stages back: for each stage, its cells by their headings."""
    lines = iter(output.splitlines())
    headings = re.split(r"\s{2,}", next(lines).strip())
    assert set(next(lines)) == {"-", " "}
    rows = {}
    for line in lines:
        if not line or line.startswith("seconds:"):
            break
        cells = re.split(r"\s{2,}", line.strip())
        rows[cells[0]] = dict(zip(headings, cells, strict=True))
    return rows


class Counter(ast.NodeVisitor):
    def __init__(self) -> None:
        self.functions = 0
        self.classes = 0

    def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
        self.functions += 1
        self.generic_visit(node)

    def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> None:
        self.functions += 1
        self.generic_visit(node)

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        self.classes += 1
        self.generic_visit(node)


def test_every_file_is_stored_with_what_it_defines(pypeln: Command, tmp_path: Path) -> None:
    path = tmp_path / "demo.sqlite"
    result = pypeln("demo", "--files", "24", "--workers", "2", "--database", str(path))
    assert (result.returncode, result.stderr) == (0, "")

    stored = query(path, "SELECT name, origin, bytes, functions, classes, error FROM files ORDER BY name")
    assert len(stored) == 24
    assert {origin for _, origin, *_ in stored} == {"file", "http"}
    for name, _, nbytes, functions, classes, error in stored:
        content = (Path(sysconfig.get_path("stdlib")) / name).read_bytes()
        expected = Counter()
        expected.visit(ast.parse(content))
        assert (nbytes, error) == (len(content), None)
        assert (functions, classes) == (expected.functions, expected.classes)
    per_file = query(path, "SELECT file, count(*) FROM definitions GROUP BY file ORDER BY file")
    assert per_file == [(name, f + c) for name, _, _, f, c, _ in stored if f + c]


def test_the_table_accounts_for_every_element_of_every_stage(pypeln: Command, tmp_path: Path) -> None:
    path = tmp_path / "demo.sqlite"
    result = pypeln("demo", "--files", "20", "--workers", "3", "--database", str(path))
    stages = figures(result.stdout)
    [(rows,)] = query(path, "SELECT (SELECT count(*) FROM files) + (SELECT count(*) FROM definitions)")

    flow = {name: (stage["elements in"], stage["elements out"]) for name, stage in stages.items()}
    assert flow == {
        "read": ("15", "15"),
        "fetch": ("5", "5"),
        "parse": ("20", f"{rows:,}"),
        "store": (f"{rows:,}", f"{rows:,}"),
    }
    assert stages["parse"]["workers"] == "3"
    assert {stage["kind"] for stage in stages.values()} == {"threads (th)", "tasks (io)", "processes (pr)"}
    assert all(float(stage["seconds"]) >= 0 for stage in stages.values())
    assert str(path) in result.stdout


def test_without_a_path_the_database_is_temporary_and_its_path_is_printed(
    pypeln: Command, temporary_folder: Path
) -> None:
    result = pypeln("demo", "--files", "4", "--workers", "1")
    assert result.returncode == 0
    [path] = temporary_folder.iterdir()
    assert str(path) in result.stdout
    assert query(path, "SELECT count(*) FROM files") == [(4,)]


def test_quiet_prints_the_path_only(pypeln: Command) -> None:
    result = pypeln("demo", "--files", "4", "--workers", "1", "--quiet")
    assert (result.returncode, result.stderr) == (0, "")
    assert query(Path(result.stdout.removesuffix("\n")), "SELECT count(*) FROM files") == [(4,)]


def test_a_second_run_replaces_the_first_and_keeps_other_tables(pypeln: Command, tmp_path: Path) -> None:
    path = tmp_path / "demo.sqlite"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE other (x)")
    for files in ("6", "3"):
        assert pypeln("demo", "--files", files, "--workers", "1", "--database", str(path)).returncode == 0
    assert query(path, "SELECT count(*) FROM files") == [(3,)]
    assert query(path, "SELECT count(*) FROM other") == [(0,)]


def test_a_single_file_is_enough(pypeln: Command, tmp_path: Path) -> None:
    path = tmp_path / "demo.sqlite"
    result = pypeln("demo", "--files", "1", "--workers", "2", "--database", str(path))
    assert (result.returncode, result.stderr) == (0, "")
    assert query(path, "SELECT count(*) FROM files") == [(1,)]


def test_a_locked_database_is_a_one_line_error(pypeln: Command, tmp_path: Path) -> None:
    path = tmp_path / "demo.sqlite"
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        result = pypeln("demo", "--files", "4", "--workers", "1", "--database", str(path))
    assert (result.returncode, result.stdout) == (1, "")
    assert re.fullmatch(r"pypeln demo: error: .*database is locked.*\n", result.stderr)


@pytest.mark.parametrize("method", multiprocessing.get_all_start_methods())
def test_it_runs_under_every_start_method(method: str, pypeln: Command, tmp_path: Path) -> None:
    program = tmp_path / "start.py"
    program.write_text(
        "import multiprocessing, sys\n"
        "from pypeln.cli import main\n"
        "if __name__ == '__main__':\n"
        f"    multiprocessing.set_start_method({method!r})\n"
        "    sys.exit(main())\n"
    )
    result = pypeln("demo", "--files", "8", "--workers", "2", program=(str(program),))
    assert (result.returncode, result.stderr) == (0, "")
    assert figures(result.stdout)["parse"]["elements in"] == "8"


@pytest.mark.skipif(sys.platform == "win32", reason="pipes are closed for good on POSIX only")
def test_a_reader_that_left_is_no_error(environment: dict[str, str]) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing) as output:
        result = subprocess.run(
            [sys.executable, "-m", "pypeln", "demo", "--files", "2", "--workers", "1"],
            cwd=environment["TMPDIR"],  # not where the sources are
            env=environment,
            stdout=output,
            stderr=subprocess.PIPE,
            text=True,
            timeout=WATCHDOG_S,
        )
    assert (result.returncode, result.stderr) == (0, "")
