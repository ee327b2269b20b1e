"""The demo's pipeline: threads read, tasks fetch, processes parse, a thread stores."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from sqlite3 import Connection
from urllib.parse import quote

from pypeln import io, pr, th
from pypeln.demo.database import Store, Totals, read_totals
from pypeln.demo.errors import DemoError
from pypeln.demo.fetch import fetch
from pypeln.demo.figures import StageFigures
from pypeln.demo.parse import Module, Row, Source, parse
from pypeln.demo.progress import Progress
from pypeln.demo.server import serve
from pypeln.demo.sources import choose_files, standard_library

FETCHED_SHARE = 4  # one file in so many comes over HTTP
READERS = 4
FETCHERS = 16
MAXSIZE = 64  # elements that wait in front of a stage: its workers stay busy, memory stays small


@dataclass(frozen=True)
class Outcome:
    """What a run of the job did."""

    stages: list[StageFigures]
    totals: Totals
    seconds: float
    database: Path


class Job:
    """The functions of the pipeline's stages, and what they count.

    Args:
        root: The folder of the files.
        base_url: Where the same files can be fetched.
        store: Where the rows go.
        workers: How many processes parse.
    """

    def __init__(self, root: Path, base_url: str, store: Store, workers: int) -> None:
        self._root = root
        self._base_url = base_url
        self._store = store
        self.reading = StageFigures("read", "threads (th)", READERS)
        self.fetching = StageFigures("fetch", "tasks (io)", FETCHERS)
        self.parsing = StageFigures("parse", "processes (pr)", workers)
        self.storing = StageFigures("store", "threads (th)", 1)

    def rows(self, names: list[str]) -> Iterable[Row]:
        """The pipeline over the named files: each row, once it is stored."""
        fetched_names = names[::FETCHED_SHARE]
        read_names = [name for index, name in enumerate(names) if index % FETCHED_SHARE]

        read = th.map(self.read, read_names, workers=READERS, maxsize=MAXSIZE)
        fetched = io.map(self.fetch, fetched_names, workers=FETCHERS, maxsize=MAXSIZE)
        sources = th.concat([read, fetched], maxsize=MAXSIZE)
        rows = pr.flat_map(parse, sources, workers=self.parsing.workers, maxsize=MAXSIZE)
        return th.map(self.save, rows, maxsize=MAXSIZE, on_start=self._store.open, on_done=self._store.close)

    def read(self, name: str) -> Source:
        """Read a file from the disk."""
        with self.reading.element():
            return Source(name, "file", (self._root / name).read_bytes())

    async def fetch(self, name: str) -> Source:
        """Fetch a file over HTTP."""
        with self.fetching.element():
            return Source(name, "http", await fetch(f"{self._base_url}/{quote(name)}"))

    def save(self, row: Row, connection: Connection) -> Row:
        """Store a row in the database."""
        with self.storing.element():
            self._store.add(row, connection)
            return row


def run_job(files: int, workers: int, database: Path | None, progress: Progress) -> Outcome:
    """Run the demo's job.

    Args:
        files: How many source files to work on; all there are when there are fewer.
        workers: How many processes parse.
        database: Where to store; a new temporary file when None.
        progress: Is told of each file that is stored.

    Returns:
        What each stage did and what was found.

    Raises:
        DemoError: When there is nothing to work on, or not all of it was stored.
    """
    begin = time.perf_counter()
    root = standard_library()
    names = choose_files(root, files)
    progress.start(len(names))
    with serve(root, names) as base_url, Store(database, len(names)) as store:
        job = Job(root, base_url, store, workers)
        for row in job.rows(names):
            if isinstance(row, Module):
                # A process cannot add to figures of this one; its time comes with the row.
                job.parsing.record(*row.parsed, emitted=row.functions + row.classes + 1)
                progress.advance()
        if not store.committed:
            raise DemoError(
                f"only {job.parsing.taken} of {len(names)} files arrived complete; nothing was stored"
            )
        stages = [job.reading, job.fetching, job.parsing, job.storing]
        return Outcome(stages, read_totals(store.path), time.perf_counter() - begin, store.path)
