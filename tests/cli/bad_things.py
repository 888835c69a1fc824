"""What people name by mistake where a path is wanted, made for real, and a root user without its privileges."""

from __future__ import annotations

import ctypes
import os
import stat
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

DAC_OVERRIDE, DAC_READ_SEARCH = 1, 2  # capabilities of Linux: ignore the permissions of files
VERSION_3 = 0x20080522  # of the interface of capabilities
NOBODY = 65534
NAME = "wrong.csv"  # of what is made; a table must have this ending

Maker = Callable[[Path], Path]


def _file(content: bytes) -> Maker:
    def make(folder: Path) -> Path:
        (folder / NAME).write_bytes(content)
        return folder / NAME

    return make


def _link(target: str) -> Maker:
    def make(folder: Path) -> Path:
        (folder / NAME).symlink_to(target)
        return folder / NAME

    return make


def _below_a_file(folder: Path) -> Path:
    return _file(b"text")(folder) / "new.csv"


def _pipe(folder: Path) -> Path:
    os.mkfifo(folder / NAME)
    return folder / NAME


def _device(folder: Path) -> Path:
    """A device that gives zeros without end."""
    try:
        os.mknod(folder / NAME, stat.S_IFCHR | 0o666, os.makedev(1, 5))
    except PermissionError:
        pytest.skip("only root can make a device")
    return folder / NAME


def _other_folder(folder: Path) -> Path:
    (folder / NAME).mkdir()
    (folder / NAME / "notes.txt").write_text("mine")
    return folder / NAME


def _locked_folder(folder: Path) -> Path:
    path = _other_folder(folder)
    if os.geteuid() == 0:
        os.chown(path, NOBODY, NOBODY)
    path.chmod(0o700 if os.geteuid() == 0 else 0)
    return path


BAD: dict[str, Maker] = {
    "a long name": lambda folder: folder / ("n" * 300 + NAME),
    "a long path": lambda folder: folder.joinpath(*["d" * 200] * 25, NAME),
    "below a file": _below_a_file,
    "a text file": _file(b"text"),
    "an empty file": _file(b""),
    "a binary file": _file(bytes(range(256)) * 8),
    "another folder": _other_folder,
    "a folder of another user": _locked_folder,
    "in a folder of another user": lambda folder: _locked_folder(folder) / "new.csv",
    "a loop of links": _link(NAME),
    "a link to nothing": _link("nowhere/nothing"),
    "a pipe": _pipe,
    "a device": _device,
}


@contextmanager
def mounted(folder: Path, *options: str) -> Iterator[Path]:
    """Mount a file system in memory during the block; skip the test where that is not allowed."""
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", ",".join(options), "tmpfs", folder]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        pytest.skip("there is no command mount")
    if done.returncode != 0:
        pytest.skip(f"no file system can be mounted here: {done.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)


@contextmanager
def without_privileges() -> Iterator[None]:
    """Obey the permissions of files during the block, also as root; in this thread only."""
    if os.geteuid() != 0:
        yield
        return
    libc = ctypes.CDLL(None, use_errno=True)
    header = (ctypes.c_uint32 * 2)(VERSION_3, 0)
    data = (ctypes.c_uint32 * 6)()  # effective, permitted, inheritable; twice, for 64 bits

    def call(function: str) -> None:
        if getattr(libc, function)(header, data) != 0:
            pytest.skip(f"{function}: {os.strerror(ctypes.get_errno())}")

    call("capget")
    before = data[0]
    data[0] = before & ~(1 << DAC_OVERRIDE | 1 << DAC_READ_SEARCH)
    call("capset")
    try:
        yield
    finally:
        data[0] = before
        call("capset")
