"""Paths in settings: of chip files and of data, the same from every folder."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from ttfsrun.config.dotted_keys import Tree, leaves
from ttfsrun.errors import ConfigError, reason_of, ways_out
from ttfsrun.files import expand_user, sha256

CHIP_FILE = "chip.file"


def chip_files(settings: Tree) -> list[str]:
    """Return the chip files that a configuration, given as plain values, and its conditions name."""
    values = [value for key, value in leaves(settings) if key.endswith(CHIP_FILE)]
    files = [file for value in values for file in (value if isinstance(value, list) else [value])]
    return list(dict.fromkeys(file for file in files if file is not None))


def checksums(files: Iterable[str]) -> dict[str, str]:
    """Return the SHA-256 checksum of each chip file. Raises ConfigError that lists those that cannot be read."""
    found, lines = {}, []
    for file in dict.fromkeys(files):
        try:
            found[file] = sha256(expand_user(file))
        except OSError as error:
            lines.append(f"substrate.chip.file={file}: cannot be read ({reason_of(error)}){ways_out(error)}")
    if lines:
        raise ConfigError(*lines)
    return found


def with_chip_files(settings: Tree, rename: Callable[[str], str], key: str = "") -> Tree:
    """Return the settings with each chip file renamed."""

    def renamed(inner: str, value: Any) -> Any:
        if isinstance(value, dict):
            return with_chip_files(value, rename, inner)
        if value is None or not inner.endswith(CHIP_FILE):
            return value
        return [file and rename(file) for file in value] if isinstance(value, list) else rename(value)

    return {child: renamed(f"{key}.{child}", value) for child, value in settings.items()}


def with_absolute_paths(settings: Tree) -> Tree:
    """Return the settings of a configuration, or of a part of it, with absolute paths."""
    folder = settings.get("data", {}).get("folder")
    if folder is not None:
        settings = settings | {"data": settings["data"] | {"folder": absolute(folder)}}
    return with_chip_files(settings, absolute)


def absolute(path: str) -> str:
    """Return the absolute path; a leading ~ is the user's home."""
    return str(expand_user(path).absolute())
