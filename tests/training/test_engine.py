"""A training is, bit for bit, that of `first_spike` with torch's autograd, and Adam and bumping in plain torch.

Only the draws of the random numbers and the losses of single samples are shared with the engine.
"""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from tiny_networks import REMEDIES, Splits, Tiny
from torch import Tensor

from ttfsrun.config.schema import Config
from ttfsrun.network import build
from ttfsrun.neuron import Neuron, first_spike
from ttfsrun.training.batches import Batches
from ttfsrun.training.loss import judge
from ttfsrun.training.optimizer import schedule
from ttfsrun.training.trainer import Trainer


class Reference:
    """The training of one network, as a user would write it with `first_spike`."""

    def __init__(self, config: Config, splits: Splits) -> None:
        self.config, self.training = config, config.training
        self.batches = Batches([config], splits["train"], config.training.batch_size)
        self.weights = [weight[0].clone().requires_grad_() for weight in build([config]).weights]
        self.first = [torch.zeros_like(weight, requires_grad=False) for weight in self.weights]
        self.second = [torch.zeros_like(weight, requires_grad=False) for weight in self.weights]
        self.steps, self.bumped_layer, self.bump = 0, -1, 0.0
        self.bumps = 0

    def spikes(self, times: Tensor) -> list[Tensor]:
        settings = self.config.network
        neuron = Neuron(*(getattr(settings.neuron, key) for key in ("tau_mem", "tau_syn", "v_th", "v_leak")))
        layers = []
        for weight in self.weights:
            if settings.bias_time is not None:
                times = torch.cat((times, times.new_full((len(times), 1), settings.bias_time)), dim=1)
            limit = self.training.gradient_limit or math.inf
            times = first_spike(times, weight, neuron, gradient_limit=limit)
            if settings.t_max is not None:
                times = times.masked_fill(times > settings.t_max, math.inf)
            layers.append(times)
        return layers

    def step(self, times: Tensor, labels: Tensor, rate: float) -> None:
        layers = self.spikes(times)
        judgement = judge(self.training.loss, layers[-1].detach()[None], labels)
        layers[-1].backward(judgement.gradient[0] / len(times))
        gradients = [weight.grad for weight in self.weights]
        with torch.no_grad():
            silent = [layer == math.inf for layer in layers]
            fractions = [int(mask.sum()) / mask.numel() for mask in silent]
            allowed = self.training.bumping.silent_fraction
            too_many = [number for number, fraction in enumerate(fractions) if fraction > allowed[number]]
            if too_many:
                layer = too_many[0]
                self.bump = 2 * self.bump if layer == self.bumped_layer else self.training.bumping.value
                self.bumped_layer = layer
                raised, neurons = self.weights[layer], silent[layer].any(dim=0)
                raised[:, neurons] = (raised[:, neurons].double() + self.bump).float()  # rounded once
                self.bumps += 1
            else:
                self.bumped_layer = -1
                self.adam(gradients, rate)
        for weight in self.weights:
            weight.grad = None

    def adam(self, gradients: list[Tensor], rate: float) -> None:
        settings = self.training.optimizer
        self.steps += 1
        number = np.float32
        first_power, second_power = (math.prod([beta] * self.steps) for beta in (settings.beta1, settings.beta2))
        corrected = number(rate / (1 - first_power))
        scale = number(1 / (1 - second_power))
        for weight, gradient, first, second in zip(self.weights, gradients, self.first, self.second, strict=True):
            first.copy_(first * number(settings.beta1) + gradient * number(1 - settings.beta1))
            second.copy_(second * number(settings.beta2) + gradient * number(1 - settings.beta2) * gradient)
            root = torch.from_numpy(np.sqrt((second * scale).numpy()))  # torch's own is not the nearest number
            weight.sub_(first * corrected / (root + number(settings.epsilon)))

    def train(self, epochs: int) -> None:
        for epoch in range(epochs):
            factor = schedule(self.training.schedule, epoch, self.training.epochs)
            for batch in self.batches.of_epoch(epoch):
                self.step(batch.times[0], batch.labels, self.training.optimizer.learning_rate * factor)


@pytest.mark.parametrize(
    "overrides",
    [
        (),
        REMEDIES,
        (*REMEDIES, "network.t_max=1.8"),
        (*REMEDIES, "network.neuron={tau_mem:2,tau_syn:0.5,v_th:0.9,v_leak:0.1}", "network.bias_time=null"),
        ("training/loss=squared_error", "network.neuron.tau_mem=2"),
    ],
    ids=["plain", "remedies", "end of the observation", "other neurons", "squared error"],
)
def test_a_training_is_that_of_autograd_and_plain_torch(
    overrides: tuple[str, ...], tiny: Tiny, samples: Splits
) -> None:
    config = tiny("training.epochs=4", *overrides)
    trainer, reference = Trainer([config], samples["train"], samples["valid"]), Reference(config, samples)
    for _ in range(4):
        trainer.run_epoch()
    reference.train(4)
    assert reference.steps > 5
    assert int(trainer.state.moments.steps[0]) == reference.steps
    if overrides[: len(REMEDIES)] == REMEDIES:
        assert reference.bumps > 0
    for found, expected in (
        (trainer.state.learned.weights, reference.weights),
        (trainer.state.moments.first, reference.first),
        (trainer.state.moments.second, reference.second),
    ):
        for ours, theirs in zip(found, expected, strict=True):
            assert torch.equal(ours[0], theirs.detach())
