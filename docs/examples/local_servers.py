"""A few small web servers on this machine, for downloader.py to have something to download.

Each listens on a port of its own on 127.0.0.1, and stands for a host. As real hosts do, they take a moment
for each page, answer some first requests with 503 (busy, come back later), and miss a page.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from aiohttp import web

ANSWER_S = 0.01  # seconds that a server thinks about a page


@dataclass
class Host:
    """One server: what it was asked, and how many requests it had at once."""

    asked: set[str] = field(default_factory=set)
    now: int = 0
    most_at_once: int = 0

    async def answer(self, request: web.Request) -> web.Response:
        self.now += 1
        self.most_at_once = max(self.most_at_once, self.now)
        try:
            await asyncio.sleep(ANSWER_S)
            number = int(request.match_info["number"])
            first_time = request.path not in self.asked
            self.asked.add(request.path)
            if number % 10 == 0 and first_time:
                return web.Response(status=503, headers={"Retry-After": "1"} if number == 20 else {})
            if number == 13:
                return web.Response(status=404, text="no such page")
            return web.Response(text=f"This is page {number}.")
        finally:
            self.now -= 1


@dataclass
class Site:
    """What the servers offer."""

    urls: list[str]
    hosts: list[Host]

    @property
    def most_at_once(self) -> int:
        """The largest number of requests that any host had to answer at the same time."""
        return max(host.most_at_once for host in self.hosts)


async def start(hosts: list[Host], pages: int) -> tuple[list[str], list[web.AppRunner]]:
    """Start a server per host on a free port; returns the URLs of their pages and what stops them."""
    urls, runners = [], []
    for host in hosts:
        application = web.Application()
        application.add_routes([web.get("/page/{number}", host.answer)])
        runner = web.AppRunner(application)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        runners.append(runner)
        port = runner.addresses[0][1]
        urls += [f"http://127.0.0.1:{port}/page/{number}" for number in range(pages)]
    return urls, runners


@contextmanager
def serve(hosts: int, pages: int) -> Iterator[Site]:
    """Run servers in a thread while the block lasts.

    Args:
        hosts: How many servers.
        pages: How many pages each has.

    Yields:
        The `Site`, with the URLs of all pages.
    """
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="local servers")
    thread.start()
    runners: list[web.AppRunner] = []
    try:
        servers = [Host() for _ in range(hosts)]
        urls, runners = asyncio.run_coroutine_threadsafe(start(servers, pages), loop).result()
        yield Site(urls, servers)
    finally:
        for runner in runners:
            asyncio.run_coroutine_threadsafe(runner.cleanup(), loop).result()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()
