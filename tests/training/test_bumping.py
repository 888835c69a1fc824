"""Weight bumping: which layer and which neurons, by how much, and what it leaves alone."""

from __future__ import annotations

import math

import numpy as np
import torch
from tiny_networks import Splits, Tiny, bits

from ttfsrun.data.samples import Samples
from ttfsrun.training.trainer import Trainer

INF = math.inf
BUMP = 0.125


def bumped(silent_fraction: str, *overrides: str) -> tuple[str, ...]:
    return (
        "training.batch_size=110",
        "training.epochs=6",
        f"training.bumping={{silent_fraction:{silent_fraction},value:{BUMP},scheduled:false}}",
        *overrides,
    )


def with_silent(trainer: Trainer, layer: int, neurons: slice, network: int = 0, weight: float = 0.0) -> None:
    trainer.state.learned.weights[layer][network][:, neurons] = weight


def changes(trainer: Trainer, network: int = 0) -> list[np.ndarray]:
    """What one epoch (one batch) does to the weights."""
    before = [weight.clone() for weight in trainer.state.learned.weights]
    trainer.run_epoch()
    return [(now - old)[network].numpy() for now, old in zip(trainer.state.learned.weights, before, strict=True)]


def test_a_layer_with_too_many_silent_neurons_is_bumped_instead_of_trained(tiny: Tiny, samples: Splits) -> None:
    trainer = Trainer([tiny(*bumped("[0.3,0.5]"))], samples["train"], samples["valid"])
    with_silent(trainer, 0, slice(8))
    with_silent(trainer, 0, slice(8, 20), weight=3.0)
    hidden, output = changes(trainer)
    np.testing.assert_array_equal(hidden[:, :8], BUMP)  # the weight of the bias too
    assert not hidden[:, 8:].any()
    assert not output.any()
    assert trainer.state.moments.steps.tolist() == [0]
    assert not trainer.state.moments.first[0].any()


def test_a_layer_within_its_limit_is_trained(tiny: Tiny, samples: Splits) -> None:
    trainer = Trainer([tiny(*bumped("[0.4,0.5]"))], samples["train"], samples["valid"])
    with_silent(trainer, 0, slice(8))  # 8 of 20: just what is allowed
    with_silent(trainer, 0, slice(8, 20), weight=3.0)
    hidden, output = changes(trainer)
    assert not hidden[:, :8].any()  # a silent neuron has no gradient
    assert hidden[:, 8:].any()
    assert output.any()
    assert trainer.state.moments.steps.tolist() == [1]


def test_only_the_first_layer_above_its_limit_is_bumped(tiny: Tiny, samples: Splits) -> None:
    trainer = Trainer([tiny(*bumped("[0.3,0.1]"))], samples["train"], samples["valid"])
    with_silent(trainer, 0, slice(8))
    with_silent(trainer, 1, slice(2))
    hidden, output = changes(trainer)
    assert hidden.any()
    assert not output.any()


def test_the_output_layer_is_bumped_where_the_hidden_ones_are_awake(tiny: Tiny, samples: Splits) -> None:
    trainer = Trainer([tiny(*bumped("[0.3,0]"))], samples["train"], samples["valid"])
    with_silent(trainer, 0, slice(20), weight=3.0)
    with_silent(trainer, 1, slice(3), weight=2.0)
    with_silent(trainer, 1, slice(1, 2))
    hidden, output = changes(trainer)
    assert not hidden.any()
    np.testing.assert_array_equal(output, np.tile([0, BUMP, 0], (21, 1)))


def test_a_neuron_that_is_silent_for_a_single_sample_is_bumped_with_the_others(tiny: Tiny) -> None:
    # One input; hidden neurons: one always silent, one that fires only where the input does, one that fires by itself.
    config = tiny(*bumped("[0.3,1]", "network.hidden=[3]", "network.bias_time=null", "training.batch_size=8"))
    times = np.full((8, 4), INF, np.float32)
    times[:, 0] = 0.2
    times[:7, 1] = 0.2
    part = Samples(times, np.zeros(8, np.int64))
    trainer = Trainer([config], part, part)
    weights = torch.tensor([[0.0, 0.0, 5.0], [0.0, 5.0, 0.0], [0.0, 0.0, 0.0], [0.0, 0.0, 0.0]])
    trainer.state.learned.weights[0][0] = weights
    hidden, _ = changes(trainer)
    np.testing.assert_array_equal(hidden, np.tile([BUMP, BUMP, 0], (4, 1)))


