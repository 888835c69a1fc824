"""Paths in settings: of files that they name, and of data, the same from every folder."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ttfsrun.config.dotted_keys import Tree, leaves
from ttfsrun.errors import ConfigError, reason_of, ways_out
from ttfsrun.files import expand_user, sha256

#: Settings that name a file, by the end of their keys: the content of the file counts, not its path.
FILES = {"chip.file": "substrate.chip.file", "training.start": "training.start"}


def named_files(settings: Tree) -> dict[str, str]:
    """Return the files that a configuration, given as plain values, and its conditions name, each with its setting."""
    found: dict[str, str] = {}
    for key, value in leaves(settings):
        for ending, setting in FILES.items():
            if key.endswith(ending):
                found |= {file: setting for file in (value if isinstance(value, list) else [value]) if file is not None}
    return found


def checksums(files: Mapping[str, str]) -> dict[str, str]:
    """Return the SHA-256 checksum of each file; files: as `named_files` returns them.

    Raises ConfigError that lists those that cannot be read.
    """
    found, lines = {}, []
    for file, setting in files.items():
        try:
            found[file] = sha256(expand_user(file))
        except OSError as error:
            lines.append(f"{setting}={file}: cannot be read ({reason_of(error)}){ways_out(error)}")
    if lines:
        raise ConfigError(*lines)
    return found


def with_named_files(settings: Tree, rename: Callable[[str], str], key: str = "") -> Tree:
    """Return the settings with each file that they name renamed."""

    def renamed(inner: str, value: Any) -> Any:
        if isinstance(value, dict):
            return with_named_files(value, rename, inner)
        if value is None or not inner.endswith(tuple(FILES)):
            return value
        return [file and rename(file) for file in value] if isinstance(value, list) else rename(value)

    return {child: renamed(f"{key}.{child}", value) for child, value in settings.items()}


def with_absolute_paths(settings: Tree) -> Tree:
    """Return the settings of a configuration, or of a part of it, with absolute paths."""
    folder = settings.get("data", {}).get("folder")
    if folder is not None:
        settings = settings | {"data": settings["data"] | {"folder": absolute(folder)}}
    return with_named_files(settings, absolute)


def absolute(path: str) -> str:
    """Return the absolute path; a leading ~ is the user's home."""
    return str(expand_user(path).absolute())
