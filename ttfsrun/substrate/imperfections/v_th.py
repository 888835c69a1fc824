"""Thresholds that differ between neurons, batches and samples.

A neuron whose threshold is drawn at or below its leak potential fires by itself, at time 0 of each such sample. No
input causes that spike, so no weight has a derivative there. A backward pass that has only the record (`observed`)
sees as much, unless jitter moves the record past an input; one that has only the nominal network (`ideal`) knows
nothing of it.
"""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from ttfsrun import types as kinds
from ttfsrun.substrate.changes import normal_shift
from ttfsrun.substrate.perturbation import Perturbation


class Settings(kinds.Settings):
    """Normal deviations of the threshold, relative to v_th - v_leak."""

    chip_mean: Annotated[kinds.Finite, Meta(description="mean deviation of the neurons of a chip")]
    chip_std: Annotated[kinds.NonNegative, Meta(description="std from neuron to neuron of a chip")]
    batch_std: Annotated[kinds.NonNegative, Meta(description="std from batch to batch, of each neuron")]
    sample_std: Annotated[kinds.NonNegative, Meta(description="std from sample to sample, of each neuron")]


def perturbations(settings: Settings) -> list[Perturbation]:
    return [
        normal_shift("v_th", "chip", mean=settings.chip_mean, std=settings.chip_std),
        normal_shift("v_th", "batch", std=settings.batch_std),
        normal_shift("v_th", "sample", std=settings.sample_std),
    ]
