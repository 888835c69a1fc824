"""Files that appear whole or not at all, and the user's folders."""

from __future__ import annotations

import hashlib
import os
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from ttfsrun.errors import CannotWrite, UserError


@contextmanager
def writing(path: Path, remedy: str = "") -> Iterator[None]:
    """Raise CannotWrite for an OSError within the block: it names the path, the reason, and the remedy if any."""
    try:
        yield
    except OSError as error:
        raise CannotWrite(f"{path}: cannot be written ({error.strerror or error}){remedy and f'; {remedy}'}") from error


@contextmanager
def atomic_writer(path: Path, remedy: str = "") -> Iterator[BinaryIO]:
    """Open a stream whose content gets the name `path` at the end, or, after any error, leaves nothing behind.

    Raises CannotWrite where the file cannot be written.
    """
    part = path.with_name(f".{path.name}.{uuid.uuid4().hex}.part")  # two processes never share one
    with writing(path, remedy):
        try:
            with part.open("xb") as stream:
                yield stream
            os.replace(part, path)
        finally:
            part.unlink(missing_ok=True)


def write_atomic(path: Path, content: bytes, remedy: str = "") -> None:
    """Write a file that appears whole, in a folder that is created if necessary.

    Raises CannotWrite where that fails; the message ends with the remedy, if any.
    """
    with writing(path, remedy):
        path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_writer(path, remedy) as stream:
        stream.write(content)


def sha256(path: Path) -> str:
    """Return the SHA-256 checksum of a file's content, hexadecimal. Raises OSError where it cannot be read."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def has_checksum(path: Path, checksum: str) -> bool:
    """Return whether a file exists with content of this SHA-256 checksum."""
    try:
        return sha256(path) == checksum
    except OSError:
        return False


def require_unchanged(files: Mapping[str, str], event: str) -> None:
    """Raise UserError for a file that is missing, or whose content has changed, since an event.

    files: the SHA-256 checksum of each.
    """
    for file, checksum in files.items():
        if not has_checksum(Path(file), checksum):
            what = "has changed" if os.path.lexists(file) else "has been removed"
            raise UserError(f"{file} {what} since {event}; restore it (SHA-256 {checksum}), or name another file")


def user_cache() -> Path:
    """Return `~/.cache/ttfsrun`, or the folder that XDG_CACHE_HOME names."""
    return expand_user(os.environ.get("XDG_CACHE_HOME") or "~/.cache") / "ttfsrun"


def expand_user(folder: str) -> Path:
    """Return a path with ~ expanded to the user's home. Unlike `Path.expanduser`, ~ stays where there is no home."""
    return Path(os.path.expanduser(folder))
