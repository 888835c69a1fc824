"""A network learns by its own data and settings, whatever else is trained with it."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from tiny_networks import REMEDIES, SEVEN, Splits, Tiny, bits, trained

from ttfsrun.config.schema import Config
from ttfsrun.evaluation.metrics import compute_metrics
from ttfsrun.network import build
from ttfsrun.neuron import Neuron, first_spike, parallel
from ttfsrun.training.responses import collect_responses
from ttfsrun.training.state import TrainingState, curve_metrics
from ttfsrun.training.trainer import Trainer


def metrics(trainer: Trainer, p: int, samples: Splits) -> list[dict[str, object]]:
    part, loss = samples["test"], trainer.settings.loss
    return [compute_metrics(collect_responses(net, part, loss)[p]) for net in (trainer.best(), trainer.last())]


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
    unlimited = trained([tiny(*REMEDIES, *overrides, "training.gradient_limit=null") for overrides in SEVEN], samples)
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
        history.append([weight.clone() for weight in trainer.state.learned.weights])
    loss, accuracy = (trainer.state.curves[:, 0, 1, i].tolist() for i in (0, 1))
    epoch = max(range(12), key=lambda e: (accuracy[e], -loss[e]))
    assert epoch < 11  # so that the last one is not the best by chance
    assert trainer.state.best_epoch.tolist() == [epoch + 1]
    assert all(map(torch.equal, trainer.state.best.weights, history[epoch]))
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
    weights = [weight[0].requires_grad_() for weight in build([config]).weights]
    spikes = torch.from_numpy(samples["train"].times)
    for weight in weights:
        spikes = first_spike(torch.cat((spikes, torch.full((110, 1), 0.9)), dim=1), weight, Neuron())
    labels = torch.from_numpy(samples["train"].labels)
    settings = config.training.loss
    labelled = spikes[torch.arange(110), labels]
    assert bool(torch.isfinite(labelled).all())
    cross_entropy = torch.logsumexp(-spikes / settings.xi, dim=1) + labelled / settings.xi
    (cross_entropy + settings.alpha * torch.exp(labelled / settings.beta)).mean().backward()
    adam = torch.optim.Adam(weights, lr=config.training.optimizer.learning_rate)
    adam.step()
    for ours, reference in zip(trainer.state.learned.weights, weights, strict=True):
        # The first step is 0.005 times the sign of the gradient, unless that is as small as float32's rounding.
        difference = (ours[0] - reference.detach()).abs()
        assert float(difference.max()) < 2e-5


def test_the_initial_state_is_the_network_before_training(tiny: Tiny) -> None:
    network = build([tiny("seed.init=1"), tiny("seed.init=2")])
    state = TrainingState.initial(network, 3)
    assert all(map(torch.equal, state.learned.weights, network.weights))
    assert all(a.data_ptr() != b.data_ptr() for a, b in zip(state.learned.weights, network.weights, strict=True))
    assert state.best_epoch.tolist() == [0, 0]
    assert state.curves.shape == (3, 2, 2, 4)
