from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from ttfsrun.errors import CannotWrite
from ttfsrun.files import atomic_writer, list_folder, read_file, write_atomic


def test_a_file_appears_whole_or_not_at_all(tmp_path: Path) -> None:
    def interrupted() -> None:
        with atomic_writer(tmp_path / "file") as stream:
            stream.write(b"half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert list(tmp_path.iterdir()) == []
    with atomic_writer(tmp_path / "file") as stream:
        stream.write(b"whole")
        assert not (tmp_path / "file").exists()
    assert (tmp_path / "file").read_bytes() == b"whole"


@pytest.mark.parametrize("made", [os.mkfifo, Path.mkdir], ids=["pipe", "folder"])
def test_only_a_file_is_replaced(made: Callable[[Path], None], tmp_path: Path) -> None:
    path = tmp_path / "there"
    made(path)
    before = path.lstat()
    with pytest.raises(CannotWrite, match="cannot be written"):
        write_atomic(path, b"content")
    assert path.lstat().st_mode == before.st_mode
    assert list(tmp_path.iterdir()) == [path]


def test_a_name_may_be_as_long_as_the_system_allows(tmp_path: Path) -> None:
    path = tmp_path / ("n" * 255)
    write_atomic(path, b"content")
    assert read_file(path) == b"content"


def test_a_pipe_is_read_to_its_end_if_something_is_written_to_it(tmp_path: Path) -> None:
    path = tmp_path / "pipe"
    os.mkfifo(path)
    with pytest.raises(OSError, match="A pipe that nothing is written to") as caught:
        read_file(path)
    assert caught.value.filename == str(path)
    keeper = os.open(path, os.O_RDONLY | os.O_NONBLOCK)  # keeps what is written until it is read
    path.write_bytes(b"content")
    assert read_file(path) == b"content"
    os.close(keeper)


def test_a_folder_lists_what_ends_in_the_same_way(tmp_path: Path) -> None:
    for name in ("b.csv", "a.csv", "a.txt"):
        (tmp_path / name).touch()
    assert list_folder(tmp_path, ".csv") == [tmp_path / "a.csv", tmp_path / "b.csv"]
    assert list_folder(tmp_path / "missing", ".csv") == []
