"""A network learns by its own data, noise and remedies, whatever else is trained with it."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
import pytest
import torch

from ttfsrun.config.schema import Config
from ttfsrun.data.samples import Samples
from ttfsrun.evaluation.metrics import compute_metrics
from ttfsrun.network import build
from ttfsrun.neuron import parallel
from ttfsrun.training.responses import collect_responses
from ttfsrun.training.state import TrainingState, curve_metrics
from ttfsrun.training.trainer import Diverged, Trainer

Tiny = Callable[..., Config]
Splits = dict[str, Samples]
INF = math.inf

#: Seven networks that differ in all that networks of one population may differ in. Their weights start low, so that
#: some have to be bumped; the gradient limit is met now and then.
REMEDIES = (
    "training.gradient_limit=0.005",
    "training.bumping={silent_fraction:[0.25,0.05],value:0.01}",
    "network.init={mean:[0.9,0.4],std:[0.9,0.8]}",
    "training.optimizer.learning_rate=0.01",
    "training.input_noise=0.1",
)
SEVEN = (
    ("seed.init=1",),
    ("seed.init=2", "training.optimizer.learning_rate=0.03"),
    ("seed.init=3", "network.neuron={tau_mem:2,tau_syn:0.5,v_th:0.9,v_leak:0.1}"),
    ("seed.init=4", "training.input_noise=0", "network.neuron.v_th=0.7"),
    ("seed.init=5", "seed.data=1", "training.schedule={name:cosine,final:0}"),
    ("seed.init=6", "seed.data=1", "training.input_noise=0.3"),
    ("seed.init=1", "network.init={mean:[3,2],std:[0.8,0.8]}"),
)


def trained(configs: Sequence[Config], samples: Splits, epochs: int | None = None) -> Trainer:
    trainer = Trainer(configs, samples["train"], samples["valid"])
    for _ in range(epochs or trainer.settings.epochs):
        trainer.run_epoch()
    return trainer


def bits(trainer: Trainer, p: int) -> list[bytes]:
    """Everything that training made of one network."""
    state = trainer.state
    per_network = [
        *state.weights,
        *state.best_weights,
        *state.moments.first,
        *state.moments.second,
        state.moments.steps,
        state.bumping.layer,
        state.bumping.value,
        state.best_score,
        state.best_epoch,
        state.curves.swapaxes(0, 1),
    ]
    return [tensor[p].numpy().tobytes() for tensor in per_network]


def metrics(trainer: Trainer, p: int, samples: Splits) -> list[dict[str, object]]:
    part, loss = samples["test"], trainer.settings.loss
    return [compute_metrics(collect_responses(net, part, loss)[p]) for net in (trainer.best(), trainer.last())]


@pytest.fixture
def seven(tiny: Tiny) -> list[Config]:
    return [tiny(*REMEDIES, *own) for own in SEVEN]


@pytest.mark.parametrize("n_threads", [1, 2])
def test_a_network_has_the_same_bits_alone_and_among_seven(
    n_threads: int,
    seven: list[Config],
    samples: Splits,
    threads: Callable[[int], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(parallel, "SMALLEST_SHARE", 1)  # however little there is to do
    threads(1)
    alone = [trained([config], samples) for config in seven]
    threads(n_threads)
    together = trained(seven, samples)
    assert together.state.epoch == 3
    for p, single in enumerate(alone):
        assert bits(together, p) == bits(single, 0)
        assert metrics(together, p, samples) == metrics(single, 0, samples)
    assert len({bits(together, p)[0] for p in range(7)}) == 7


def test_the_remedies_are_at_work_in_those_seven(seven: list[Config], samples: Splits, tiny: Tiny) -> None:
    trainer = trained(seven, samples)
    steps = trainer.state.moments.steps.tolist()
    assert max(steps) == 3 * trainer.n_batches == 15  # one was never bumped
    assert 0 < min(steps) < 15  # another was
    unlimited = trained([tiny(*REMEDIES, *own, "training.gradient_limit=null") for own in SEVEN], samples)
    assert sum(bits(trainer, p)[:2] != bits(unlimited, p)[:2] for p in range(7)) >= 5


def test_the_order_of_a_population_does_not_matter(seven: list[Config], samples: Splits) -> None:
    forwards, backwards = trained(seven, samples), trained(seven[::-1], samples)
    assert [bits(forwards, p) for p in range(7)] == [bits(backwards, 6 - p) for p in range(7)]


def test_training_again_gives_the_same_bits_and_another_seed_others(tiny: Tiny, samples: Splits) -> None:
    first, again, other = (trained([tiny(override)], samples) for override in ("seed.init=1",) * 2 + ("seed.init=2",))
    assert bits(first, 0) == bits(again, 0)
    assert bits(first, 0)[:2] != bits(other, 0)[:2]


def test_an_epoch_from_a_copied_state_is_the_epoch_itself(seven: list[Config], samples: Splits) -> None:
    trainer = trained(seven, samples, epochs=1)
    snapshot = trainer.state.copy()
    before = [bits(trainer, p) for p in range(7)]
    trainer.run_epoch()
    resumed = Trainer(seven, samples["train"], samples["valid"], snapshot)
    assert [bits(resumed, p) for p in range(7)] == before  # further training did not touch the copy
    resumed.run_epoch()
    assert [bits(resumed, p) for p in range(7)] == [bits(trainer, p) for p in range(7)]


def test_yin_yang_is_learnt(tiny: Tiny) -> None:
    from ttfsrun.data.samples import load_samples

    config = tiny(
        "data.samples={train:600,valid:200,test:200}",
        "network.hidden=[40]",
        "training.optimizer.learning_rate=0.02",
        "training.epochs=15",
    )
    samples, _ = load_samples(config.data)
    trainer = trained([config], samples)
    part = samples["test"]
    (result,) = collect_responses(trainer.best(), part, config.training.loss)
    assert result.accuracy > 0.75  # chance is 0.33, a shallow classifier 0.64 (Kriener et al. 2022)
    losses = trainer.state.curves[:, 0, 0, 0]
    assert losses[-1] < 0.7 * losses[0]


def test_the_best_network_is_that_of_the_best_validation(tiny: Tiny, samples: Splits) -> None:
    config = tiny("training.epochs=12", "training.optimizer.learning_rate=0.2")
    trainer = Trainer([config], samples["train"], samples["valid"])
    history = []
    for _ in range(12):
        trainer.run_epoch()
        history.append([weight.clone() for weight in trainer.state.weights])
    loss, accuracy = (trainer.state.curves[:, 0, 1, i].tolist() for i in (0, 1))
    epoch = max(range(12), key=lambda e: (accuracy[e], -loss[e]))
    assert epoch < 11  # so that the last one is not the best by chance
    assert trainer.state.best_epoch.tolist() == [epoch + 1]
    assert all(map(torch.equal, trainer.state.best_weights, history[epoch]))
    (result,) = collect_responses(trainer.best(), samples["valid"], config.training.loss)
    assert (result.accuracy, result.loss) == (accuracy[epoch], loss[epoch])


def test_the_curves_are_the_means_over_the_samples_of_an_epoch(tiny: Tiny, samples: Splits) -> None:
    # Nothing moves at this rate: what is recorded in the course of the epoch is what the initial network does.
    config = tiny("training.optimizer.learning_rate=1e-30", "training.bumping.silent_fraction=[1,1]")
    trainer = trained([config], samples, epochs=1)
    for number, split in enumerate(("train", "valid")):
        part = samples[split]
        (result,) = collect_responses(build([config]), part, config.training.loss)
        recorded = dict(zip(curve_metrics(2), trainer.state.curves[0, 0, number].tolist(), strict=True))
        fractions = {f"silent_fraction_{i}": share for i, share in enumerate(result.silent_fraction, 1)}
        expected = {"loss": result.loss, "accuracy": result.accuracy, **fractions}
        assert recorded == pytest.approx(expected, rel=1e-12)
    assert torch.isnan(trainer.state.curves[1:]).all()


def test_a_step_is_that_of_autograd_and_torchs_adam(tiny: Tiny, samples: Splits) -> None:
    config = tiny("training.batch_size=110", "training.gradient_limit=null", "training.bumping.silent_fraction=[1,1]")
    trainer = trained([config], samples, epochs=1)
    network = build([config])
    weights = [weight.requires_grad_() for weight in network.weights]
    spikes = network.with_weights(weights)(torch.from_numpy(samples["train"].times)[None])[-1][0]
    labels = torch.from_numpy(samples["train"].labels)
    settings = config.training.loss
    own = spikes[torch.arange(110), labels]
    assert bool(torch.isfinite(own).all())
    cross_entropy = torch.logsumexp(-spikes / settings.xi, dim=1) + own / settings.xi
    (cross_entropy + settings.alpha * torch.exp(own / settings.beta)).mean().backward()
    adam = torch.optim.Adam(weights, lr=config.training.optimizer.learning_rate)
    adam.step()
    for ours, reference in zip(trainer.state.weights, weights, strict=True):
        # The first step is 0.005 times the sign of the gradient, unless that is as small as float32's rounding.
        difference = (ours - reference.detach()).abs()
        assert float(difference.max()) < 2e-5


# Weight bumping

BUMP = 0.125


def bumped(silent_fraction: str, *overrides: str) -> tuple[str, ...]:
    return (
        "training.batch_size=110",
        "training.epochs=6",
        f"training.bumping={{silent_fraction:{silent_fraction},value:{BUMP}}}",
        *overrides,
    )


def with_silent(trainer: Trainer, layer: int, neurons: slice, network: int = 0, weight: float = 0.0) -> None:
    trainer.state.weights[layer][network][:, neurons] = weight


def changes(trainer: Trainer, network: int = 0) -> list[np.ndarray]:
    """What one epoch (one batch) does to the weights."""
    before = [weight.clone() for weight in trainer.state.weights]
    trainer.run_epoch()
    return [(now - old)[network].numpy() for now, old in zip(trainer.state.weights, before, strict=True)]


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
    trainer.state.weights[0][0] = torch.tensor([[0.0, 0.0, 5.0], [0.0, 5.0, 0.0], [0.0, 0.0, 0.0], [0.0, 0.0, 0.0]])
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


# The limit on gradients


def test_gradients_above_the_limit_teach_nothing(tiny: Tiny, samples: Splits) -> None:
    settings = ("training.batch_size=110", "training.bumping.silent_fraction=[1,1]")
    start = build([tiny(*settings)]).weights
    dropped = trained([tiny(*settings, "training.gradient_limit=1e-30")], samples, 1)
    assert all(map(torch.equal, dropped.state.weights, start))
    kept, unlimited = (
        trained([tiny(*settings, f"training.gradient_limit={limit}")], samples, 1) for limit in (1e30, "null")
    )
    assert bits(kept, 0) == bits(unlimited, 0)
    assert not any(map(torch.equal, kept.state.weights, start))


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


# Noise on the inputs


def batches(config: Config, part: Samples, epoch: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """All input times and labels of an epoch, in the order of training."""
    pairs = list(Trainer([config], part, part)._batches(epoch))
    return tuple(torch.cat(tensors, dim=1)[0].numpy() for tensors in zip(*pairs, strict=True))


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


# What cannot go on


def test_an_infinite_loss_stops_and_is_named_with_epoch_and_batch(tiny: Tiny, samples: Splits) -> None:
    with pytest.raises(Diverged, match=r"^the loss is inf in epoch 1, batch 1 \(network with seed\.init=3\): lower "):
        trained([tiny("training.loss.beta=0.001", "seed.init=3")], samples)
    assert Diverged.exit_code == 1


def test_an_infinite_gradient_of_the_loss_stops(tiny: Tiny, samples: Splits) -> None:
    with pytest.raises(Diverged, match=r"^the gradient of the loss is (inf|nan) in epoch 1, batch 1 "):
        trained([tiny("training.loss.beta=0.0029")], samples)  # exp(2 / beta) is a float64, but no float32


def test_an_infinite_gradient_by_the_weights_stops_and_is_named_with_its_layer(tiny: Tiny, samples: Splits) -> None:
    # A loss that changes by 1 / xi, and spikes that move by 1 / weight: each is a float32, their product is not.
    config = tiny(
        "training.loss.xi=1e-37",
        "training.gradient_limit=null",
        "network.neuron.v_th=0.001",
        "network.init={mean:[0.0015,0.0005],std:[0.0008,0.0008]}",
    )
    with pytest.raises(Diverged, match=r"^the gradient of layer [12] is (nan|inf) in epoch 1, batch [1-5] "):
        trained([config], samples)


def test_the_epoch_is_counted_from_the_first_one_that_was_ever_trained(tiny: Tiny, samples: Splits) -> None:
    state = trained([tiny()], samples, epochs=2).state
    late = Trainer([tiny("training.loss.beta=0.001")], samples["train"], samples["valid"], state)
    with pytest.raises(Diverged, match="in epoch 3, batch 1 "):
        late.run_epoch()


def test_the_network_that_diverged_is_named(tiny: Tiny, samples: Splits) -> None:
    overflow = "training.loss.beta=0.001"
    sound = tiny(overflow, "seed.init=5", "network.neuron={v_th:0.5,v_leak:1}")  # all its neurons fire at time 0
    trained([sound], samples)
    with pytest.raises(Diverged, match=r"network with seed\.init=6"):
        trained([sound, tiny(overflow, "seed.init=6")], samples)


def test_the_initial_state_is_the_network_before_training(tiny: Tiny) -> None:
    network = build([tiny("seed.init=1"), tiny("seed.init=2")])
    state = TrainingState.initial(network, 3)
    assert all(map(torch.equal, state.weights, network.weights))
    assert all(a.data_ptr() != b.data_ptr() for a, b in zip(state.weights, network.weights, strict=True))
    assert state.best_epoch.tolist() == [0, 0]
    assert state.curves.shape == (3, 2, 2, 4)
