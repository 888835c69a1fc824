"""Delays are trained with the weights, at a rate of their own, and in any company to the same bits."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from tiny_networks import REMEDIES, SEVEN, Splits, Tiny, bits, trained

from ttfsrun.data.samples import load_samples
from ttfsrun.neuron import parallel
from ttfsrun.training import checkpoint
from ttfsrun.training.step import CODES, LEARNED
from ttfsrun.training.trainer import Diverged, Trainer

#: Seven networks whose delays differ in all that those of one population may differ in.
DELAYS = (
    (),
    ("training.optimizer.delay_learning_rate=0.1",),
    ("network.init.delay={mean:-1,std:0.1}",),
    ("network.delay_function.scale=0.25",),
    ("network.delay_function={shift:0.5,scale:0.5}",),
    ("network.init.delay.std=0",),
    (),
)
KINDS = ("axonal", "dendritic", "synaptic")


@pytest.mark.parametrize("kind", KINDS)
def test_delays_have_the_same_bits_alone_among_seven_on_threads_and_resumed(
    kind: str,
    tiny: Tiny,
    samples: Splits,
    threads: Callable[[int], None],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    configs = [
        tiny(*REMEDIES, *own, *delays, f"network.delays={kind}", "training.epochs=2")
        for own, delays in zip(SEVEN, DELAYS, strict=True)
    ]
    monkeypatch.setattr(parallel, "SMALLEST_SHARE", 1)  # however little there is to do
    threads(2)
    together = trained(configs, samples)
    threads(1)
    first = trained(configs, samples, epochs=1)
    checkpoint.save_state(tmp_path / "c", first.state, {})
    some = checkpoint.load_state(tmp_path / "c")[0].select([1, 4])
    resumed = Trainer([configs[1], configs[4]], samples["train"], samples["valid"], some)
    resumed.run_epoch()
    assert [bits(resumed, n) for n in range(2)] == [bits(together, p) for p in (1, 4)]
    alone = trained([configs[6]], samples)
    assert bits(alone, 0) == bits(together, 6)
    for moment in together.state.moments.second[2:]:
        assert bool(moment.flatten(1).any(1).all()), "the delays of each network and layer are trained"


def test_delays_step_as_the_weights_do_unless_they_have_a_rate_of_their_own(tiny: Tiny, samples: Splits) -> None:
    rates = ("null", "0.005", "0.02")
    usual, same, faster = (
        trained([tiny("network.delays=axonal", f"training.optimizer.delay_learning_rate={rate}")], samples, 1)
        for rate in rates
    )
    assert bits(usual, 0) == bits(same, 0)
    start = Trainer([tiny("network.delays=axonal")], samples["train"], samples["valid"])

    def largest_steps(trainer: Trainer) -> list[float]:
        pairs = zip(trainer.state.learned.tensors, start.state.learned.tensors, strict=True)
        return [float((now - before).abs().max()) for now, before in pairs]

    slow, fast = largest_steps(usual), largest_steps(faster)
    assert fast[2] > 2 * slow[2]
    assert fast[0] < 2 * slow[0]


def test_delays_rest_while_weights_are_bumped(tiny: Tiny, samples: Splits) -> None:
    config = tiny(
        "network.delays=[axonal,synaptic]",
        "training.bumping={silent_fraction:[0,0],value:0.01}",
        "network.init={mean:[0.3,0.3],std:[0.01,0.01]}",
    )
    trainer = trained([config], samples, 1)
    start = Trainer([config], samples["train"], samples["valid"]).state.learned
    assert trainer.state.moments.steps.tolist() == [0]
    assert not torch.equal(trainer.state.learned.weights[0], start.weights[0])
    for layer, theta in trainer.state.learned.thetas.items():
        assert torch.equal(theta, start.thetas[layer])


def test_clipped_delays_stay_within_their_bounds(tiny: Tiny, samples: Splits) -> None:
    config = tiny(
        "network.delays=axonal",
        "network/delay_function=clipped",
        "network.delay_function={smallest:0.2,largest:0.6}",
        "network.init.delay={mean:0.4,std:1}",
        "training.optimizer.delay_learning_rate=0.05",
    )
    initial = Trainer([config], samples["train"], samples["valid"]).state.learned
    learned = trained([config], samples).state.learned
    for thetas in (initial.thetas, learned.thetas):
        values = torch.cat([theta.flatten() for theta in thetas.values()])
        assert (float(values.min()), float(values.max())) == pytest.approx((0.2, 0.6))
        assert len(values.unique()) > 5
    assert not torch.equal(initial.thetas[1], learned.thetas[1])


@pytest.mark.parametrize("kind", ["none", "axonal"])
def test_the_network_that_diverged_is_named_with_the_delays_at_fault(kind: str, tiny: Tiny, samples: Splits) -> None:
    config = tiny(f"network.delays=[{kind},synaptic]")
    step = trained([config] * 3, samples, epochs=1)._step
    first = LEARNED + 2 * 2 + 2 * (kind != "none")  # two layers of weights come before
    step.sums.failed.copy_(torch.tensor([CODES * 4 + first, 0, CODES * 2 + first + 1]))
    assert step.failure() == (2, 2, "delay of layer 2")
    step.sums.failed[2] = 0
    assert step.failure() == (0, 4, "gradient by the delays of layer 2")


def test_a_delay_that_overflows_stops_the_training_and_is_named(tiny: Tiny, samples: Splits) -> None:
    trainer = Trainer([tiny("network.delays=[none,axonal]")], samples["train"], samples["valid"])
    trainer.state.moments.first[2].fill_(torch.inf)
    trainer.state.moments.second[2].fill_(1.0)
    with pytest.raises(Diverged, match=r"^the delay of layer 2 is not finite in epoch 1, batch 1 "):
        trainer.run_epoch()


@pytest.mark.slow
def test_networks_with_delays_learn_yin_yang_better(tiny: Tiny) -> None:
    settings = (
        "data.samples={train:600,valid:400,test:50}",
        "network.hidden=[10]",
        "training={batch_size:50,epochs:20,gradient_limit:0.2}",
        "training.loss.xi=0.05",
        "training.bumping.scheduled=false",
        "training.optimizer.learning_rate=0.02",
    )
    accuracy = []
    for kind in ("none", "axonal", "synaptic"):
        configs = [tiny(*settings, f"network.delays={kind}", f"seed.init={seed}") for seed in range(6)]
        samples, _ = load_samples(configs[0].data)
        accuracy.append(float(trained(configs, samples).state.curves[-1, :, 1, 1].mean()))
    without, axonal, synaptic = accuracy
    assert 0.7 < without < axonal - 0.03 < synaptic - 0.06
