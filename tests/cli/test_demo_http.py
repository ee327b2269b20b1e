"""The demo's HTTP server and its client, against each other and against peers that break the rules."""

from __future__ import annotations

import asyncio
import http.client
import socket
import threading
from pathlib import Path

import pytest

from pypeln.demo.errors import DemoError
from pypeln.demo.fetch import fetch
from pypeln.demo.server import serve


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "package").mkdir()
    (tmp_path / "package" / "module.py").write_bytes(b"x = 1\r\n\r\n" * 50_000)
    (tmp_path / "with space & more.py").write_bytes(b"")
    (tmp_path / "secret.py").write_bytes(b"not offered")
    return tmp_path


NAMES = ["package/module.py", "with space & more.py"]


def answer_with(response: bytes) -> tuple[str, threading.Thread]:
    """A server that gives one connection these bytes, whatever it asks."""
    listener = socket.create_server(("127.0.0.1", 0))

    def answer() -> None:
        with listener:
            connection, _ = listener.accept()
            with connection:
                connection.recv(4096)
                connection.sendall(response)

    thread = threading.Thread(target=answer)
    thread.start()
    return f"http://127.0.0.1:{listener.getsockname()[1]}/x.py", thread


def test_what_is_fetched_is_what_is_in_the_file(root: Path) -> None:
    with serve(root, NAMES) as base_url:
        assert base_url.startswith("http://127.0.0.1:")
        content = asyncio.run(fetch(f"{base_url}/package/module.py"))
        assert content == (root / "package" / "module.py").read_bytes()
        assert asyncio.run(fetch(f"{base_url}/with%20space%20%26%20more.py")) == b""


def test_many_can_fetch_at_once(root: Path) -> None:
    async def fetch_all(url: str) -> list[bytes]:
        return await asyncio.gather(*(fetch(url) for _ in range(100)))

    with serve(root, NAMES) as base_url:
        contents = asyncio.run(fetch_all(f"{base_url}/package/module.py"))
    assert contents == [(root / "package" / "module.py").read_bytes()] * 100


@pytest.mark.parametrize(
    "path", ["/secret.py", "/", "/package/../secret.py", "//etc/passwd", "/../../../../etc/passwd"]
)
def test_only_the_offered_files_are_served(path: str, root: Path) -> None:
    with serve(root, NAMES) as base_url:
        connection = http.client.HTTPConnection(base_url.removeprefix("http://"), timeout=10)
        connection.request("GET", path)
        assert connection.getresponse().status == 404
        connection.close()


def test_a_file_that_is_gone_is_an_error_that_names_the_url(root: Path) -> None:
    (root / "package" / "module.py").unlink()
    with serve(root, NAMES) as base_url, pytest.raises(DemoError, match=r"package/module\.py.* 500 "):
        asyncio.run(fetch(f"{base_url}/package/module.py"))


def test_after_the_block_nothing_listens_and_no_thread_is_left(root: Path) -> None:
    threads = set(threading.enumerate())
    with serve(root, NAMES) as base_url:
        asyncio.run(fetch(f"{base_url}/package/module.py"))
    assert set(threading.enumerate()) == threads
    with pytest.raises(OSError):  # noqa: PT011 - refused, in the words of each system
        asyncio.run(fetch(f"{base_url}/package/module.py"))


def test_a_client_that_leaves_early_is_not_written_about(
    root: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with serve(root, NAMES) as base_url:
        host, port = base_url.removeprefix("http://").split(":")
        with socket.create_connection((host, int(port))) as client:
            client.sendall(b"GET /package/module.py HTTP/1.1\r\n\r\n")
            client.recv(10)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    "response",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"HTTP/1.1 200 OK\r\nContent-Le", id="half of the headers"),
        pytest.param(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n12345", id="half of the body"),
    ],
)
def test_an_answer_that_breaks_off_is_an_error_and_never_a_short_file(response: bytes) -> None:
    url, server = answer_with(response)
    with pytest.raises(DemoError, match="closed the connection"):
        asyncio.run(fetch(url))
    server.join()