def test_the_bump_doubles_while_the_same_layer_keeps_triggering(tiny: Tiny, samples: Splits) -> None:
    silent_for_ever = "network.t_max=0.1"  # before any input
    trainer = Trainer([tiny(*bumped("[0.3,0]", silent_for_ever))], samples["train"], samples["valid"])
    with_silent(trainer, 0, slice(20))
    for times in (1, 2, 4, 8):
        hidden, output = changes(trainer)
        np.testing.assert_array_equal(hidden, times * BUMP)
        assert not output.any()


def test_the_bump_stops_doubling_at_a_million_and_never_falls_below_the_first(tiny: Tiny, samples: Splits) -> None:
    for first, expected in ((4e5, [4e5, 8e5, 1e6, 1e6]), (3e6, [3e6] * 4)):
        bumping = f"training.bumping={{silent_fraction:[0.3,0],value:{first},scheduled:false}}"
        config = tiny(*bumped("[0.3,0]", "network.t_max=0.1"), bumping)
        trainer, found = Trainer([config], samples["train"], samples["valid"]), []
        for _ in expected:
            trainer.run_epoch()
            found += trainer.state.bumping.value.tolist()
        assert found == expected


def test_after_a_batch_without_a_bump_the_value_starts_anew(tiny: Tiny, samples: Splits) -> None:
    trainer = Trainer([tiny(*bumped("[0.3,1]"))], samples["train"], samples["valid"])
    with_silent(trainer, 0, slice(20))
    assert changes(trainer)[0].max() == BUMP
    with_silent(trainer, 0, slice(20))
    assert changes(trainer)[0].max() == 2 * BUMP
    with_silent(trainer, 0, slice(20), weight=3.0)
    changes(trainer)
    assert trainer.state.moments.steps.tolist() == [1]
    with_silent(trainer, 0, slice(20))
    assert changes(trainer)[0].max() == BUMP


def test_another_layer_starts_with_the_first_value(tiny: Tiny, samples: Splits) -> None:
    trainer = Trainer([tiny(*bumped("[0.3,0]"))], samples["train"], samples["valid"])
    with_silent(trainer, 0, slice(20), weight=3.0)
    with_silent(trainer, 1, slice(3))
    assert changes(trainer)[1].max() == BUMP
    with_silent(trainer, 0, slice(20))
    assert changes(trainer)[0].max() == BUMP
    with_silent(trainer, 0, slice(20), weight=3.0)
    with_silent(trainer, 1, slice(3))
    assert changes(trainer)[1].max() == BUMP


def test_a_bumped_network_does_not_hold_up_the_others(tiny: Tiny, samples: Splits) -> None:
    configs = [tiny(*bumped("[0.3,1]", f"seed.init={seed}")) for seed in (0, 1)]
    together = Trainer(configs, samples["train"], samples["valid"])
    alone = Trainer(configs[1:], samples["train"], samples["valid"])
    with_silent(together, 0, slice(20), network=0)
    together.run_epoch()
    alone.run_epoch()
    assert together.state.moments.steps.tolist() == [0, 1]
    assert together.state.bumping.layer.tolist() == [0, -1]
    assert bits(together, 1) == bits(alone, 0)


def test_scheduled_bumps_follow_the_schedule_of_the_learning_rate(tiny: Tiny, samples: Splits) -> None:
    halved = "training.schedule={name:step,factor:0.5,epochs:1}"
    silent_for_ever = "network.neuron.v_th=1e6"
    configs = [
        tiny(
            *bumped("[0.3,1]", silent_for_ever, "~training.schedule", f"+{halved}", f"training.bumping.scheduled={on}")
        )
        for on in (True, False)
    ]
    trainer = Trainer(configs, samples["train"], samples["valid"])
    for network in (0, 1):
        with_silent(trainer, 0, slice(20), network)
    for doubled in (1, 2, 4):
        before = trainer.state.learned.weights[0].clone()
        trainer.run_epoch()
        scheduled, constant = (trainer.state.learned.weights[0] - before).numpy()
        np.testing.assert_array_equal(constant, doubled * BUMP)
        np.testing.assert_array_equal(scheduled, BUMP)  # doubled and halved
        assert trainer.state.bumping.value.tolist() == [doubled * BUMP] * 2
