"""The data of a sweep, frozen when it was made: every task reads the same, whatever its environment says."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec

from ttfsrun import data
from ttfsrun.config.schema import Mnist, YinYang
from ttfsrun.data.augmentation import plain
from ttfsrun.data.dataset import DataOrigin
from ttfsrun.data.origin import known_folder, require_same
from ttfsrun.results.sweep_folder import SweepPoint, point_config


class FrozenData(DataOrigin, frozen=True, kw_only=True):
    """The origin of data that are read from files. named: the setting `data.folder` of the points that use them."""

    named: str | None


def freeze_data(points: Iterable[SweepPoint]) -> list[FrozenData]:
    """Load each dataset of the points once, and return the origins of those that are read from files.

    Raises DataError where data are missing or damaged.
    """
    frozen = {}
    for settings in _datasets(points):
        origin = data.load_dataset(settings).origin
        if origin.folder is not None:
            named = _named(settings)
            frozen[named] = FrozenData(named=named, source=origin.source, folder=origin.folder)
    return list(frozen.values())


def read_frozen(about: Mapping[str, Any]) -> list[FrozenData]:
    """Return the frozen data in the content of sweep.yaml; none in that of an older version."""
    return msgspec.convert(about.get("data", []), list[FrozenData])


def on_frozen_data(points: Iterable[SweepPoint], frozen: Sequence[FrozenData]) -> list[SweepPoint]:
    """Return the points with the frozen folder in their settings, unless these or the environment name another."""
    folders = {origin.named: known_folder(origin.named, origin) for origin in frozen}

    def located(point: SweepPoint) -> SweepPoint:
        settings = point.config["data"]
        folder = folders.get(settings["folder"]) if "folder" in settings else None
        if folder is None:
            return point
        return msgspec.structs.replace(point, config=point.config | {"data": settings | {"folder": folder}})

    return [located(point) for point in points] if any(folders.values()) else list(points)


def require_frozen(settings: YinYang | Mnist, found: DataOrigin, frozen: Sequence[FrozenData]) -> None:
    """Raise DataError where data that were found with these settings differ from the frozen ones."""
    if found.folder is not None:
        known = (origin for origin in frozen if _named(settings) in (origin.named, origin.folder))
        require_same(found, next(known, None), "this sweep")


def require_frozen_data(points: Iterable[SweepPoint], frozen: Sequence[FrozenData]) -> None:
    """Load each dataset of the points. Raises DataError where one is missing or damaged, or differs from the frozen."""
    for settings in _datasets(points):
        require_frozen(settings, data.load_dataset(settings).origin, frozen)


def _datasets(points: Iterable[SweepPoint]) -> set[YinYang | Mnist]:
    shapes = {point.shape: point for point in points}
    return {plain(point_config(point).data) for point in shapes.values()}


def _named(settings: YinYang | Mnist) -> str | None:
    return getattr(settings, "folder", None)
