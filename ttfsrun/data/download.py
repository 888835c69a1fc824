"""Download of MNIST from the first of several mirrors that has it, checked before it appears in the folder."""

from __future__ import annotations

import hashlib
import io
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ttfsrun.data import folders, idx
from ttfsrun.data.dataset import DataError
from ttfsrun.errors import reason_of
from ttfsrun.files import atomic_writer

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

MIRRORS = (
    "https://ossci-datasets.s3.amazonaws.com/mnist/",
    "https://storage.googleapis.com/cvdf-datasets/mnist/",
    "http://yann.lecun.com/exdb/mnist/",
)
TIMEOUT = (10, 60)  # seconds to connect, and without a byte
CHUNK = 1 << 16  # bytes

_log = logging.getLogger(__name__)


def fetch(files: Sequence[idx.Expected], folder: Path, mirrors: Sequence[str] = MIRRORS) -> None:
    """Download the files into the folder, each from the first mirror whose content has the right SHA-256.

    Raises DataError where no mirror has a file, or the folder is not writable, and CannotWrite where the disk is full.
    """
    remedy = f"set data.folder or {folders.ENVIRONMENT} to one that can be written or already holds the four files"
    try:
        folders.make_writable(folder)
        with _progress() as progress:
            for file in files:
                path, content = _fetch_checked(file, folder, mirrors, progress)
                with atomic_writer(path, remedy) as stream:
                    stream.write(content)
                _log.info("downloaded %s", path)
    except OSError as error:
        raise DataError(
            f"{folder}: cannot download {', '.join(file.name for file in files)} into this folder "
            f"({reason_of(error)}); {remedy}"
        ) from error


def _fetch_checked(file: idx.Expected, folder: Path, mirrors: Sequence[str], progress: Progress) -> tuple[Path, bytes]:
    """Return the file's path in the folder and its content, from the first mirror that has it."""
    failures = []
    for mirror in mirrors:
        url = f"{mirror}{file.name}.gz"
        try:
            content = _download(url, file.name, progress)
            packed = content.startswith(idx.GZIP_MAGIC)  # false where the HTTP client has unpacked it already
            if hashlib.sha256(idx.gunzip(content, url) if packed else content).hexdigest() == file.sha256:
                return folder / f"{file.name}{'.gz' if packed else ''}", content
            failures.append(f"{mirror}: not MNIST's content")
        except DataError:
            failures.append(f"{mirror}: a damaged gzip file")
        except OSError as error:  # includes what requests raises
            failures.append(f"{mirror}: {_reason(error)}")
        _log.info("%s", failures[-1])
    raise DataError(
        f"{file.name}.gz cannot be downloaded ({'; '.join(failures)}); check the network, "
        f"or copy MNIST's four files into {folder}, or set data.folder to the folder that has them"
    )


def _download(url: str, name: str, progress: Progress) -> bytes:
    """Return the content at an address. Raises OSError where it is unavailable."""
    import pooch  # slow to import, and seldom needed

    task = progress.add_task(name, total=None)
    content = io.BytesIO()
    try:
        pooch.HTTPDownloader(progressbar=_Bar(progress, task), chunk_size=CHUNK, timeout=TIMEOUT)(url, content, None)
    finally:
        progress.remove_task(task)
    return content.getvalue()


def _reason(error: OSError) -> str:
    """Return a short reason: the text of a failed connection is a paragraph with object addresses."""
    response = getattr(error, "response", None)
    return type(error).__name__ if response is None else f"HTTP status {response.status_code}"


def _progress() -> Progress:
    from rich.console import Console
    from rich.progress import Progress

    console = Console(stderr=True)
    return Progress(console=console, transient=True, disable=not console.is_terminal)


class _Bar:
    """The interface that pooch expects of a progress bar, shown by rich; pooch sets `total`, in bytes, if known."""

    def __init__(self, progress: Progress, task: TaskID) -> None:
        self.total = 0
        self._progress = progress
        self._task = task

    def update(self, n: int) -> None:
        self._progress.update(self._task, total=self.total or None, advance=n)

    def reset(self) -> None:
        self._progress.reset(self._task)

    def close(self) -> None:
        """Do nothing: the code that opened the display closes it."""
