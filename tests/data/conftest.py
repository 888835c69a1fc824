"""Datasets for the tests: the real MNIST where TTFSRUN_DATA has it, and synthetic files of the same format."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from ttfsrun.data import idx, mnist


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The user's cache and data folder are left alone."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("TTFSRUN_DATA", raising=False)
    return tmp_path / "cache" / "ttfsrun"


@pytest.fixture(scope="session")
def real_folder() -> Path:
    folder = os.environ.get("TTFSRUN_DATA")
    if not folder:
        pytest.skip("TTFSRUN_DATA is not set: it names the folder with MNIST's four files")
    missing = [file.name for file in mnist.FILES if idx.find_file(Path(folder), file.name) is None]
    if missing:
        pytest.skip(f"TTFSRUN_DATA={folder} lacks {', '.join(missing)}")
    return Path(folder)


@pytest.fixture
def real_mnist(real_folder: Path, tmp_path: Path) -> Path:
    """A writable folder with links to the real files, so that the original folder stays as it is."""
    folder = tmp_path / "real"
    folder.mkdir()
    for file in mnist.FILES:
        stored = idx.find_file(real_folder, file.name)
        assert stored is not None
        (folder / stored.path.name).symlink_to(stored.path.absolute())
    return folder


@pytest.fixture
def synthetic(digits: Callable[..., Path], tmp_path: Path) -> Path:
    """A folder with a dataset that is not MNIST."""
    return digits(tmp_path / "synthetic")


@pytest.fixture
def serve(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[dict[str, bytes]], str]]:
    """A function that serves contents by path from this machine, any other path with 404, and gives the address."""
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    servers: list[ThreadingHTTPServer] = []

    def start(contents: dict[str, bytes]) -> str:
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                content = contents.get(self.path.lstrip("/"))
                self.send_response(404 if content is None else 200)
                self.send_header("Content-Length", str(len(content or b"")))
                self.end_headers()
                self.wfile.write(content or b"")

            def log_message(self, *args: object) -> None:
                """Quiet."""

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        servers.append(server)
        Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        return f"http://127.0.0.1:{server.server_port}/"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.fixture
def closed_port() -> str:
    """An address where nobody answers."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler)
    port = server.server_port
    server.server_close()
    return f"http://127.0.0.1:{port}/"


@pytest.fixture
def read_only(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "read-only"
    folder.mkdir(mode=0o555)
    yield folder
    folder.chmod(0o755)
