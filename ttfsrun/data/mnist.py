"""MNIST (LeCun, Cortes, Burges) or another dataset in its format, such as Fashion-MNIST.

From the four original IDX files. A value is x = 1 - pixel / 255: 1 where the paper is white.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ttfsrun.config import schema
from ttfsrun.data import download, folders, idx, prepared
from ttfsrun.data.dataset import DataError, Dataset, Split
from ttfsrun.files import user_cache

SIDE = 28  # pixels of an original image
CENTRE = 24  # pixels of the part that is resized: the margin holds hardly any ink
N_TRAIN, N_VALID, N_TEST = 50_000, 10_000, 10_000
N_CLASSES = schema.Mnist.n_classes

TRAIN_IMAGES = idx.Expected(
    "train-images-idx3-ubyte",
    (N_TRAIN + N_VALID, SIDE, SIDE),
    "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
)
TRAIN_LABELS = idx.Expected(
    "train-labels-idx1-ubyte",
    (N_TRAIN + N_VALID,),
    "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
)
TEST_IMAGES = idx.Expected(
    "t10k-images-idx3-ubyte",
    (N_TEST, SIDE, SIDE),
    "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
)
TEST_LABELS = idx.Expected(
    "t10k-labels-idx1-ubyte",
    (N_TEST,),
    "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
)
FILES = (TRAIN_IMAGES, TRAIN_LABELS, TEST_IMAGES, TEST_LABELS)


def load(settings: schema.Mnist) -> Dataset:
    """Return 50,000 training, 10,000 validation and 10,000 test images. Raises what `read_mnist` raises."""
    return read_mnist(folders.of_mnist(settings.folder), settings.size)


def read_mnist(folder: Path, size: int, mirrors: Sequence[str] = download.MIRRORS) -> Dataset:
    """Return the dataset in the folder, at `size` pixels a side; missing files of MNIST are downloaded first.

    Raises DataError where files are damaged, of different datasets, or unavailable.
    """
    stored = _stored(folder, mirrors)
    return _dataset(_prepared(stored, size, folder), folder, stored)


def values_of(pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return the value 1 - pixel / 255 of each pixel."""
    values = pixels.astype(np.float32)
    values /= np.float32(255)
    return np.subtract(1, values, out=values)


def resize(images: NDArray[np.uint8], size: int) -> NDArray[np.uint8]:
    """Return images [n, 28, 28] as [n, size, size]: unchanged, or the centre by Pillow's 8-bit bilinear filter."""
    if size == SIDE:
        return images
    margin = (SIDE - CENTRE) // 2
    centres = np.ascontiguousarray(images[:, margin:-margin, margin:-margin])
    resized = np.empty((len(images), size, size), np.uint8)
    for i, centre in enumerate(centres):
        resized[i] = np.asarray(Image.fromarray(centre).resize((size, size), Image.Resampling.BILINEAR))
    return resized


def _stored(folder: Path, mirrors: Sequence[str]) -> list[idx.Stored]:
    """Return the four files, in the order of FILES."""
    files = {file: idx.find_file(folder, file.name) for file in FILES}
    missing = [file for file, stored in files.items() if stored is None]
    if missing:
        others = [stored.path.name for file, stored in files.items() if stored and stored.sha256 != file.sha256]
        if others:
            raise DataError(
                f"{folder}: lacks {_names(missing)}, and {', '.join(others)} is not of MNIST, which could be "
                f"downloaded; copy this dataset's missing files there, or set data.folder to another folder"
            )
        download.fetch(missing, folder, mirrors)
        files |= {file: idx.find_file(folder, file.name) for file in missing}
    stored = [stored for stored in files.values() if stored is not None]
    if len(stored) < len(FILES):
        raise DataError(f"{folder}: downloaded files vanished from this folder; set data.folder to another one")
    return stored


def _prepared(stored: Sequence[idx.Stored], size: int, folder: Path) -> prepared.Prepared:
    """Return the images at this size, read if they were prepared before."""
    folders_of_prepared = (folder, user_cache() / "prepared")
    name = prepared.file_name(size, [file.content for file in stored])
    images = prepared.read_prepared(folders_of_prepared, name)
    if images is None:
        images = _prepare(stored, size)
        prepared.write_prepared(folders_of_prepared, name, images)
    return images


def _originals(stored: Sequence[idx.Stored], folder: Path) -> NDArray[np.uint8]:
    """Return the training images with a border of one white pixel, uint8 [n, 30, 30]."""
    images = _prepared(stored, SIDE, folder).pixels[:N_TRAIN].reshape(-1, SIDE, SIDE)
    return np.pad(images, ((0, 0), (1, 1), (1, 1)))


def _prepare(stored: Sequence[idx.Stored], size: int) -> prepared.Prepared:
    """Check the four files and resize their images. Raises DataError where a file is damaged or of another dataset."""
    arrays = [
        idx.parse_idx(file.unpacked, expected.shape, str(file.path))
        for file, expected in zip(stored, FILES, strict=True)
    ]
    for file, labels in ((stored[1], arrays[1]), (stored[3], arrays[3])):
        if labels.max() >= N_CLASSES:
            raise DataError(f"{file.path}: has a label {labels.max()}, labels are 0 to 9; {idx.REMEDY}")
    _check_same_dataset(stored)
    images = np.concatenate([resize(arrays[0], size), resize(arrays[2], size)])
    return prepared.Prepared(
        pixels=images.reshape(len(images), -1),
        labels=np.concatenate([arrays[1], arrays[3]]),
        sha256=tuple(file.sha256 for file in stored),
    )


def _check_same_dataset(stored: Sequence[idx.Stored]) -> None:
    """Raise DataError where some of the files are MNIST's and others are not."""
    others = [file.path for file, expected in zip(stored, FILES, strict=True) if file.sha256 != expected.sha256]
    if 0 < len(others) < len(FILES):
        raise DataError(
            f"{', '.join(map(str, others))}: not of MNIST while the folder's other files are, so corrupt or of another "
            f"dataset; delete it so that it is downloaded again, or set data.folder to a folder with one dataset"
        )


def _dataset(images: prepared.Prepared, folder: Path, stored: Sequence[idx.Stored]) -> Dataset:
    values = values_of(images.pixels)
    labels = images.labels.astype(np.int64)
    ends = (0, N_TRAIN, N_TRAIN + N_VALID, N_TRAIN + N_VALID + N_TEST)
    train, valid, test = (Split(values[a:b], labels[a:b]) for a, b in pairwise(ends))
    is_mnist = images.sha256 == tuple(file.sha256 for file in FILES)
    hashes = {file.name: sha256 for file, sha256 in zip(FILES, images.sha256, strict=True)}
    source = {"dataset": "MNIST" if is_mnist else "in MNIST's format", **hashes}
    return Dataset(train, valid, test, source, folder, partial(_originals, stored, folder))


def _names(files: Sequence[idx.Expected]) -> str:
    return ", ".join(file.name for file in files)
