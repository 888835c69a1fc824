"""The IDX file format (LeCun, Cortes, Burges: the MNIST database): a header, then unsigned bytes, maybe gzipped."""

from __future__ import annotations

import gzip
import hashlib
import math
import zlib
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ttfsrun.data.dataset import DataError
from ttfsrun.errors import reason_of, ways_out
from ttfsrun.files import read_file

GZIP_MAGIC = b"\x1f\x8b"
UNSIGNED_BYTE = 0x08
REMEDY = "replace it, or, for MNIST, delete it so that it is downloaded again"


@dataclass(frozen=True)
class Expected:
    """A file of the dataset: its name without `.gz`, its array's shape, the SHA-256 of MNIST's file, unpacked."""

    name: str
    shape: tuple[int, ...]
    sha256: str


@dataclass(frozen=True)
class Stored:
    """A file that exists, read once, so that the hashed content is the content in use."""

    path: Path
    content: bytes

    @cached_property
    def unpacked(self) -> bytes:
        """The IDX content, without gzip where the name says gzip."""
        return gunzip(self.content, str(self.path)) if self.path.suffix == ".gz" else self.content

    @cached_property
    def sha256(self) -> str:
        """The checksum of the unpacked content, the same however it was packed."""
        return hashlib.sha256(self.unpacked).hexdigest()


def find_file(folder: Path, name: str) -> Stored | None:
    """Return the file of that name, raw or gzipped; None where the folder has neither.

    Raises DataError where it cannot be read.
    """
    for path in (folder / name, folder / f"{name}.gz"):
        try:
            return Stored(path, read_file(path))
        except (FileNotFoundError, NotADirectoryError):
            continue
        except OSError as error:
            raise DataError(
                f"{path}: cannot be read ({reason_of(error)}){ways_out(error, 'set data.folder')}"
            ) from error
    return None


def gunzip(content: bytes, origin: str) -> bytes:
    """Return unpacked content. Raises DataError, which names the origin (a path or an address), where it is damaged."""
    try:
        return gzip.decompress(content)
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        reason = "it ends too early" if isinstance(error, EOFError) else str(error)
        raise DataError(f"{origin}: a damaged gzip file ({reason}); {REMEDY}") from error


def parse_idx(content: bytes, shape: tuple[int, ...], origin: str) -> NDArray[np.uint8]:
    """Return the array, uint8 of the expected shape. Raises DataError where the content is something else.

    The header: two zero bytes, the type, the number of dimensions, then every size as a big-endian uint32.
    """
    magic = bytes((0, 0, UNSIGNED_BYTE, len(shape)))
    header = len(magic) + 4 * len(shape)
    if content[:4] != magic:
        raise DataError(
            f"{origin}: starts with {content[:4].hex() or 'nothing'} where an IDX file of unsigned bytes in "
            f"{len(shape)} dimension(s) starts with {magic.hex()}, another kind of file under this name; {REMEDY}"
        )
    if len(content) < header:
        raise DataError(f"{origin}: ends within its header, after {len(content)} bytes; {REMEDY}")
    sizes = tuple(np.frombuffer(content, ">u4", count=len(shape), offset=len(magic)).tolist())
    if sizes != shape:
        raise DataError(
            f"{origin}: holds {_product(sizes)} values where {_product(shape)} are expected, "
            f"maybe the other set's file under this name; {REMEDY}"
        )
    length = header + math.prod(shape)
    if len(content) != length:
        raise DataError(f"{origin}: has {len(content)} bytes where its header promises {length}; {REMEDY}")
    return np.frombuffer(content, np.uint8, offset=header).reshape(shape)


def _product(sizes: tuple[int, ...]) -> str:
    return " x ".join(map(str, sizes))
