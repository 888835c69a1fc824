"""Adam for a population is Adam for each of its networks; the schedules are their formulas."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import torch
from torch import Tensor

from ttfsrun.config.schema import Adam, CosineDecay, StepDecay
from ttfsrun.neuron.kernels.lanes import LANES
from ttfsrun.training.optimizer import (
    LayerState,
    Moments,
    Numbers,
    Update,
    entries_per_item,
    powers,
    schedule,
    set_pace,
    update_weights,
)

SETTINGS = Adam(learning_rate=0.005, beta1=0.9, beta2=0.999, epsilon=1e-8, delay_learning_rate=None)
SHAPES = ((5, 7), (8, 3))
STEPS = 40


def some_weights(size: int, seed: int = 0) -> list[Tensor]:
    random = np.random.default_rng(seed)
    return [torch.from_numpy(random.normal(size=(size, *shape)).astype(np.float32)) for shape in SHAPES]


def some_gradients(size: int) -> list[list[Tensor]]:
    """Return gradients for each step, whose scales differ between layers by orders of magnitude."""
    return [
        [gradient * 10.0 ** (-3 * layer) for layer, gradient in enumerate(some_weights(size, seed=1 + step))]
        for step in range(STEPS)
    ]


def adam_step(
    weights: list[Tensor], gradients: list[Tensor], moments: Moments, rates: np.ndarray, settings: Adam
) -> np.ndarray:
    """Take a step of all networks; return whether a gradient and whether a weight is not finite, [P, layers, 2]."""
    size = len(rates)
    paces = [np.empty((size, 2), np.float32) for _ in range(2)]
    update = Update(*paces, np.full(size, -1), np.zeros(size), np.ones(size))
    invalid = np.zeros((size, len(weights), 2), np.uint8)
    for p, rate in enumerate(rates):
        set_pace(p, (rate, rate), moments.steps.numpy(), powers(settings, STEPS), update)
    layers = zip(weights, gradients, moments.first, moments.second, strict=True)
    for number, tensors in enumerate(layers):
        weight, *others = (tensor.numpy().reshape(size, -1) for tensor in tensors)
        n_neurons = tensors[0].shape[-1]
        silent = number, 0, n_neurons, np.zeros((size, n_neurons), np.int32)
        items = size * math.ceil(weight.shape[1] / entries_per_item(LANES))
        state = LayerState(weight, *others, invalid[:, number])
        update_weights(0, items, state, update, silent, Numbers.of(settings, np.float32))
    return invalid


def by_torch(start: list[Tensor], gradients: list[list[Tensor]], rates: list[float], settings: Adam) -> list[Tensor]:
    """torch.optim.Adam in float64 for one network; where the rate is 0 the step is not taken."""
    weights = [weight.double().requires_grad_() for weight in start]
    adam = torch.optim.Adam(weights, betas=(settings.beta1, settings.beta2), eps=settings.epsilon)
    for gradient, rate in zip(gradients, rates, strict=True):
        if rate > 0:
            adam.param_groups[0]["lr"] = rate
            for weight, own in zip(weights, gradient, strict=True):
                weight.grad = own.double()
            adam.step()
    return [weight.detach() for weight in weights]


@pytest.mark.parametrize(
    "settings",
    [SETTINGS, Adam(learning_rate=1.0, beta1=0.5, beta2=0.9, epsilon=1e-3, delay_learning_rate=None)],
    ids=["usual", "unusual"],
)
def test_each_network_takes_the_steps_of_torchs_adam_at_its_own_rate(settings: Adam) -> None:
    size = 4
    base = np.array([0.003, 0.01, 0.1, 0.05])
    rates = [np.where(np.arange(size) == step % 9, 0.0, base) for step in range(STEPS)]  # each pauses now and then
    weights, gradients = some_weights(size), some_gradients(size)
    moments = Moments.zero(weights)
    start = [weight.clone() for weight in weights]
    for gradient, rate in zip(gradients, rates, strict=True):
        adam_step(weights, gradient, moments, rate, settings)
    for p in range(size):
        own = [[layer[p] for layer in gradient] for gradient in gradients]
        expected = by_torch([weight[p] for weight in start], own, [float(rate[p]) for rate in rates], settings)
        assert int(moments.steps[p]) == sum(rate[p] > 0 for rate in rates)
        for weight, reference, before in zip(weights, expected, start, strict=True):
            # A step moves a weight by about the rate. Its relative error is that of beta2 = 0.999 rounded to
            # float32 where 1 - beta2 is formed, 1e-5, half of it under the root; and each sum rounds the weight.
            tolerance = STEPS * (base[p] * 1e-5 + 6e-8 * float(before[p].abs().max() + STEPS * base[p]))
            assert float((weight[p].double() - reference).abs().max()) < tolerance
            assert float((weight[p] - before[p]).abs().max()) > base[p]


def test_a_paused_network_keeps_the_bits_of_weights_and_moments_and_its_count_of_steps() -> None:
    weights, gradients = some_weights(3), some_gradients(3)
    moments = Moments.zero(weights)
    adam_step(weights, gradients[0], moments, np.array([0.01, 0.01, 0.01]), SETTINGS)
    before = [tensor.clone() for tensor in (*weights, *moments.first, *moments.second)]
    adam_step(weights, gradients[1], moments, np.array([0.01, 0.0, 0.01]), SETTINGS)
    assert moments.steps.tolist() == [2, 1, 2]
    for tensor, old in zip((*weights, *moments.first, *moments.second), before, strict=True):
        assert torch.equal(tensor[1], old[1])
        assert not torch.equal(tensor[0], old[0])
        assert not torch.equal(tensor[2], old[2])


def test_a_pause_because_of_an_unusable_gradient_leaves_no_trace() -> None:
    weights, gradients = some_weights(2), some_gradients(2)
    moments = Moments.zero(weights)
    gradients[0][0][1] = math.nan
    before = [weight[1].clone() for weight in weights]
    adam_step(weights, gradients[0], moments, np.array([0.01, 0.0]), SETTINGS)
    assert all(torch.equal(weight[1], old) for weight, old in zip(weights, before, strict=True))
    assert not moments.first[0][1].any()


def test_the_bits_of_a_network_do_not_depend_on_its_company() -> None:
    rates = np.array([0.003, 0.01, 0.1])
    together, gradients = some_weights(3), some_gradients(3)
    alone = [[weight[p : p + 1].clone() for weight in together] for p in range(3)]
    moments = Moments.zero(together)
    for gradient in gradients:
        adam_step(together, gradient, moments, rates, SETTINGS)
    for p, weights in enumerate(alone):
        own = Moments.zero(weights)
        for gradient in gradients:
            adam_step(weights, [layer[p : p + 1] for layer in gradient], own, rates[p : p + 1], SETTINGS)
        for weight, other in zip(weights, together, strict=True):
            assert torch.equal(weight[0], other[p])


def test_the_first_step_is_as_long_as_the_learning_rate_whatever_the_gradient() -> None:
    weights, (gradient, *_) = some_weights(1), some_gradients(1)
    before = [weight.clone() for weight in weights]
    adam_step(weights, gradient, Moments.zero(weights), np.array([0.01]), SETTINGS)
    for weight, old, slope in zip(weights, before, gradient, strict=True):
        # of gradients down to 1e-5, to which epsilon adds a thousandth
        np.testing.assert_allclose(weight - old, -0.01 * slope.sign(), rtol=2e-3)


def test_no_gradient_is_no_step() -> None:
    weights = some_weights(1)
    before = [weight.clone() for weight in weights]
    still = [torch.zeros_like(weight) for weight in weights]
    adam_step(weights, still, Moments.zero(weights), np.array([0.1]), SETTINGS)
    assert all(torch.equal(weight, old) for weight, old in zip(weights, before, strict=True))


def test_the_step_decay_multiplies_after_every_so_many_epochs() -> None:
    decay = StepDecay(factor=0.9, epochs=15)
    factors = [schedule(decay, epoch, 150) for epoch in (0, 14, 15, 29, 30, 149)]
    assert factors == pytest.approx([1, 1, 0.9, 0.9, 0.81, 0.9**9])


def test_the_cosine_falls_from_one_towards_its_final_value_over_half_a_period() -> None:
    decay = CosineDecay(final=0.2)
    factors = [schedule(decay, epoch, 100) for epoch in range(100)]
    assert factors[0] == 1
    assert factors[50] == pytest.approx(0.6)  # half-way
    assert factors[25] == pytest.approx(0.2 + 0.8 * (1 + math.sqrt(0.5)) / 2)
    assert all(later < earlier for earlier, later in itertools.pairwise(factors))
    assert 0.2 < factors[-1] < 0.201
    assert schedule(CosineDecay(final=1.0), 57, 100) == 1


def test_a_cosine_to_zero_still_steps_in_the_last_epoch() -> None:
    assert schedule(CosineDecay(final=0.0), 299, 300) > 0
