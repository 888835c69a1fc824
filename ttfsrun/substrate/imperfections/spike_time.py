"""Spikes arrive, at the next layer as well as in the record, early, late, or not at all.

Jitter is noise of the transmission and of the time stamp, not of the membrane: a spike may be recorded before the
last of the inputs that caused it, or before time 0, and is passed on like this. Nothing is cut off, so the noise is
normal everywhere. A backward pass that has only the record (`observed`) takes inputs after the recorded time for
effects, not causes, and has no derivative where no input comes before it; one that knows the draw (`same_draw`) has
the derivative of the true crossing.
"""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from ttfsrun import types as kinds
from ttfsrun.substrate.changes import loss, normal_shift
from ttfsrun.substrate.perturbation import Perturbation


class Settings(kinds.Settings):
    """Noise on the times of spikes, and their loss."""

    jitter: Annotated[kinds.NonNegative, Meta(description="std of normal noise, anew for each sample, in tau_syn")]
    loss: Annotated[kinds.Fraction, Meta(description="probability that a spike is lost")]


def perturbations(settings: Settings) -> list[Perturbation]:
    return [
        normal_shift("spike_time", "sample", std=settings.jitter),
        loss("spike_time", "sample", p=settings.loss, name="spike_time.loss"),
    ]
