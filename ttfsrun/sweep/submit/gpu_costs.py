"""Estimates of what training on a GPU costs: measured where there is one, else stated speeds; corrected by records.

A sweep for GPUs is often planned on a machine without one. The speeds are those of a prototype of the kernels on one
NVIDIA H200 (2026-11-26): yin_yang, batches of 150, 641 networks of 300 epochs an hour alone and 45,478 with 1,024 of
them at once. Other GPUs and other networks differ, until records tell.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence

from ttfsrun.config.conditions import conditions_of
from ttfsrun.config.schema import Config, YinYang
from ttfsrun.data.mnist import N_TEST, N_TRAIN, N_VALID
from ttfsrun.errors import RunFailed
from ttfsrun.results.sweep_folder import SweepPoint, point_config
from ttfsrun.results.views import RecordSummary
from ttfsrun.run.devices import Gpu
from ttfsrun.sweep.cost import MAX_ON_GPU, Cost, network_memory
from ttfsrun.sweep.submit.costs import corrected, estimate_costs, evenly_chosen, grouped

log = logging.getLogger(__name__)

BATCH_SECONDS = 6e-4  # of a step, however few networks take it: 641 networks an hour
SYNAPSE_SECONDS = 5.5e-11  # for each sample, input line and neuron: 45,478 networks an hour
PROCESS_BYTES = 4e9  # of the host's memory: torch and its libraries for CUDA
GPU_BYTES = 40e9  # of a GPU that is not at hand


def estimate_gpu_costs(
    points: Sequence[SweepPoint], records: Sequence[RecordSummary], package: str, gpu: Gpu | None
) -> dict[str, Cost]:
    """Return the cost of each shape among the points on one GPU.

    records: those of this sweep that were computed on such GPUs. package: checksum of the code that computes the
    points. gpu: one of this machine, to measure on.
    """
    if gpu is not None:
        try:
            return estimate_costs(points, records, package, gpu)
        except RunFailed as error:  # the sweep's own records will say why, if it concerns them too
            log.warning("%s; the plan takes stated speeds", error)
    points_by_shape = grouped(points, [point.shape for point in points])
    costs = {shape: _stated([*map(point_config, evenly_chosen(group))]) for shape, group in points_by_shape.items()}
    return costs | corrected(costs, points_by_shape, records)


def _stated(configs: Sequence[Config]) -> Cost:
    """Return the cost of networks of one shape, some of which are given."""
    config = configs[0]
    data = config.data
    train, *others = (
        (data.samples.train, data.samples.valid, data.samples.test)
        if isinstance(data, YinYang)
        else (N_TRAIN, N_VALID, N_TEST)
    )
    synapses = sum(n * m for n, m in zip(config.layer_inputs, config.layer_sizes[1:], strict=True))
    evaluated = train + len(conditions_of(config)) * sum(others)
    return Cost(
        epoch=-(-train // config.training.batch_size) * BATCH_SECONDS,
        network=train * synapses * SYNAPSE_SECONDS,
        point=evaluated * synapses * SYNAPSE_SECONDS,
        memory=PROCESS_BYTES,
        network_memory=max(map(network_memory, configs)),
        most=MAX_ON_GPU,
    )
