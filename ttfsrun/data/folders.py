"""The folders of datasets."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

from ttfsrun.data.dataset import DataError
from ttfsrun.files import expand_user, user_cache

ENVIRONMENT = "TTFSRUN_DATA"


def of_mnist(folder: str | None) -> Path:
    """Return `data.folder`, else the environment's TTFSRUN_DATA, else a folder in the user's cache.

    Raises DataError where the configuration names a folder that does not exist: it may be that of another dataset,
    and a misspelt name must not end in training on MNIST, downloaded into a new folder.
    """
    if folder is not None:
        path = expand_user(folder)
        if not (os.access(path, os.X_OK) and path.is_dir()):
            raise DataError(
                f"data.folder={folder}: there is no such folder that you may open; correct the name, "
                f"or create it (MNIST is downloaded into an empty folder), or set data.folder=null"
            )
        return path
    from_environment = os.environ.get(ENVIRONMENT)
    return expand_user(from_environment) if from_environment else user_cache() / "mnist"


def make_writable(folder: Path) -> None:
    """Create the folder if necessary. Raises OSError where it cannot be written.

    A folder without write permission for anyone counts as read-only for an administrator also, whom the system would
    let write.
    """
    folder.mkdir(parents=True, exist_ok=True)
    anyone_writes = stat.S_IMODE(folder.stat().st_mode) & (stat.S_IWUSR | stat.S_IWGRP | stat.S_IWOTH)
    if not anyone_writes or not os.access(folder, os.W_OK | os.X_OK):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(folder))
