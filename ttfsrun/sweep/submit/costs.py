"""Estimates of what training costs: measured by a few batches, stored for later sweeps, corrected by records."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import statistics
import subprocess
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import msgspec

from ttfsrun.errors import CannotWrite, RunFailed
from ttfsrun.files import user_cache, write_atomic
from ttfsrun.results.record import CPU
from ttfsrun.results.sweep_folder import SweepPoint
from ttfsrun.results.views import RecordSummary
from ttfsrun.results.wording import count
from ttfsrun.run.devices import VISIBLE, Gpu
from ttfsrun.sweep.cost import OVERHEAD, Cost
from ttfsrun.sweep.submit.environment import environment_checksum
from ttfsrun.sweep.worker.interpreter import python_command

log = logging.getLogger(__name__)

CALIBRATION_NETWORKS = 4
MAX_STORED = 500  # costs in the user's cache; the oldest are dropped


def estimate_costs(
    points: Sequence[SweepPoint], records: Iterable[RecordSummary], package: str, gpu: Gpu | None = None
) -> dict[str, Cost]:
    """Return the cost of each shape among the points on a core, or on a GPU of this machine.

    records: those of this sweep that were computed on such devices. package: checksum of the code that computes the
    points. Raises RunFailed where no point can be trained.
    """
    points_by_shape = grouped(points, [point.shape for point in points])
    points_by_size = grouped(points, [_size(point) for point in points])
    samples = {size: evenly_chosen(group) for size, group in points_by_size.items()}
    stored = _load_stored()
    environment = environment_checksum() + (f" {gpu.name}" if gpu else "")
    measure = partial(_calibrated, gpu=gpu) if gpu else _calibrated
    keys = {size: _cache_key(sample, f"{package} {environment}") for size, sample in samples.items()}
    unmeasured = [size for size in keys if keys[size] not in stored]
    if unmeasured:
        log.info("measuring the cost of %s", count(len(unmeasured), "training"))
        answers = dict(zip(unmeasured, measure([samples[size] for size in unmeasured]), strict=True))
        stored |= {keys[size]: answer for size, answer in answers.items() if isinstance(answer, Cost)}
        _store(stored)
        if not any(key in stored for key in keys.values()):
            raise RunFailed(f"the first batches of a training failed: {answers[unmeasured[0]]}")
    costs = _with_guesses({shape: stored.get(keys[_size(group[0])]) for shape, group in points_by_shape.items()})
    return costs | corrected(costs, points_by_shape, records)


def default_costs(points: Sequence[SweepPoint]) -> dict[str, Cost]:
    """Return costs for plans whose estimates nobody reads: populations become as large as they may be."""
    return dict.fromkeys({point.shape for point in points}, Cost(1.0, OVERHEAD, 0.0, 0.0, 1.0))


def grouped(points: Sequence[SweepPoint], keys: Sequence[str]) -> dict[str, list[SweepPoint]]:
    """Return the points by their keys."""
    groups: dict[str, list[SweepPoint]] = {}
    for point, key in zip(points, keys, strict=True):
        groups.setdefault(key, []).append(point)
    return groups


def _size(point: SweepPoint) -> str:
    """Return what points of equal cost share: the sizes of their networks, data and batches."""
    data, network, training = (point.config[part] for part in ("data", "network", "training"))
    samples = [data["name"], data.get("samples"), data.get("size")]
    layers = [network["hidden"], network["bias_time"] is None, network["input_repeats"], network.get("delays", "none")]
    return json.dumps([samples, *layers, training["batch_size"]])


def evenly_chosen(points: Sequence[SweepPoint]) -> list[SweepPoint]:
    """Return a few points, from the first to the last."""
    last = len(points) - 1
    return [points[round(last * i / max(1, CALIBRATION_NETWORKS - 1))] for i in range(CALIBRATION_NETWORKS)]


def _cache_key(sample: Sequence[SweepPoint], software: str) -> str:
    text = " ".join([software, *(point.point for point in sample)])
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _with_guesses(costs: Mapping[str, Cost | None]) -> dict[str, Cost]:
    """Return the costs, with the highest one for shapes that cannot be trained; their records will say why."""
    highest = max((cost for cost in costs.values() if cost is not None), key=lambda cost: cost.network)
    return {shape: cost or highest for shape, cost in costs.items()}


def _calibrated(samples: Sequence[Sequence[SweepPoint]], gpu: Gpu | None = None) -> list[Cost | str]:
    """Return the cost of each sample, or why none of its points can be trained. Raises RunFailed where it crashes."""
    result = subprocess.run(
        [*python_command("ttfsrun.sweep.worker.calibrate"), *(["cuda"] if gpu else [])],
        env=os.environ | ({VISIBLE: gpu.visible_as} if gpu else {}),
        input=msgspec.json.encode(samples),
        capture_output=True,
        check=False,
    )
    if result.returncode != 0:
        lines = result.stderr.decode(errors="replace").strip().splitlines() or [f"exit code {result.returncode}"]
        raise RunFailed(f"the first batches of a training failed: {lines[-1]}")
    return msgspec.json.decode(result.stdout, type=list[Cost | str])


def corrected(
    costs: Mapping[str, Cost], points_by_shape: Mapping[str, Sequence[SweepPoint]], records: Iterable[RecordSummary]
) -> dict[str, Cost]:
    """Return the costs of shapes with finished points, scaled to the time that these points took on one core or GPU."""
    points = {point.point: point for group in points_by_shape.values() for point in group}
    points_of_training = Counter(point.training for point in points.values())
    ratios: dict[str, list[float]] = {}
    for record in records:
        point = points.get(record.point)
        if point is not None and record.status == "done" and record.execution.seconds > 0:
            cost, execution = costs[point.shape], record.execution
            networks, epochs = execution.population, point.config["training"]["epochs"]
            expected = cost.training(networks, epochs) / networks / points_of_training[point.training] + cost.point
            seconds = execution.seconds * (execution.threads if execution.device == CPU else 1)
            ratios.setdefault(point.shape, []).append(seconds / expected)
    return {shape: _scaled(costs[shape], statistics.median(values)) for shape, values in ratios.items()}


def _scaled(cost: Cost, factor: float) -> Cost:
    return replace(cost, epoch=cost.epoch * factor, network=cost.network * factor, point=cost.point * factor)


def _file() -> Path:
    return user_cache() / "costs.json"


def _load_stored() -> dict[str, Cost]:
    """Return the costs in the user's cache; none where there is no readable file."""
    try:
        return msgspec.json.decode(_file().read_bytes(), type=dict[str, Cost])
    except (OSError, msgspec.MsgspecError):
        return {}


def _store(costs: Mapping[str, Cost]) -> None:
    """Write the latest costs to the user's cache. Where that fails, they are measured again the next time."""
    try:
        write_atomic(_file(), msgspec.json.encode(dict(list(costs.items())[-MAX_STORED:])))
    except CannotWrite as error:
        log.debug("costs are not stored: %s", error)
