"""An HTTP GET on asyncio streams: as much of a client as the demo needs, without a dependency."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import io
from urllib.parse import urlsplit

from pypeln.demo.errors import DemoError


async def fetch(url: str) -> bytes:
    """Fetch a resource over plain HTTP.

    Args:
        url: Its address, `http://host:port/path`.

    Returns:
        The body of the response.

    Raises:
        DemoError: When the server answers with anything but 200 and a body of the length it announces.
        OSError: When it cannot be reached.
    """
    address = urlsplit(url)
    reader, writer = await asyncio.open_connection(address.hostname, address.port)
    try:
        request = f"GET {address.path} HTTP/1.1\r\nHost: {address.netloc}\r\nConnection: close\r\n\r\n"
        writer.write(request.encode("ascii"))
        await writer.drain()
        status, _, fields = (await reader.readuntil(b"\r\n\r\n")).partition(b"\r\n")
        if status.split()[1] != b"200":
            raise DemoError(f"{url}: the server answered {status.decode('latin-1')}")
        headers = http.client.parse_headers(io.BytesIO(fields))
        # Not until the end of the stream: a process forked meanwhile keeps a copy of the server's socket.
        return await reader.readexactly(int(headers["Content-Length"]))
    except asyncio.IncompleteReadError as error:
        raise DemoError(f"{url}: the server closed the connection in the middle of its answer") from error
    finally:
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()
