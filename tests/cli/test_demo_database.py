"""The demo's database gets all of a run or nothing of it."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from pypeln.demo.database import Store, check_path, read_totals
from pypeln.demo.parse import Definition, Module

DEFINITION = Definition("a.py", "function", "f", 1, 2)
MODULE = Module("a.py", "file", 20, lines=2, functions=1)


def names_in(path: Path) -> list[str]:
    with closing(sqlite3.connect(path)) as connection:
        return [name for (name,) in connection.execute("SELECT name FROM files ORDER BY name")]


def test_a_complete_run_is_stored_in_whatever_order_its_rows_come(tmp_path: Path) -> None:
    path = tmp_path / "demo.sqlite"
    with Store(path, files=2) as store:
        connection = store.open()["connection"]
        for row in (MODULE, replace(MODULE, name="b.py", error="SyntaxError: no", functions=0), DEFINITION):
            store.add(row, connection)
        store.close(connection)
    assert store.committed
    assert names_in(path) == ["a.py", "b.py"]
    totals = read_totals(path)
    assert (totals.files, totals.nbytes, totals.lines, totals.functions, totals.failed) == (2, 40, 4, 1, 1)
    check_path(path)  # and may be stored into again


@pytest.mark.parametrize("rows", [[], [DEFINITION], [MODULE], [DEFINITION, MODULE, DEFINITION]])
def test_an_incomplete_run_leaves_no_file(rows: list[Definition | Module], tmp_path: Path) -> None:
    with Store(tmp_path / "demo.sqlite", files=1) as store:
        connection = store.open()["connection"]
        for row in rows:
            store.add(row, connection)
        store.close(connection)
    assert not store.committed
    assert list(tmp_path.iterdir()) == []


def test_a_run_that_fails_leaves_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "demo.sqlite"
    with Store(path, files=1) as store:
        connection = store.open()["connection"]
        store.add(replace(MODULE, name="old.py", functions=0), connection)
        store.close(connection)
    before = path.read_bytes()

    def fail() -> None:
        with Store(path, files=2) as store:
            store.add(MODULE, store.open()["connection"])
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail()
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_an_interrupt_after_the_last_row_leaves_no_file_that_nobody_was_told_of(tmp_path: Path) -> None:
    def fail() -> None:
        with Store(tmp_path / "demo.sqlite", files=1) as store:
            connection = store.open()["connection"]
            store.add(replace(MODULE, functions=0), connection)
            store.close(connection)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail()
    assert list(tmp_path.iterdir()) == []
