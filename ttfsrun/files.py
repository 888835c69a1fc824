"""Files that appear whole or not at all, and folders of the user's."""

from __future__ import annotations

import hashlib
import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO


@contextmanager
def appears_whole(path: Path) -> Iterator[BinaryIO]:
    """A stream whose content gets the name `path` at the end, or, after any error, leaves nothing behind."""
    part = path.with_name(f".{path.name}.{uuid.uuid4().hex}.part")  # two processes never share one
    try:
        with part.open("xb") as stream:
            yield stream
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


def write_whole(path: Path, content: bytes) -> None:
    """Write a file that appears whole, in a folder that is made if need be."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with appears_whole(path) as stream:
        stream.write(content)


def sha256(path: Path) -> str:
    """Checksum of a file's content, hexadecimal."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def user_cache() -> Path:
    """`~/.cache/ttfsrun`, or where XDG_CACHE_HOME says."""
    return expanded(os.environ.get("XDG_CACHE_HOME") or "~/.cache") / "ttfsrun"


def expanded(folder: str) -> Path:
    """A path in which ~ stands for the user's home; unlike `Path.expanduser` it stays where there is no home."""
    return Path(os.path.expanduser(folder))
