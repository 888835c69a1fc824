"""The noise on the input times, and the order of the samples."""

from __future__ import annotations

import math

import numpy as np
import pytest
from tiny_networks import Splits, Tiny, trained

from ttfsrun.config.schema import Config
from ttfsrun.data.samples import Samples
from ttfsrun.network import build
from ttfsrun.training.batches import Batches
from ttfsrun.training.responses import collect_responses

INF = math.inf


def batches(config: Config, part: Samples, epoch: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """All input times and labels of an epoch, in the order of training."""
    found = list(Batches([config], part, config.training.batch_size).of_epoch(epoch))
    return (
        np.concatenate([batch.times[0].numpy() for batch in found]),
        np.concatenate([batch.labels[0].numpy() for batch in found]),
    )


@pytest.fixture
def white() -> Samples:
    """Input times some of which are silent; the label is the number of the sample."""
    times = np.random.default_rng(0).uniform(0.15, 2, (2000, 4)).astype(np.float32)
    times[::3, 1] = INF
    return Samples(times, np.arange(2000))


def test_noise_moves_the_inputs_by_its_standard_deviation_and_leaves_silent_ones_silent(
    tiny: Tiny, white: Samples
) -> None:
    times, labels = batches(tiny("training.input_noise=0.02"), white)
    np.testing.assert_array_equal(np.sort(labels), np.arange(2000))  # each sample once
    clean = white.times[labels]
    np.testing.assert_array_equal(np.isinf(times), np.isinf(clean))
    finite = np.isfinite(clean)
    draws = (times[finite] - clean[finite]) / 0.02
    assert abs(draws.mean()) < 5 / math.sqrt(draws.size)
    assert draws.std() == pytest.approx(1, abs=5 / math.sqrt(2 * draws.size))


def test_negative_times_are_reflected(tiny: Tiny, white: Samples) -> None:
    weak, strong = (batches(tiny(f"training.input_noise={std}"), white) for std in (0.01, 1.0))
    clean = white.times[weak[1]]
    finite = np.isfinite(clean)
    draws = (weak[0][finite] - clean[finite]) / 0.01
    noisy = clean[finite] + draws
    assert (noisy < 0).mean() > 0.1
    np.testing.assert_allclose(strong[0][finite], np.abs(noisy), atol=1e-4)  # 0.01 magnifies float32's rounding


def test_without_noise_the_times_are_those_of_the_data_in_the_same_order(tiny: Tiny, white: Samples) -> None:
    (times, labels), (_, noisy_labels) = (batches(tiny(f"training.input_noise={std}"), white) for std in (0, 0.3))
    np.testing.assert_array_equal(times, white.times[labels])
    np.testing.assert_array_equal(labels, noisy_labels)


def test_order_and_noise_follow_the_seed_of_the_data_and_the_epoch(tiny: Tiny, white: Samples) -> None:
    noise = "training.input_noise=0.03"  # so weak that no time is reflected
    times, labels = batches(tiny(noise), white)
    same, same_labels = batches(tiny(noise, "seed.init=9", "seed.data=0", "seed.chip=3", "seed.trial=3"), white)
    np.testing.assert_array_equal(times, same)
    np.testing.assert_array_equal(labels, same_labels)
    for config, epoch in ((tiny(noise, "seed.data=1"), 0), (tiny(noise), 1)):
        other, other_labels = batches(config, white, epoch)
        assert (labels != other_labels).mean() > 0.99
        both = np.isfinite(times) & np.isfinite(other)
        draws, other_draws = (t[both] - white.times[n][both] for t, n in ((times, labels), (other, other_labels)))
        assert abs(np.corrcoef(draws, other_draws)[0, 1]) < 5 / math.sqrt(draws.size)


def test_validation_sees_no_noise(tiny: Tiny, samples: Splits) -> None:
    config = tiny("training.input_noise=5", "training.optimizer.learning_rate=1e-30")
    trainer = trained([config], samples, 1)
    (result,) = collect_responses(build([config]), samples["valid"], config.training.loss)
    assert trainer.state.curves[0, 0, 1, 0] == result.loss
