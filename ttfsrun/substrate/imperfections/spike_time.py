"""Spikes that arrive early, late or not at all, at the next layer as well as in the record.

Jitter is noise of the transmission and of the time stamp, not of the membrane. A spike may be recorded before the
last of the inputs that caused it, or before time 0, and is passed on with that time. No time is cut off, so the noise
is normal everywhere. A backward pass that has only the recorded times (`observed`) treats inputs after such a time as
not causal, and has no derivative where no input comes before it. One that knows what was drawn (`same_draw`) has the
derivative of the true crossing.
"""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from ttfsrun import types
from ttfsrun.substrate.kinds import lost_spikes, normal_shift
from ttfsrun.substrate.perturbation import Perturbation


class Settings(types.Settings):
    """Noise on the times of spikes, and lost spikes."""

    jitter: Annotated[types.NonNegative, Meta(description="std of normal noise, drawn for each sample, in tau_syn")]
    loss: Annotated[types.Fraction, Meta(description="probability that a spike is lost")]


def perturbations(settings: Settings) -> list[Perturbation]:
    return [
        normal_shift("spike_time", "sample", std=settings.jitter),
        lost_spikes("spike_time", "sample", p=settings.loss, name="spike_time.loss"),
    ]
