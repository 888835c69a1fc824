"""Checkpoints of a sweep: which networks each of them holds, read without torch.

Any subset of a checkpoint's networks can resume from it, so a population may be split.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path

#: Ids of the trainings in a checkpoint, in the order of the tensors, each with the checksums of its code and data.
Members = Mapping[str, str]


def checkpoint_path(folder: Path, trainings: Iterable[str]) -> Path:
    """Return the path of the checkpoint of a population of these trainings."""
    return folder / (hashlib.sha256(" ".join(trainings).encode()).hexdigest()[:16] + ".safetensors")


def list_checkpoints(folder: Path) -> dict[Path, Members]:
    """Return all readable checkpoints, the newest first, with their members."""
    paths = sorted(folder.glob("*.safetensors"), key=_modified, reverse=True)
    return {path: members for path in paths if (members := _members(path))}


def find_checkpoint(folder: Path, required: Members) -> Path | None:
    """Return the newest checkpoint that holds all required members; None: there is none."""
    stored = list_checkpoints(folder).items()
    return next((path for path, members in stored if members.items() >= required.items()), None)


def remove_finished(stored: Mapping[Path, Members], finished: Collection[str]) -> None:
    """Remove those of the stored checkpoints whose networks are all finished."""
    for path, members in stored.items():
        if members.keys() <= set(finished):
            path.unlink(missing_ok=True)


def _modified(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:  # just removed by another process
        return 0.0


def _members(path: Path) -> Members:
    """Return the members that the header of a safetensors file lists: eight bytes of length, then JSON.

    Empty where the file cannot be read.
    """
    try:
        with path.open("rb") as stream:
            header = json.loads(stream.read(int.from_bytes(stream.read(8), "little")))
        members: Members = json.loads(header["__metadata__"]["members"])
    except (OSError, ValueError, KeyError, MemoryError, OverflowError):
        return {}
    return members
