"""What training will cost: from records of the same shape, else from a calibration, which is kept for the next time."""

from __future__ import annotations

import hashlib
import json
import logging
import statistics
import subprocess
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import msgspec

from ttfsrun.errors import CannotWrite, RunFailed
from ttfsrun.files import user_cache, write_atomic
from ttfsrun.results.provenance import processor
from ttfsrun.results.record import Record
from ttfsrun.results.sweep_folder import SweepPoint
from ttfsrun.sweep.cost import OVERHEAD, Cost
from ttfsrun.sweep.worker.interpreter import python_command

log = logging.getLogger(__name__)

COMPANY = 4  # networks of a calibration
KEPT = 500  # calibrations


def estimate_costs(points: Sequence[SweepPoint], records: Iterable[Record], package: str) -> dict[str, Cost]:
    """The cost of each shape among the points. records: finished ones; package: checksum of what computes."""
    shapes: dict[str, list[SweepPoint]] = {}
    for point in points:
        shapes.setdefault(point.shape, []).append(point)
    sizes: dict[str, list[SweepPoint]] = {}
    for point in points:
        sizes.setdefault(_size(point), []).append(point)
    samples = {size: _spread(group) for size, group in sizes.items()}
    known = _kept()
    keys = {size: _key(sample, package) for size, sample in samples.items()}
    unknown = [size for size in keys if keys[size] not in known]
    if unknown:
        log.info("measuring what %s", "a training costs" if len(unknown) == 1 else f"{len(unknown)} trainings cost")
        answers = dict(zip(unknown, _calibrated([samples[size] for size in unknown]), strict=True))
        known |= {keys[size]: answer for size, answer in answers.items() if isinstance(answer, Cost)}
        _keep(known)
        if not any(key in known for key in keys.values()):
            raise RunFailed(f"the first batches of a training failed: {answers[unknown[0]]}")
    found = _with_guesses({shape: known.get(keys[_size(group[0])]) for shape, group in shapes.items()})
    return found | _experienced(found, shapes, records)


def unmeasured(points: Sequence[SweepPoint]) -> dict[str, Cost]:
    """For plans whose cost nobody asks for: populations as large as they may be."""
    return dict.fromkeys({point.shape for point in points}, Cost(1.0, OVERHEAD, 0.0, 0.0, 1.0))


def _size(point: SweepPoint) -> str:
    """What points that cost alike have in common: networks and batches of one size, whatever their numbers."""
    data, network, training = (point.config[part] for part in ("data", "network", "training"))
    samples = [data["name"], data.get("samples"), data.get("size")]
    return json.dumps(
        [samples, network["hidden"], network["bias_time"] is None, network["input_repeats"], training["batch_size"]]
    )


def _spread(points: Sequence[SweepPoint]) -> list[SweepPoint]:
    """Some points, from one end of the grid to the other."""
    last = len(points) - 1
    return [points[round(last * i / max(1, COMPANY - 1))] for i in range(COMPANY)]


def _key(sample: Sequence[SweepPoint], package: str) -> str:
    text = " ".join([package, processor(), *(point.point for point in sample)])
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _with_guesses(found: Mapping[str, Cost | None]) -> dict[str, Cost]:
    """Where no point can be trained, the cost is that of the dearest of the others: records will say why."""
    dearest = max((cost for cost in found.values() if cost is not None), key=lambda cost: cost.network)
    return {shape: cost or dearest for shape, cost in found.items()}


def _calibrated(samples: Sequence[Sequence[SweepPoint]]) -> list[Cost | str]:
    """The cost of each sample; where none of its points can be trained, why."""
    result = subprocess.run(
        python_command("ttfsrun.sweep.worker.calibrate"),
        input=msgspec.json.encode(samples),
        capture_output=True,
        check=False,
    )
    if result.returncode != 0:
        lines = result.stderr.decode(errors="replace").strip().splitlines() or [f"exit code {result.returncode}"]
        raise RunFailed(f"the first batches of a training failed: {lines[-1]}")
    return msgspec.json.decode(result.stdout, type=list[Cost | str])


def _experienced(
    found: Mapping[str, Cost], shapes: Mapping[str, Sequence[SweepPoint]], records: Iterable[Record]
) -> dict[str, Cost]:
    """Costs corrected by how long points of the same shape have really taken, core by core."""
    home = {point.point: point for group in shapes.values() for point in group}
    sharing = Counter(point.training for point in home.values())
    ratios: dict[str, list[float]] = {}
    for record in records:
        point = home.get(record.point)
        if point is not None and record.status == "done" and record.execution.seconds > 0:
            cost, execution = found[point.shape], record.execution
            networks, epochs = execution.population, point.config["training"]["epochs"]
            expected = cost.training(networks, epochs) / networks / sharing[point.training] + cost.point
            ratios.setdefault(point.shape, []).append(execution.seconds * execution.threads / expected)
    return {shape: _scaled(found[shape], statistics.median(values)) for shape, values in ratios.items()}


def _scaled(cost: Cost, factor: float) -> Cost:
    seconds = (cost.epoch * factor, cost.network * factor, cost.point * factor)
    return Cost(*seconds, cost.memory, cost.network_memory)


def _file() -> Path:
    return user_cache() / "costs.json"


def _kept() -> dict[str, Cost]:
    try:
        return msgspec.json.decode(_file().read_bytes(), type=dict[str, Cost])
    except (OSError, msgspec.MsgspecError):
        return {}


def _keep(known: Mapping[str, Cost]) -> None:
    """The last ones, for the next time; where there is no cache, they are measured again."""
    try:
        write_atomic(_file(), msgspec.json.encode(dict(list(known.items())[-KEPT:])))
    except CannotWrite as error:
        log.debug("costs are not kept: %s", error)
