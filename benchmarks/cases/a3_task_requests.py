"""A3: HTTP requests to a server on this machine: what a client costs beside the requests, and its memory."""

from __future__ import annotations

import asyncio
from contextlib import AbstractContextManager, nullcontext
from time import perf_counter
from typing import Any

from contenders.http_clients import (
    Client,
    aiometer_client,
    pypeln_client,
    semaphore_client,
    shared_iterator_client,
)
from contenders.http_server import serving
from harness.case import Case, Contender, Role, Sample
from harness.checks import check_each_once
from harness.resources import own_peak_rss_mib


def opening(client: Client) -> Any:
    """Nothing is open before the requests: the measure calls the client itself."""

    def open_client(items: int, workers: int) -> AbstractContextManager[Client]:
        return nullcontext(client)

    return open_client


def requests(case: Case, contender: Contender, items: int, workers: int) -> Sample:
    """Requests per second, and how the peak memory of this process grew; the server is in another one."""
    import aiohttp

    async def fetch(client: Client, base: str) -> list[int]:
        connector = aiohttp.TCPConnector(limit=0)
        async with aiohttp.ClientSession(connector=connector) as session:

            async def get(number: int) -> int:
                async with session.get(f"{base}/{number}") as response:
                    return int(await response.text())

            return await client(get, items, workers)

    with serving() as base, contender.open(items, workers) as client:
        before = own_peak_rss_mib()
        start = perf_counter()
        results = asyncio.run(fetch(client, base))
        elapsed = perf_counter() - start
        peak = own_peak_rss_mib()
    check_each_once(results, case.expected(items))
    return Sample(items / elapsed, {"peak MiB": peak, "grown MiB": peak - before})


def contender(name: str, role: Role, client: Client, *packages: str) -> Contender:
    return Contender(name, role, 20_000, opening(client), packages=("aiohttp", *packages), streams=False)


CASE = Case(
    name="A3",
    title="20,000 GETs from an aiohttp server on this machine",
    unit="requests/s",
    higher_is_better=True,
    workers=(100, 1000),
    measure=requests,
    expected=range,
    contenders=(
        contender("pypeln await", Role.PYPELN, pypeln_client),
        contender("pypeln 0.4.9", Role.OLD, pypeln_client),
        contender("gather + Semaphore", Role.PEER, semaphore_client),
        contender("aiometer", Role.PEER, aiometer_client, "aiometer"),
        contender("shared iterator by hand", Role.CEILING, shared_iterator_client),
    ),
)
