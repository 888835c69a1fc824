"""Results of other sweeps for the same points: copied, with what is recorded of how they came about."""

from __future__ import annotations

import logging
import secrets
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ttfsrun import data
from ttfsrun.config.schema import Config
from ttfsrun.results.record import Curves, Record
from ttfsrun.results.sweep_folder import SweepFolder, point_config
from ttfsrun.sweep.worker.task import Shard

log = logging.getLogger(__name__)


def reuse(folder: SweepFolder, others: Sequence[Path], package: str) -> None:
    """Copy what is done elsewhere and missing here. package: checksum of the code that would compute it now."""
    if not others:
        return
    missing = {point for point in folder.points if not _is_done(folder.latest().get(point))}
    for path in others:
        other = SweepFolder(path)
        _ = other.about  # a UserError where it is no sweep
        sources = _Sources(folder)
        found = {
            name: record
            for name, record in other.latest().items()
            if name in missing and _is_done(record) and sources.fit(name, record)
        }
        if found:
            curves = {entry.point: entry for entry in other.learning_curves() if entry.point in found}
            _copy(folder, found, curves)
        missing -= found.keys()
        changed = sum(record.execution.package != package for record in found.values())
        note = f", {changed} of them made by other code" if changed else ""
        log.info("%s: %d points taken over%s", path, len(found), note)


def _copy(folder: SweepFolder, found: Mapping[str, Record], curves: Mapping[str, Curves]) -> None:
    shard = Shard.reserved(folder, secrets.token_hex(4), 0)
    for name, record in found.items():
        shard.write(record, curves.get(name))


def _is_done(record: Record | None) -> bool:
    return record is not None and record.status == "done"


class _Sources:
    """Where the data of this sweep's points come from: an id does not know the folder of the data."""

    def __init__(self, folder: SweepFolder) -> None:
        self._folder = folder
        self._known: dict[Any, dict[str, str]] = {}

    def fit(self, name: str, record: Record) -> bool:
        assert record.result is not None
        config: Config = point_config(self._folder.points[name])
        if config.data not in self._known:
            self._known[config.data] = data.load_dataset(config.data).source
        return bool(self._known[config.data] == record.result["data"])
