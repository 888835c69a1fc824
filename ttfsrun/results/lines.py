"""Append-only files of JSON lines: each line is on disk before anything else happens.

A process can die in the middle of a line. Readers skip a torn line, and a writer that finds one begins a new line
after it.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeVar

import msgspec

T = TypeVar("T")

BUFFER = 1 << 18  # bytes of each read: on a network disk, the number of reads counts


def append_line(path: Path, entry: Any) -> None:
    """Add one entry (a struct or plain values) as a line of JSON, and wait until it is on disk.

    Raises OSError where the disk is full or the folder may not be written; then the file lacks the entry.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    line = encode_line(entry)
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o666)
    try:
        size = os.fstat(handle).st_size
        torn = size > 0 and os.pread(handle, 1, size - 1) != b"\n"
        _write(handle, (b"\n" if torn else b"") + line)
        os.fsync(handle)
    finally:
        os.close(handle)


def encode_line(entry: Any) -> bytes:
    """Return an entry as a line of JSON."""
    return msgspec.json.encode(entry) + b"\n"


def _write(handle: int, content: bytes) -> None:
    """Write the content, in one call where the system allows it: then lines of two writers cannot mix."""
    written = 0
    while written < len(content):
        written += os.write(handle, content[written:])


def read_lines(path: Path, kind: type[T]) -> Iterator[T]:
    """Yield the whole lines of a file as structs; none where there is no file. Torn and foreign lines are skipped.

    Only one line at a time is in memory.
    """
    decoder = msgspec.json.Decoder(kind)
    try:
        stream = path.open("rb", buffering=BUFFER)
    except FileNotFoundError:
        return
    with stream:
        for line in stream:
            try:
                yield decoder.decode(line)
            except msgspec.MsgspecError:
                continue
