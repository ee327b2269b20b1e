"""An HTTP server on the loopback interface, for the files that the demo fetches instead of reading."""

from __future__ import annotations

import contextlib
import http.server
import socketserver
import threading
from collections.abc import Iterable, Iterator
from http import HTTPStatus
from pathlib import Path
from urllib.parse import quote

from pypeln.demo.errors import DemoError


class _Server(socketserver.ThreadingTCPServer):
    # http.server.HTTPServer looks up the name of this host, which takes seconds on a machine without DNS.
    allow_reuse_address = True
    request_queue_size = 128  # with the default of 5, a burst of connections waits 1 s for TCP to try again
    daemon_threads = False  # so that closing the server joins them

    def __init__(self, root: Path, names: Iterable[str]) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.paths = {f"/{quote(name)}": root / name for name in names}

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing: a client that leaves early is the end of a run."""


class _Handler(http.server.BaseHTTPRequestHandler):
    server: _Server  # pyright: ignore[reportIncompatibleVariableOverride]
    timeout = 5  # seconds: a client that says nothing cannot keep the server from closing

    def do_GET(self) -> None:
        # Only the files that were offered, whatever the path of the request looks like.
        path = self.server.paths.get(self.path)
        if path is None:
            self.send_error(HTTPStatus.NOT_FOUND)
            return
        try:
            content = path.read_bytes()
        except OSError as error:
            self.send_error(HTTPStatus.INTERNAL_SERVER_ERROR, error.strerror)
            return
        self.send_response(HTTPStatus.OK)
        self.send_header("Content-Type", "text/x-python")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *arguments: object) -> None:
        """Keep the terminal for the progress line."""


@contextlib.contextmanager
def serve(root: Path, names: Iterable[str]) -> Iterator[str]:
    """Serve files over HTTP on 127.0.0.1, on a free port, until the `with` block ends.

    Args:
        root: The folder the files are in.
        names: The files to serve, relative to `root`; no others are.

    Yields:
        The base of the URLs, as in `http://127.0.0.1:40312`.

    Raises:
        DemoError: When no port can be opened on 127.0.0.1.
    """
    try:
        server = _Server(root, names)
    except OSError as error:
        raise DemoError(f"cannot listen on 127.0.0.1: {error}") from error
    # `shutdown` waits for up to one poll interval. A daemon, for an interrupt that comes before the `try`.
    thread = threading.Thread(
        target=server.serve_forever, args=(0.02,), name="pypeln-demo-server", daemon=True
    )
    try:
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        if thread.is_alive():
            server.shutdown()
            thread.join()
        server.server_close()
