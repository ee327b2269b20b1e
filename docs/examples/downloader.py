"""Download pages politely into an SQLite file: tasks fetch, a thread stores.

    python docs/examples/downloader.py [--urls FILE] [--database FILE] [--per-host 2] [--retries 4]

Without a list of URLs it downloads from three servers that it starts itself on this machine, which are busy
now and then, as real ones are. Needs aiohttp (`pip install aiohttp`).

What to look at: every host gets a stage of its own, so `workers` is the limit per host; `io.concat` joins
them; `on_start` and `on_done` open and close the session and the database; a queue with a bound between tasks
and thread makes the tasks wait when the disk is slower than the network.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import sqlite3
import sys
import tempfile
from collections import defaultdict
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import aiohttp
from local_servers import serve

from pypeln import io, th

BUSY = {429, 503}  # statuses by which a server asks for patience


class Page(NamedTuple):
    """A download that has ended: status 0 stands for a server that could not be reached."""

    url: str
    status: int
    tries: int
    body: str


def open_session() -> dict[str, Any]:
    return {"session": aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=10))}


async def close_session(session: aiohttp.ClientSession) -> None:
    await session.close()


async def fetch(url: str, session: aiohttp.ClientSession, retries: int) -> Page:
    """Get a page; a busy server is asked again, after the time it names or twice as long as before."""
    pause_s = 0.05
    for attempt in range(1, retries + 2):
        wanted_pause = None
        try:
            async with session.get(url) as response:
                page = Page(url, response.status, attempt, await response.text())
                wanted_pause = response.headers.get("Retry-After")
        except (aiohttp.ClientError, asyncio.TimeoutError) as error:
            page = Page(url, 0, attempt, f"{type(error).__name__}: {error}")
        if page.status and page.status not in BUSY:
            break
        if attempt <= retries:
            asked_s = float(wanted_pause) if wanted_pause and wanted_pause.isdigit() else 0.0
            # Chance spreads the retries of many tasks, or they would all come back at the same moment.
            await asyncio.sleep(max(asked_s, pause_s * random.uniform(0.5, 1)))
            pause_s *= 2
    return page


def open_database(path: Path) -> dict[str, Any]:
    database = sqlite3.connect(path)
    database.execute(
        "create table if not exists pages (url text primary key, status int, tries int, body text)"
    )
    return {"database": database}


def store(page: Page, database: sqlite3.Connection) -> Page:
    database.execute("insert or replace into pages values (?, ?, ?, ?)", page)
    return page


def close_database(database: sqlite3.Connection) -> None:
    database.commit()
    database.close()


def download(urls: list[str], path: Path, per_host: int, retries: int) -> None:
    """Fetch all URLs, at most `per_host` at once from each host, and report how it went."""
    by_host = defaultdict(list)
    for url in urls:
        by_host[urlsplit(url).netloc].append(url)

    get = partial(fetch, retries=retries)
    hosts = [
        io.map(get, host_urls, workers=per_host, on_start=open_session, on_done=close_session)
        for host_urls in by_host.values()
    ]
    pages = io.concat(hosts, maxsize=32)
    stored = th.map(store, pages, maxsize=32, on_start=partial(open_database, path), on_done=close_database)

    fetched, failed, again = 0, [], 0
    for page in stored:
        fetched += page.status == 200
        again += page.tries - 1
        if page.status != 200:
            failed.append(page)
    print(f"{fetched} of {len(urls)} pages from {len(by_host)} hosts, {again} retries, stored in {path}")
    for page in failed:
        print(f"failed: {page.url} with status {page.status}", file=sys.stderr)


def main() -> None:
    parser = argparse.ArgumentParser(description="Download pages politely into an SQLite file.")
    parser.add_argument("--urls", type=Path, help="a file of URLs, one a line (default: servers of its own)")
    parser.add_argument("--database", type=Path, help="the SQLite file (default: a new one)")
    parser.add_argument("--per-host", type=int, default=2, help="requests at once (default: %(default)s)")
    parser.add_argument(
        "--retries", type=int, default=4, help="for a page of a busy host (default: %(default)s)"
    )
    options = parser.parse_args()
    if options.retries < 0:
        parser.error("--retries must not be negative")
    path = options.database or Path(tempfile.mkdtemp(prefix="pypeln-pages-")) / "pages.db"

    if options.urls is not None:
        urls = [line.strip() for line in options.urls.read_text().splitlines() if line.strip()]
        download(urls, path, options.per_host, options.retries)
        return
    with serve(hosts=3, pages=30) as site:
        download(site.urls, path, options.per_host, options.retries)
        print(f"no host had more than {site.most_at_once} requests at once")


if __name__ == "__main__":
    main()
