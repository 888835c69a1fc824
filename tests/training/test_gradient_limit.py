"""The limit on gradients: what is above it does not train."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from tiny_networks import Splits, Tiny, bits, trained

from ttfsrun.data.samples import Samples
from ttfsrun.network import build
from ttfsrun.training.trainer import Trainer


def test_gradients_above_the_limit_teach_nothing(tiny: Tiny, samples: Splits) -> None:
    settings = ("training.batch_size=110", "training.bumping.silent_fraction=[1,1]")
    start = build([tiny(*settings)]).weights
    dropped = trained([tiny(*settings, "training.gradient_limit=1e-30")], samples, 1)
    assert all(map(torch.equal, dropped.state.learned.weights, start))
    limited, unlimited = (
        trained([tiny(*settings, f"training.gradient_limit={limit}")], samples, 1) for limit in (1e30, "null")
    )
    assert bits(limited, 0) == bits(unlimited, 0)
    assert not any(map(torch.equal, limited.state.learned.weights, start))


def test_the_limit_is_on_gradients_of_the_mean_over_the_batch(tiny: Tiny, samples: Splits) -> None:
    one = Samples(samples["train"].times[:1], samples["train"].labels[:1])
    ten = Samples(np.repeat(one.times, 10, axis=0), np.repeat(one.labels, 10))
    settings = ("training.bumping.silent_fraction=[1,1]", "training.batch_size=10")
    largest = []
    for part in (one, ten):  # the mean is the same, a sample's share in it a tenth
        trainer = Trainer([tiny(*settings, "training.gradient_limit=null")], part, part)
        trainer.run_epoch()
        largest.append(max(float(moment.abs().max()) for moment in trainer.state.moments.first) / (1 - 0.9))
    assert largest[0] == pytest.approx(largest[1], rel=1e-5)
    between = f"training.gradient_limit={largest[0] / 3}"
    steps = []
    for part in (one, ten):
        trainer = Trainer([tiny(*settings, between)], part, part)
        trainer.run_epoch()
        steps.append(max(float(moment.abs().max()) for moment in trainer.state.moments.first) / (1 - 0.9))
    assert steps[0] < largest[0] / 3
    assert steps[1] == pytest.approx(largest[0], rel=1e-5)
