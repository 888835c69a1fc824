"""Results of other sweeps for the same points: copied, with the record of how they were computed."""

from __future__ import annotations

import logging
import secrets
from collections.abc import Mapping, Sequence
from pathlib import Path

from ttfsrun import data
from ttfsrun.config.schema import Mnist, YinYang
from ttfsrun.data.augmentation import plain
from ttfsrun.results.record import Attempt, Curves, Record
from ttfsrun.results.sweep_folder import SweepFolder, latest, point_config
from ttfsrun.sweep.worker.frozen_data import on_frozen_data, read_frozen
from ttfsrun.sweep.worker.task import Shard

log = logging.getLogger(__name__)


def reuse(folder: SweepFolder, others: Sequence[Path], package: str) -> None:
    """Copy the results that other sweeps have for points that are not done here.

    package: checksum of the code that would compute them now. Raises UserError where a folder is no sweep.
    """
    if not others:
        return
    missing = folder.points.keys() - _done_points(folder)
    sources = _DataSources(folder)
    for path in others:
        other = SweepFolder(path)
        _ = other.about  # raises UserError where it is no sweep
        records = {point: record for point, record in _results(other, missing).items() if sources.match(point, record)}
        if records:
            curves = {entry.point: entry for entry in other.learning_curves() if entry.point in records}
            _copy(folder, records, curves)
        missing -= records.keys()
        changed = sum(record.execution.package != package for record in records.values())
        note = f", {changed} of them computed by other code" if changed else ""
        log.info("%s: %d points reused%s", path, len(records), note)


def _done_points(folder: SweepFolder) -> set[str]:
    return {point for point, attempt in latest(folder.records_as(Attempt)).items() if attempt.status == "done"}


def _results(other: SweepFolder, missing: set[str]) -> dict[str, Record]:
    """Return the records of the missing points that another sweep has done. Records are decoded only if any is."""
    shared = missing & _done_points(other)
    return latest(r for r in other.records() if r.point in shared and r.status == "done") if shared else {}


def _copy(folder: SweepFolder, records: Mapping[str, Record], curves: Mapping[str, Curves]) -> None:
    shard = Shard.reserved(folder, secrets.token_hex(4), 0)
    for point, record in records.items():
        shard.write(record, curves.get(point))


class _DataSources:
    """The data of this sweep's points. Ids do not depend on the folder of the data, so the content is compared."""

    def __init__(self, folder: SweepFolder) -> None:
        self._points = {
            point.point: point for point in on_frozen_data(folder.points.values(), read_frozen(folder.about))
        }
        self._sources: dict[YinYang | Mnist, dict[str, str]] = {}

    def match(self, point: str, record: Record) -> bool:
        """Return whether a result was computed on the data that this sweep would use."""
        assert record.result is not None
        settings = plain(point_config(self._points[point]).data)
        if settings not in self._sources:
            self._sources[settings] = data.load_dataset(settings).source
        return bool(self._sources[settings] == record.result["data"])
