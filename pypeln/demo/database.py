"""The SQLite database that the demo stores into: all of a run, or nothing of it."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import tempfile
from pathlib import Path
from types import TracebackType
from typing import NamedTuple

from pypeln.demo.parse import Definition, Row

# SQLite keeps these texts, so that a table of the same name made by somebody else is told apart.
_TABLES = {
    "files": "CREATE TABLE files (name TEXT PRIMARY KEY, origin TEXT, bytes INTEGER, lines INTEGER, "
    "functions INTEGER, classes INTEGER, imports INTEGER, tokens INTEGER, comments INTEGER, error TEXT)",
    "definitions": "CREATE TABLE definitions (file TEXT REFERENCES files (name), kind TEXT, name TEXT, "
    "line INTEGER, lines INTEGER)",
}


class DatabaseRefused(Exception):
    """A path at which the demo will not store; the message says why."""


class Totals(NamedTuple):
    """Sums over all files of a run."""

    files: int
    nbytes: int
    lines: int
    functions: int
    classes: int
    imports: int
    tokens: int
    comments: int
    failed: int


def check_path(path: Path) -> None:
    """Check that a database can be stored at a path, before any work is done.

    Raises:
        DatabaseRefused: When it is no SQLite database, cannot be written, or has tables of these names that
            the demo did not make.
    """
    if not path.exists():
        if not path.parent.is_dir():
            raise DatabaseRefused(f"{str(path.parent)!r} is not a folder")
        if not os.access(path.parent, os.W_OK):
            raise DatabaseRefused(f"no permission to write into {str(path.parent)!r}")
        return
    if not path.is_file():
        raise DatabaseRefused(f"{str(path)!r} is not a file")
    if not os.access(path, os.R_OK | os.W_OK):
        raise DatabaseRefused(f"no permission to read and write {str(path)!r}")
    try:
        with contextlib.closing(
            sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)
        ) as connection:
            present = dict(connection.execute("SELECT name, sql FROM sqlite_master"))
    except sqlite3.Error as error:
        raise DatabaseRefused(f"{str(path)!r} cannot be used as an SQLite database: {error}") from error
    for name, sql in _TABLES.items():
        if present.get(name, sql) != sql:
            raise DatabaseRefused(
                f"{str(path)!r} has a table {name!r} that is not the demo's; choose another path"
            )


class Store:
    """Stores the rows of one run: `open`, `add` and `close` are for the single worker of the storing stage.

    The `with` block is around the run. A run that ends early leaves a database as it was, and removes a file
    that it made.

    Args:
        path: The database; a new temporary file when None.
        files: How many files the run has to store.
    """

    def __init__(self, path: Path | None, files: int) -> None:
        self._made = path is None or not path.exists()
        if path is None:
            descriptor, name = tempfile.mkstemp(prefix="pypeln-demo-", suffix=".sqlite")
            os.close(descriptor)
            path = Path(name)
        self.path = path
        self.committed = False
        self._files_missing = files
        self._definitions_missing = 0  # below zero while definitions arrive ahead of their file
        self._connection: sqlite3.Connection | None = None

    def __enter__(self) -> Store:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._connection is not None:  # the run ended before its worker could close it
            self._connection.close()
        if self._made and (error is not None or not self.committed):
            self.path.unlink(missing_ok=True)

    def open(self) -> dict[str, sqlite3.Connection]:
        """Begin the one transaction of the run: `on_start`."""
        # Whoever closes it may be another thread, after the worker has ended.
        connection = sqlite3.connect(self.path, isolation_level=None, check_same_thread=False)
        self._connection = connection
        connection.execute("BEGIN IMMEDIATE")
        for name, sql in _TABLES.items():
            connection.execute(f"DROP TABLE IF EXISTS {name}")
            connection.execute(sql)
        return {"connection": connection}

    def add(self, row: Row, connection: sqlite3.Connection) -> None:
        """Store one row."""
        if isinstance(row, Definition):
            connection.execute("INSERT INTO definitions VALUES (?, ?, ?, ?, ?)", row)
            self._definitions_missing -= 1
            return
        counts = (row.lines, row.functions, row.classes, row.imports, row.tokens, row.comments)
        connection.execute(
            "INSERT INTO files VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (row.name, row.origin, row.nbytes, *counts, row.error),
        )
        self._files_missing -= 1
        self._definitions_missing += row.functions + row.classes

    def close(self, connection: sqlite3.Connection) -> None:
        """End the transaction, in favour of what was stored if that is all: `on_done`."""
        if self._files_missing == 0 and self._definitions_missing == 0:
            connection.execute("COMMIT")
            self.committed = True
        connection.close()
        self._connection = None


def read_totals(path: Path) -> Totals:
    """Sum up what a database holds."""
    with contextlib.closing(sqlite3.connect(path)) as connection:
        sums = connection.execute(
            "SELECT count(*), sum(bytes), sum(lines), sum(functions), sum(classes), sum(imports), "
            "sum(tokens), sum(comments), count(error) FROM files"
        ).fetchone()
    return Totals(*sums)
