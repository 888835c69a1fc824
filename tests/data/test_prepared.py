from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from ttfsrun.data import prepared
from ttfsrun.data.prepared import Prepared

NAME = "images.npz"


def example() -> Prepared:
    random = np.random.default_rng(0)
    return Prepared(
        random.integers(0, 256, (20, 4), np.uint8),
        random.integers(0, 10, 20, np.uint8),
        ("a" * 64, "b" * 64, "c" * 64, "d" * 64),
    )


def same(one: Prepared | None, other: Prepared) -> bool:
    return (
        one is not None
        and np.array_equal(one.pixels, other.pixels)
        and np.array_equal(one.labels, other.labels)
        and one.sha256 == other.sha256
    )


def test_what_is_read_is_what_was_written(tmp_path: Path) -> None:
    prepared.write_prepared([tmp_path], NAME, example())
    assert same(prepared.read_prepared([tmp_path], NAME), example())
    assert [path.name for path in tmp_path.iterdir()] == [NAME]


def test_nothing_prepared_is_none(tmp_path: Path) -> None:
    assert prepared.read_prepared([tmp_path, tmp_path / "absent"], NAME) is None


def test_a_torn_file_is_never_read(tmp_path: Path) -> None:
    prepared.write_prepared([tmp_path], NAME, example())
    whole = (tmp_path / NAME).read_bytes()
    for length in range(0, len(whole), 7):
        (tmp_path / NAME).write_bytes(whole[:length])
        assert prepared.read_prepared([tmp_path], NAME) is None


def test_a_changed_byte_is_noticed_or_without_effect(tmp_path: Path) -> None:
    prepared.write_prepared([tmp_path], NAME, example())
    whole = (tmp_path / NAME).read_bytes()
    noticed = 0
    for position in range(len(whole)):
        changed = bytearray(whole)
        changed[position] ^= 0x80
        (tmp_path / NAME).write_bytes(changed)
        stored = prepared.read_prepared([tmp_path], NAME)
        assert stored is None or same(stored, example())
        noticed += stored is None
    assert noticed > len(whole) // 2


def test_a_pickle_is_never_loaded(tmp_path: Path) -> None:
    np.savez(tmp_path / NAME, pixels=np.array([{}], object), labels=np.zeros(1), sha256=np.array(["a"]))
    assert prepared.read_prepared([tmp_path], NAME) is None


def test_the_name_follows_the_source_and_the_size() -> None:
    names = [
        prepared.file_name(28, [b"images", b"labels"]),
        prepared.file_name(16, [b"images", b"labels"]),
        prepared.file_name(28, [b"imagef", b"labels"]),
        prepared.file_name(28, [b"labels", b"images"]),
        prepared.file_name(28, [b"imagesl", b"abels"]),
    ]
    assert len(set(names)) == len(names)
    assert names[0] == prepared.file_name(28, [b"images", b"labels"])


def test_where_the_first_folder_takes_no_files_the_second_does(read_only: Path, tmp_path: Path) -> None:
    places = [read_only, tmp_path / "new" / "cache"]
    prepared.write_prepared(places, NAME, example())
    assert list(read_only.iterdir()) == []
    assert same(prepared.read_prepared(places, NAME), example())


def test_where_no_folder_takes_files_nothing_is_kept_and_nothing_fails(read_only: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    places = [read_only, tmp_path / "file" / "below"]
    prepared.write_prepared(places, NAME, example())
    assert prepared.read_prepared(places, NAME) is None


def test_readers_see_whole_files_while_others_write(tmp_path: Path) -> None:
    def write_and_read(_: int) -> bool:
        prepared.write_prepared([tmp_path], NAME, example())
        return same(prepared.read_prepared([tmp_path], NAME), example())

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(write_and_read, range(100)))
    assert [path.name for path in tmp_path.iterdir()] == [NAME]
