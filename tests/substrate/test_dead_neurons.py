"""Dead neurons never spike, and weight bumping skips them."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from perturbed import STRONG, configured, operating, outcome, some_times

from ttfsrun.config.schema import Config
from ttfsrun.data.samples import Samples, load_samples
from ttfsrun.substrate.backward import RULES
from ttfsrun.substrate.chip import Chip
from ttfsrun.training.trainer import Trainer

OnChip = Callable[..., Config]
DEAD_HIDDEN = [True, False, False, True, False, False, False]


@pytest.fixture(scope="module")
def splits() -> dict[str, Samples]:
    return load_samples(configured().data)[0]


@pytest.fixture
def on_chip(tmp_path: Path) -> OnChip:
    """Return a configuration on a chip with these dead neurons."""

    def make(hidden: list[bool], labels: list[bool], **others: object) -> Config:
        path = tmp_path / "dead.safetensors"
        Chip({"dead_neurons": (np.array([hidden]), np.array([labels]))}).save(path)
        return configured({"chip.file": str(path)}, **others)

    return make


def with_bumps(silent_fraction: list[float]) -> dict[str, object]:
    return {
        "training__bumping": {"silent_fraction": silent_fraction, "value": 0.125, "scheduled": False},
        "training__batch_size": 60,
        "training__optimizer__learning_rate": 1e-30,
    }


def test_a_dead_neuron_never_spikes_even_if_all_others_do(on_chip: OnChip) -> None:
    for settings in ({"v_th__chip_mean": -2.0}, {"spike_time__jitter": 0.5}, {"time_resolution__step": 0.1}):
        nested = {f"substrate__{key}": value for key, value in settings.items()}
        config = on_chip(DEAD_HIDDEN, [False, True, False], **nested)
        hidden, output = outcome([config], some_times(), operating(config))[0]
        assert torch.equal(hidden.isinf().all(dim=1)[0], torch.tensor(DEAD_HIDDEN))
        assert bool(output[..., 1].isinf().all())


def test_a_dead_neuron_is_a_missing_one_to_the_next_layer(on_chip: OnChip) -> None:
    config = on_chip(DEAD_HIDDEN, [False] * 3)
    dead = torch.tensor([*DEAD_HIDDEN, False])
    hidden, output = outcome([config], some_times(), operating(config))[0]
    ideal_hidden, ideal_output = outcome([configured()], some_times(), operating(configured()))[0]
    assert torch.equal(hidden, ideal_hidden.masked_fill(dead[:-1], math.inf))
    assert not torch.equal(output, ideal_output)


def test_dead_neurons_are_not_bumped_and_do_not_count_as_silent(on_chip: OnChip, splits: dict[str, Samples]) -> None:
    # 2 of 7 are dead: more than is allowed, if they counted.
    config = on_chip(DEAD_HIDDEN, [False] * 3, **with_bumps([0.2, 1.0]))
    trainer = Trainer([config], splits["train"], splits["valid"])
    trainer.state.learned.weights[0][:] = 3.0
    before = trainer.state.learned.weights[0].clone()
    trainer.run_epoch()
    assert torch.equal(trainer.state.learned.weights[0], before)
    assert trainer.state.moments.steps.tolist() == [1]
    # Two more are silent: those are bumped, the dead ones not.
    trainer.state.learned.weights[0][0, :, 1:3] = 0.0
    before = trainer.state.learned.weights[0].clone()
    trainer.run_epoch()
    change = (trainer.state.learned.weights[0] - before)[0]
    assert torch.equal(change, 0.125 * torch.tensor([0.0, 1, 1, 0, 0, 0, 0]).expand(5, 7))


@pytest.mark.parametrize(("strengths", "bumps"), [({"spike_time.loss": 1.0}, 0.0), ({"v_th.chip_mean": 1e6}, 0.125)])
def test_neurons_that_stay_below_threshold_are_bumped_but_not_those_whose_spikes_are_lost(
    strengths: dict[str, float], bumps: float, splits: dict[str, Samples]
) -> None:
    trainer = Trainer([configured(strengths, **with_bumps([0.2, 1.0]))], splits["train"], splits["valid"])
    before = trainer.state.learned.weights[0].clone()
    trainer.run_epoch()
    torch.testing.assert_close(trainer.state.learned.weights[0] - before, torch.full((1, 5, 7), bumps))


@pytest.mark.parametrize("rule", RULES)
def test_training_goes_on_although_a_label_neuron_is_dead(
    rule: str, on_chip: OnChip, splits: dict[str, Samples]
) -> None:
    config = on_chip(
        [False] * 7,
        [False, True, False],
        training__backward=rule,
        training__epochs=6,
        training__optimizer__learning_rate=0.03,
        training__bumping={"silent_fraction": [0.3, 0.0], "value": 0.05, "scheduled": False},
    )
    trainer = Trainer([config], splits["train"], splits["valid"])
    for _ in range(6):
        trainer.run_epoch()
    losses, accuracies = trainer.state.curves[:, 0, 0, 0], trainer.state.curves[:, 0, 0, 1]
    assert bool(losses.isfinite().all())
    assert float(losses[-1]) < float(losses[0])
    share = np.bincount(splits["train"].labels)[1] / len(splits["train"].labels)
    assert float(losses[-1]) > share * config.training.loss.silent  # each sample of that class costs the constant
    assert float(accuracies.max()) <= 1 - share
    assert int(trainer.state.moments.steps[0]) > 0
    silent = trainer.state.curves[-1, 0, 1, 3]
    assert float(silent) > 1 / 3 - 1e-9  # to rounding


@pytest.mark.parametrize("p", [0.0, 1.0])
def test_all_or_none_may_be_dead(p: float, splits: dict[str, Samples]) -> None:
    config = configured({"dead_neurons.p": p}, training__bumping__silent_fraction=[0.0, 0.0])
    trainer = Trainer([config], splits["train"], splits["valid"])
    trainer.run_epoch()
    assert bool((trainer.state.curves[0, 0, :, 2:] == 1).all()) == (p == 1)
    assert int(trainer.state.moments.steps[0]) == trainer.n_batches or p == 0


def test_which_neurons_are_dead_is_a_chips_and_does_not_change_with_age_or_trial() -> None:
    for p in (STRONG["dead_neurons.p"], 0.6):
        config = configured({"dead_neurons.p": p, "v_th.chip_mean": -2.0, "drift.std": 0.1})
        masks = [
            outcome([config], some_times(), operating(config, age=age, step=age))[0][0].isinf().all(dim=1)
            for age in (0, 5)
        ]
        assert torch.equal(*masks)
        assert 0 < int(masks[0].sum()) < 7
