"""Data that were used before: found again, and compared with what they were."""

from __future__ import annotations

import os
from pathlib import Path

from ttfsrun.data import folders
from ttfsrun.data.dataset import DataError, DataOrigin


def known_folder(named: str | None, origin: DataOrigin | None) -> str | None:
    """Return the setting `data.folder` with which data are found again.

    named: the setting until now, which comes first, then TTFSRUN_DATA; else it is the folder of the origin, if that
    still exists.
    """
    if named is not None or origin is None or origin.folder is None or os.environ.get(folders.ENVIRONMENT):
        return named
    return origin.folder if Path(origin.folder).is_dir() else None


def require_same(found: DataOrigin, expected: DataOrigin | None, subject: str) -> None:
    """Raise DataError where data differ from those of the subject. expected: None where these are unknown."""
    if expected is None or found.source == expected.source:
        return
    names = sorted(
        name for name in found.source | expected.source if found.source.get(name) != expected.source.get(name)
    )
    before = "" if expected.folder is None else f", which were read from {expected.folder}"
    raise DataError(
        f"{found.folder}: not the data of {subject}{before}: {', '.join(names)} differ; "
        f"set data.folder or {folders.ENVIRONMENT} to the folder of those data"
    )
