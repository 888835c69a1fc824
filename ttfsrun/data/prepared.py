"""Prepared images, stored so that only the first run unpacks and resizes them.

A file's name contains the hash of everything that determines its content, including the bytes of the source files:
another source, size or format is another file, and none is ever out of date. Hashing the gzipped sources takes
about 10 ms; detecting a change by time and size would save them, but could be wrong.
"""

from __future__ import annotations

import hashlib
import logging
import struct
import zipfile
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ttfsrun.data import folders
from ttfsrun.errors import CannotWrite
from ttfsrun.files import atomic_writer

FORMAT = 1  # raise it when the preparation or this file's layout changes

# What numpy and zipfile raise for a file that is missing, incomplete or has any byte changed.
_UNREADABLE = (
    OSError, ValueError, KeyError, EOFError, RuntimeError, struct.error, zipfile.BadZipFile, zlib.error
)  # fmt: skip

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Prepared:
    """Images of all splits, training first.

    pixels [n, size * size]: uint8, 0 is white; labels [n]: uint8; sha256: of the source files, unpacked.
    """

    pixels: NDArray[np.uint8]
    labels: NDArray[np.uint8]
    sha256: tuple[str, ...]


def file_name(size: int, sources: Iterable[bytes]) -> str:
    """Return the file's name for the bytes of the source files (as stored, gzipped or not) and this size."""
    key = hashlib.sha256(f"format {FORMAT}, {size} x {size}".encode())
    for content in sources:
        key.update(hashlib.sha256(content).digest())
    return f"prepared-{size}x{size}-{key.hexdigest()[:16]}.npz"


def read_prepared(prepared_folders: Sequence[Path], name: str) -> Prepared | None:
    """Return the images from the first folder that has the file; None where no folder has it undamaged."""
    for folder in prepared_folders:
        try:
            with (folder / name).open("rb") as stream, np.load(stream, allow_pickle=False) as file:
                return Prepared(file["pixels"], file["labels"], tuple(file["sha256"].tolist()))
        except FileNotFoundError:
            continue
        except _UNREADABLE as error:
            _log.info("%s is prepared again: %s", folder / name, error)
    return None


def write_prepared(prepared_folders: Sequence[Path], name: str, prepared: Prepared) -> None:
    """Write the images into the first folder that can be written; it is no error where none can."""
    for folder in prepared_folders:
        try:
            folders.make_writable(folder)
            with atomic_writer(folder / name) as stream:
                np.savez(stream, pixels=prepared.pixels, labels=prepared.labels, sha256=np.array(prepared.sha256))
            return
        except (OSError, CannotWrite) as error:
            _log.info("%s: prepared images cannot be stored here: %s", folder, error)
