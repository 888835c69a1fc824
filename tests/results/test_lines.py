"""Files of lines: a torn one costs itself and nothing else."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec
import pytest

from ttfsrun.results import lines


class Entry(msgspec.Struct):
    number: int


def numbers(path: Path) -> list[int]:
    return [entry.number for entry in lines.read_lines(path, Entry)]


def test_entries_come_back_in_order(tmp_path):
    for number in range(5):
        lines.append_line(tmp_path / "new" / "shard", Entry(number))
    assert numbers(tmp_path / "new" / "shard") == [0, 1, 2, 3, 4]


def test_where_there_is_no_file_there_are_no_entries(tmp_path):
    assert numbers(tmp_path / "nothing") == []


@pytest.mark.parametrize("torn", [b'{"num', b'{"number":', b"{", b'{"number": "text"}', b"\0\0\0\0"])
def test_a_torn_line_is_skipped_and_the_next_one_is_whole(tmp_path, torn):
    path = tmp_path / "shard"
    lines.append_line(path, Entry(1))
    with path.open("ab") as stream:
        stream.write(torn)
    assert numbers(path) == [1]
    lines.append_line(path, Entry(2))
    assert numbers(path) == [1, 2]


def test_a_full_disk_is_an_error_that_names_itself(tmp_path):
    with pytest.raises(OSError, match="No space left"):
        lines.append_line(Path("/dev/full"), Entry(1))


def test_a_line_is_on_disk_when_append_returns(tmp_path, monkeypatch):
    synced = []
    monkeypatch.setattr(os, "fsync", lambda handle: synced.append(os.fstat(handle).st_size))
    lines.append_line(tmp_path / "shard", Entry(1))
    assert synced == [(tmp_path / "shard").stat().st_size]
