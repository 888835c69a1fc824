"""Files that appear whole or not at all, and the user's folders."""

from __future__ import annotations

import errno
import hashlib
import os
import stat
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from ttfsrun.errors import CannotWrite, UserError, reason_of, ways_out

PART = ".part"  # ends the names of files that are being written


@contextmanager
def writing(path: Path, remedy: str = "") -> Iterator[None]:
    """Raise CannotWrite for an OSError within the block: it names the path, the reason, and the ways out.

    remedy: a way out besides those of the operating system's error.
    """
    try:
        yield
    except OSError as error:
        raise CannotWrite(f"{path}: cannot be written ({reason_of(error)}){ways_out(error, remedy)}") from error


@contextmanager
def atomic_writer(path: Path, remedy: str = "") -> Iterator[BinaryIO]:
    """Open a stream whose content gets the name `path` at the end, or, after any error, leaves nothing behind.

    Raises CannotWrite where the file cannot be written.
    """
    with writing(path, remedy):
        _require_replaceable(path)
        part = path.with_name(f".{uuid.uuid4().hex}{PART}")  # two processes never share one
        try:
            with part.open("xb") as stream:
                yield stream
            os.replace(part, path)
        finally:
            part.unlink(missing_ok=True)


def is_unfinished(path: Path) -> bool:
    """Return whether a file is what a killed process had yet to rename."""
    return path.name.startswith(".") and path.name.endswith(PART)


def unfinished_files(folder: Path) -> list[Path]:
    """Return the files in a folder that killed processes had yet to rename."""
    return [path for path in list_folder(folder, PART) if is_unfinished(path)]


def _require_replaceable(path: Path) -> None:
    """Raise OSError where there is something else than a file: renaming would replace even a device."""
    if path.is_dir():
        raise OSError(errno.EISDIR, os.strerror(errno.EISDIR))
    if path.exists() and not path.is_file():
        raise OSError(errno.EINVAL, "A device or a pipe, not a file")


def write_atomic(path: Path, content: bytes, remedy: str = "") -> None:
    """Write a file that appears whole, in a folder that is created if necessary.

    Raises CannotWrite where that fails; the message ends with the remedy, if any.
    """
    with writing(path, remedy):
        path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_writer(path, remedy) as stream:
        stream.write(content)


def read_file(path: Path) -> bytes:
    """Return the content of a file, or what comes out of a pipe that is being written to.

    Raises OSError, which names the path. Unlike with `Path.read_bytes`, that includes what would never end: a pipe
    that nothing is written to, and a device.
    """
    try:
        with open(path, "rb", opener=lambda name, flags: os.open(name, flags | os.O_NONBLOCK)) as stream:
            first = _require_end(stream.fileno())
            return first + stream.read()
    except ValueError:
        raise OSError(errno.EINVAL, "A name with a NUL character", str(path)) from None
    except OSError as error:
        error.filename = str(path)  # which reading, unlike opening, leaves out
        raise


def _require_end(handle: int) -> bytes:
    """Raise OSError where an open file may never end. Return what was read of a pipe to know that."""
    mode, first = os.fstat(handle).st_mode, b""
    if stat.S_ISFIFO(mode):
        with suppress(BlockingIOError):  # a process has opened it for writing, but not written yet
            first = os.read(handle, 1)
            if not first:
                raise OSError(errno.EINVAL, "A pipe that nothing is written to")
    elif not stat.S_ISREG(mode):
        raise OSError(errno.EINVAL, "A device, not a file")
    os.set_blocking(handle, True)
    return first


def list_folder(folder: Path, ending: str) -> list[Path]:
    """Return the sorted paths in a folder whose names have this ending; none where there is no folder.

    Raises OSError for a folder that may not be read, where `Path.glob` returns nothing.
    """
    try:
        return sorted(path for path in folder.iterdir() if path.name.endswith(ending))
    except FileNotFoundError:
        return []


def sha256(path: Path) -> str:
    """Return the SHA-256 checksum of a file's content, hexadecimal. Raises OSError where it cannot be read."""
    return hashlib.sha256(read_file(path)).hexdigest()


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
