from __future__ import annotations

import gzip
import hashlib
import io
from collections.abc import Callable
from pathlib import Path

import pytest
from rich.console import Console
from rich.progress import Progress

from ttfsrun.data import DataError, download, idx

Serve = Callable[[dict[str, bytes]], str]

CONTENT = b"images " * 100_000
PACKED = gzip.compress(CONTENT, mtime=0)  # or the names of tests would hold the time
IMAGES = idx.Expected("images", (1,), hashlib.sha256(CONTENT).hexdigest())


def test_a_file_is_downloaded_under_its_name_and_nothing_else_is_left(serve: Serve, tmp_path: Path) -> None:
    mirror = serve({"mnist/images.gz": PACKED}) + "mnist/"
    download.fetch([IMAGES], tmp_path / "new" / "folder", [mirror])
    assert [path.name for path in (tmp_path / "new" / "folder").iterdir()] == ["images.gz"]
    assert (tmp_path / "new" / "folder" / "images.gz").read_bytes() == PACKED


def test_another_packing_of_the_same_content_is_as_good(serve: Serve, tmp_path: Path) -> None:
    mirror = serve({"images.gz": gzip.compress(CONTENT, compresslevel=1)})
    download.fetch([IMAGES], tmp_path, [mirror])
    stored = idx.find_file(tmp_path, "images")
    assert stored is not None
    assert stored.sha256 == IMAGES.sha256


def test_content_that_arrives_unpacked_is_stored_under_the_name_of_a_raw_file(serve: Serve, tmp_path: Path) -> None:
    download.fetch([IMAGES], tmp_path, [serve({"images.gz": CONTENT})])
    assert [path.name for path in tmp_path.iterdir()] == ["images"]


def test_the_next_mirror_is_asked_where_the_first_fails(serve: Serve, closed_port: str, tmp_path: Path) -> None:
    server = serve({"good/images.gz": PACKED, "corrupt/images.gz": PACKED[:-4], "other/images.gz": b"<html>"})
    mirrors = [closed_port, f"{server}absent/", f"{server}corrupt/", f"{server}other/", f"{server}good/"]
    download.fetch([IMAGES], tmp_path, mirrors)
    assert (tmp_path / "images.gz").read_bytes() == PACKED


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (PACKED[:-100], "a damaged gzip file"),
        (gzip.compress(b"other", mtime=0), "not MNIST's content"),
        (b"<html>please log in</html>", "not MNIST's content"),
    ],
)
def test_wrong_content_is_refused_and_leaves_nothing(content: bytes, reason: str, serve: Serve, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=reason) as error:
        download.fetch([IMAGES], tmp_path, [serve({"images.gz": content})])
    assert "\n" not in str(error.value)
    assert list(tmp_path.iterdir()) == []


def test_without_network_the_error_names_every_mirror_and_the_way_out(
    serve: Serve, closed_port: str, tmp_path: Path
) -> None:
    server = serve({})
    with pytest.raises(DataError) as error:
        download.fetch([IMAGES], tmp_path, [closed_port, server])
    text = str(error.value)
    assert text.startswith("images.gz cannot be downloaded")
    assert f"{closed_port}: ConnectionError" in text
    assert f"{server}: HTTP status 404" in text
    assert f"copy MNIST's four files into {tmp_path}" in text
    assert "\n" not in text
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_written_is_named_before_anything_is_downloaded(
    read_only: Path, closed_port: str
) -> None:
    with pytest.raises(DataError, match=rf"{read_only}: cannot download images .*Permission denied.*set data.folder"):
        download.fetch([IMAGES], read_only, [closed_port])


def test_a_file_where_the_folder_should_be_is_named(tmp_path: Path, closed_port: str) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(DataError, match="file: cannot download images"):
        download.fetch([IMAGES], tmp_path / "file", [closed_port])


def test_nothing_is_shown_where_the_messages_go_to_no_terminal(
    serve: Serve, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    download.fetch([IMAGES], tmp_path, [serve({"images.gz": PACKED})])
    assert capfd.readouterr() == ("", "")


def test_a_terminal_sees_the_name_and_the_progress(
    serve: Serve, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown = io.StringIO()
    console = Console(file=shown, force_terminal=True, width=100)
    monkeypatch.setattr(download, "_progress", lambda: Progress(console=console))
    download.fetch([IMAGES], tmp_path, [serve({"images.gz": PACKED})])
    assert "images" in shown.getvalue()
