"""Claims: of several processes that write to one place at once, exactly one does, and the others say so at once.

A claim is a small file that names its process. Its name holds a number, and it is created exclusively, which succeeds
for one process only, on network disks also. A claim ends with its process: one whose process no longer runs is
succeeded by the next number, so that after a process was killed there is nothing to remove. Locks of the system
(flock) are not used: some network disks keep them for each machine alone.
"""

from __future__ import annotations

import os
import secrets
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path

import msgspec

from ttfsrun.errors import UserError
from ttfsrun.files import is_unfinished, writing
from ttfsrun.results.processes import lives, started

NAME = ".claim"  # of the claims of a folder, before their numbers


class Holder(msgspec.Struct, frozen=True, kw_only=True):
    """The process that holds a claim."""

    host: str
    pid: int
    started: int  # clock ticks since the start of the machine
    time: str
    job: str | None  # of Slurm
    restarts: int = 0  # of that job, until then
    token: str  # distinguishes claims of one process

    @classmethod
    def this_process(cls) -> Holder:
        """Return this process as a holder."""
        return cls(
            host=socket.gethostname(),
            pid=os.getpid(),
            started=started(os.getpid()) or 0,
            time=datetime.now().astimezone().isoformat(timespec="seconds"),
            job=os.environ.get("SLURM_JOB_ID"),
            restarts=int(os.environ.get("SLURM_RESTART_COUNT") or 0),
            token=secrets.token_hex(4),
        )


class Claimed(UserError):
    """Another process writes to the same place."""


@contextmanager
def claimed_folder(folder: Path, remedy: str = "name another folder with --out", new: bool = False) -> Iterator[Path]:
    """Claim a folder during the block; it is created if necessary, and removed at the end if it is still empty.

    new: where it exists, a number is added to its name. Yields the folder. Raises Claimed where another process holds
    it, and CannotWrite where it cannot be made or written.
    """
    with writing(folder, remedy):
        path, made, number = _make_and_acquire(folder, remedy, new)
    try:
        yield path
    finally:
        _release(path, NAME, number)
        for created in made:
            with suppress(OSError):  # not empty
                created.rmdir()


@contextmanager
def claimed_file(file: Path, remedy: str = "name another file with --out") -> Iterator[None]:
    """Claim a file, and what is written beside it, during the block; its folder is created if necessary.

    Raises Claimed where another process holds it, and CannotWrite where its folder cannot be made or written.
    """
    name = f".{file.name}{NAME}"
    with writing(file, remedy):
        file.parent.mkdir(parents=True, exist_ok=True)
        number = _acquire(file.parent, name, file, remedy)
    try:
        yield
    finally:
        _release(file.parent, name, number)


def is_occupied(folder: Path) -> bool:
    """Return whether a folder exists and holds anything but claims and what a killed process had yet to rename."""
    return folder.exists() and any(
        not (path.name.startswith(f"{NAME}.") or is_unfinished(path)) for path in folder.iterdir()
    )


def _make_and_acquire(folder: Path, remedy: str, new: bool) -> tuple[Path, list[Path], int]:
    """Make and claim a folder; return it, the folders that were made, and the number of the claim."""
    while True:
        path, made = _make_new(folder) if new else _make(folder)
        with suppress(FileNotFoundError):  # another process has just removed the empty folder
            return path, made, _acquire(path, NAME, path, remedy)


def _acquire(folder: Path, name: str, target: Path, remedy: str) -> int:
    """Create the claim that succeeds all others, and return its number. Raises Claimed, or OSError."""
    content = msgspec.json.encode(Holder.this_process())
    while True:
        last = max(_numbers(folder, name), default=0)
        before = _content(_file(folder, name, last))
        if last and before is None:
            continue  # just released
        if before is not None:
            _require_ended(before, _file(folder, name, last), target, remedy)
        own = _file(folder, name, last + 1)
        try:
            _create(own, content)
        except FileExistsError:
            continue  # another process was faster
        if _content(_file(folder, name, last)) == before:
            return last + 1
        own.unlink(missing_ok=True)  # what it was to succeed was succeeded and released meanwhile


def _release(folder: Path, name: str, number: int) -> None:
    for earlier in range(1, number + 1):  # the own one last: until then, the others count as succeeded
        with suppress(OSError):
            _file(folder, name, earlier).unlink()


def _require_ended(content: bytes, file: Path, target: Path, remedy: str) -> None:
    """Raise Claimed unless the process that holds a claim has ended."""
    remove = f"if it has ended, remove {file}"
    try:
        holder = msgspec.json.decode(content, type=Holder)
    except msgspec.MsgspecError:  # just being written, or its process was killed at that moment
        raise Claimed(f"{target} has just been claimed by another process; {remove}; or {remedy}") from None
    this = Holder.this_process()
    if holder.job is not None and holder.job == this.job and holder.restarts < this.restarts:
        return  # Slurm ends a job before it starts it again, maybe on another node
    running = lives(holder.host, holder.pid, holder.started)
    if running is False:
        return
    job = f", job {holder.job}," if holder.job else ""
    process = f"process {holder.pid} on {holder.host}{job} writes there since {holder.time}"
    way_out = f"wait for it, or {remedy}" if running else f"{remove}; or {remedy}"
    raise Claimed(f"{target} is taken: {process}; {way_out}")


def _numbers(folder: Path, name: str) -> list[int]:
    parts = [path.name.rpartition(".") for path in folder.iterdir()]
    return [int(number) for start, _, number in parts if start == name and number.isdecimal()]


def _file(folder: Path, name: str, number: int) -> Path:
    return folder / f"{name}.{number}"


def _content(file: Path) -> bytes | None:
    try:
        return file.read_bytes()
    except FileNotFoundError:
        return None


def _create(file: Path, content: bytes) -> None:
    """Create a file that does not exist. Raises FileExistsError where it does, and OSError; then it leaves nothing."""
    handle = os.open(file, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666)
    try:
        os.write(handle, content)
    except OSError:
        file.unlink(missing_ok=True)
        raise
    finally:
        os.close(handle)


def _make(folder: Path) -> tuple[Path, list[Path]]:
    """Create a folder and its parents; return it, and those that did not exist, the deepest first."""
    missing = []
    path = folder
    while not path.exists():
        missing.append(path)
        path = path.parent
    folder.mkdir(parents=True, exist_ok=True)
    return folder, missing


def _make_new(path: Path) -> tuple[Path, list[Path]]:
    """Create a folder that did not exist, called `path`, or `path-2` and so on; return what `_make` returns."""
    _, missing = _make(path.parent)
    number, folder = 1, path
    while True:
        try:
            folder.mkdir()  # for one process only
        except FileExistsError:
            number += 1
            folder = path.with_name(f"{path.name}-{number}")
        else:
            return folder, [folder, *missing]
