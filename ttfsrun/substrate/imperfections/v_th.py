"""Thresholds that differ between neurons, batches and samples.

A neuron whose threshold is drawn at or below its leak potential spikes without input, at time 0 of each such sample.
No input causes that spike, so no weight has a derivative there. This also holds for a backward pass that has only the
recorded times (`observed`), unless jitter moves the time past an input. One that has only the nominal network
(`ideal`) has the derivatives of the nominal spike.
"""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from ttfsrun import types
from ttfsrun.substrate.kinds import normal_shift
from ttfsrun.substrate.perturbation import Perturbation


class Settings(types.Settings):
    """Normal deviations of the threshold, relative to v_th - v_leak."""

    chip_mean: Annotated[types.Finite, Meta(description="mean deviation of the neurons of a chip")]
    chip_std: Annotated[types.NonNegative, Meta(description="std from neuron to neuron of a chip")]
    batch_std: Annotated[types.NonNegative, Meta(description="std from batch to batch, of each neuron")]
    sample_std: Annotated[types.NonNegative, Meta(description="std from sample to sample, of each neuron")]


def perturbations(settings: Settings) -> list[Perturbation]:
    return [
        normal_shift("v_th", "chip", mean=settings.chip_mean, std=settings.chip_std),
        normal_shift("v_th", "batch", std=settings.batch_std),
        normal_shift("v_th", "sample", std=settings.sample_std),
    ]
