from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest

from ttfsrun.data import DataError, idx

ARRAY = np.arange(24, dtype=np.uint8).reshape(2, 3, 4)
HEADER = bytes.fromhex("00000803 00000002 00000003 00000004")
CONTENT = HEADER + ARRAY.tobytes()


def test_the_array_of_a_file_is_what_was_written() -> None:
    assert np.array_equal(idx.parse_idx(CONTENT, (2, 3, 4), "file"), ARRAY)


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"", "starts with nothing"),
        (b"<html>not found</html>", "starts with 3c68746d"),
        (bytes.fromhex("00000801 00000002") + b"ab", "starts with 00000801 .* starts with 00000803"),
        (b"\0\0\x0d\x03" + CONTENT[4:], "starts with 00000d03"),
        (HEADER[:10], "ends within its header, after 10 bytes"),
        (bytes.fromhex("00000803 00000001 00000003 00000004") + bytes(12), "1 x 3 x 4 values where 2 x 3 x 4"),
        (CONTENT[:-1], "39 bytes where its header promises 40"),
        (CONTENT + b"x", "41 bytes where its header promises 40"),
    ],
)
def test_a_file_that_is_not_as_expected_is_refused_by_name(content: bytes, complaint: str) -> None:
    with pytest.raises(DataError, match=complaint) as error:
        idx.parse_idx(content, (2, 3, 4), "some/file")
    assert str(error.value).startswith("some/file: ")
    assert "downloaded again" in str(error.value)
    assert "\n" not in str(error.value)


def damaged_in_the_middle() -> bytes:
    content = bytearray(gzip.compress(CONTENT * 100))
    content[len(content) // 2] ^= 0xFF
    return bytes(content)


def wrong_crc() -> bytes:
    content = bytearray(gzip.compress(CONTENT))
    content[-8] ^= 0xFF
    return bytes(content)


@pytest.mark.parametrize(
    "content",
    [b"no gzip", gzip.compress(CONTENT)[:-9], gzip.compress(CONTENT)[:15], damaged_in_the_middle(), wrong_crc()],
    ids=["no gzip", "torn off", "torn in the header", "damaged in the middle", "wrong CRC"],
)
def test_a_damaged_gzip_file_is_refused_by_name(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "images.gz"
    path.write_bytes(content)
    stored = idx.find_file(tmp_path, "images")
    assert stored is not None
    with pytest.raises(DataError, match="damaged gzip file") as error:
        _ = stored.unpacked
    assert str(path) in str(error.value)


def test_a_file_is_found_raw_or_gzipped_with_the_same_hash(tmp_path: Path) -> None:
    (tmp_path / "raw").write_bytes(CONTENT)
    (tmp_path / "packed.gz").write_bytes(gzip.compress(CONTENT))
    raw, packed = idx.find_file(tmp_path, "raw"), idx.find_file(tmp_path, "packed")
    assert raw is not None
    assert packed is not None
    assert raw.unpacked == packed.unpacked == CONTENT
    assert raw.sha256 == packed.sha256


def test_a_file_that_is_absent_is_none(tmp_path: Path) -> None:
    assert idx.find_file(tmp_path, "images") is None
    assert idx.find_file(tmp_path / "no folder", "images") is None


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    with pytest.raises(DataError, match=r"images: cannot be read \(Is a directory\)"):
        idx.find_file(tmp_path, "images")
