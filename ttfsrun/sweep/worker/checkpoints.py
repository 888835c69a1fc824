"""Unfinished trainings of a sweep: which networks each checkpoint holds, without torch.

Any part of a checkpoint's networks can go on from it, so a population may be split at will.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path

Members = Mapping[str, str]  # id of each training, in the order of the tensors, and checksums of code and data


def checkpoint_path(folder: Path, trainings: Iterable[str]) -> Path:
    """Where a population of these trainings keeps its state."""
    return folder / (hashlib.sha256(" ".join(trainings).encode()).hexdigest()[:16] + ".safetensors")


def list_checkpoints(folder: Path) -> dict[Path, Members]:
    """All readable checkpoints, the newest first, with what they hold."""
    paths = sorted(folder.glob("*.safetensors"), key=_age, reverse=True)
    return {path: members for path in paths if (members := _members(path))}


def find_checkpoint(folder: Path, wanted: Members) -> Path | None:
    """The newest checkpoint with all of these networks, made by this code on these data; None where there is none."""
    known = list_checkpoints(folder).items()
    return next((path for path, members in known if members.items() >= wanted.items()), None)


def remove_finished(folder: Path, finished: Collection[str]) -> None:
    """Remove the checkpoints whose networks are all finished."""
    for path, members in list_checkpoints(folder).items():
        if members.keys() <= set(finished):
            path.unlink(missing_ok=True)


def _age(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:  # it has just been removed
        return 0.0


def _members(path: Path) -> Members:
    """From the header of a safetensors file: its length in eight bytes, then JSON."""
    try:
        with path.open("rb") as stream:
            header = json.loads(stream.read(int.from_bytes(stream.read(8), "little")))
        members: Members = json.loads(header["__metadata__"]["members"])
    except (OSError, ValueError, KeyError, MemoryError, OverflowError):
        return {}
    return members
