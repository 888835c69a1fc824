"""Each draw has the distribution that its settings state.

Checked on 1e5 draws or more: a mean and a standard deviation may be off by five standard errors (by chance, once in
two million tests; the seeds are fixed), and Kolmogorov's test of the whole distribution may not be below 1e-4.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from perturbed import configured, operating
from scipy import stats

from ttfsrun.network import emulate
from ttfsrun.neuron import Neuron
from ttfsrun.substrate.chip import Chip

Array = NDArray[Any]
N = 100_000
ERRORS = 5  # standard errors
WIDE = {"network__hidden": [N], "network__init__mean": [1, 1], "network__init__std": [1, 1]}
NOMINAL = Neuron(v_th=1.3, v_leak=0.1)  # a unit of 1.2


def check_mean(draws: Array, mean: float) -> None:
    assert abs(draws.mean() - mean) < ERRORS * draws.std() / math.sqrt(draws.size)


def check_std(draws: Array, std: float) -> None:
    """The standard error of a variance is that of the mean of the squares."""
    squares = (draws - draws.mean()) ** 2
    assert abs(squares.mean() - std**2) < ERRORS * squares.std() / math.sqrt(draws.size)


def check_normal(draws: Array, std: float, mean: float = 0.0) -> None:
    draws = draws.ravel().astype(np.float64)
    assert draws.size >= N
    check_mean(draws, mean)
    check_std(draws, std)
    assert stats.kstest(draws, "norm", (mean, std)).pvalue > 1e-4


def check_rate(happened: Array, p: float) -> None:
    assert happened.size >= N
    variance = max(p * (1 - p), 0)
    assert abs(happened.mean() - p) <= ERRORS * math.sqrt(variance / happened.size) + 1e-12


def pattern(substrate: dict[str, float], layer: int = 0) -> dict[str, Array]:
    """Return what is drawn for one layer of a chip with 1e5 hidden neurons."""
    return {name: layers[layer] for name, layers in Chip.of(configured(substrate, **WIDE).chip_spec).drawn.items()}


# Normal


@pytest.mark.parametrize(("where", "call"), [("input_time", "external"), ("spike_time", "spikes")])
def test_jitter_adds_normal_noise_to_the_times(where: str, call: str) -> None:
    operation = operating(configured({f"{where}.jitter": 0.3}))
    times = torch.full((1, 1000, 100), 2.0, dtype=torch.float64)
    moved = getattr(operation, call)(0, times)
    check_normal((moved if call == "external" else moved.value).numpy() - 2, 0.3)


@pytest.mark.parametrize(
    ("settings", "mean", "std"),
    [
        ({"v_th.chip_std": 0.05}, 0.0, 0.05),
        ({"v_th.chip_mean": 0.1}, 0.1, 0.0),
        ({"v_th.chip_mean": -0.1, "v_th.chip_std": 0.05}, -0.1, 0.05),
        ({"v_th.batch_std": 0.05}, 0.0, 0.05),
        ({"v_leak.chip_std": 0.05}, 0.0, 0.05),
    ],
    ids=lambda value: "+".join(value) if isinstance(value, dict) else str(value),
)
def test_voltages_deviate_from_neuron_to_neuron_in_units_of_threshold_minus_leak(
    settings: dict[str, float], mean: float, std: float
) -> None:
    name = next(iter(settings)).split(".")[0]
    neuron = operating(configured(settings, **WIDE)).neuron(0, NOMINAL, (5, N))
    deviations = (getattr(neuron, name).numpy() - getattr(NOMINAL, name)) / 1.2
    assert deviations.shape == (1, 1, N)
    if std:
        check_normal(deviations, std, mean)
    else:
        np.testing.assert_allclose(deviations, mean, rtol=1e-12)


@pytest.mark.parametrize("name", ["v_th", "v_leak"])
def test_voltages_deviate_from_sample_to_sample_in_units_of_threshold_minus_leak(name: str) -> None:
    neuron = operating(configured({f"{name}.sample_std": 0.05})).neuron(0, NOMINAL, (1000, 100))
    deviations = (getattr(neuron, name).numpy() - getattr(NOMINAL, name)) / 1.2
    assert deviations.shape == (1, 1000, 100)
    check_normal(deviations, 0.05)


def test_deviations_of_one_parameter_add_up_in_variance() -> None:
    settings = {"v_th.chip_std": 0.03, "v_th.batch_std": 0.04, "v_th.sample_std": 0.12, "v_th.chip_mean": 0.1}
    neuron = operating(configured(settings, **WIDE)).neuron(0, Neuron(), (1, N))
    check_normal(neuron.v_th.numpy(), 0.13, 1.1)


def test_gains_of_synapses_are_normal_around_one() -> None:
    weight = torch.full((1, 5, N), -0.7, dtype=torch.float64)
    found = operating(configured({"weight.chip_cv": 0.2}, **WIDE)).weight(0, weight).value
    check_normal(found.numpy() / -0.7, 0.2, 1.0)


@pytest.mark.parametrize("clip", [None, 2.0])
@pytest.mark.parametrize("key", ["chip_std", "write_std", "read_std"])
def test_noise_of_weights_is_normal_in_units_of_the_largest_weight(key: str, clip: float | None) -> None:
    weight = torch.full((1, 5, N), -0.7, dtype=torch.float64)
    weight[0, 0, 0] = -1.5
    found = operating(configured({f"weight.{key}": 0.2, "weight.clip": clip}, **WIDE)).weight(0, weight).value
    check_normal((found - weight).numpy(), 0.2 * (clip or 1.5))


# Log-normal


@pytest.mark.parametrize("cv", [0.01, 0.2, 0.6])
@pytest.mark.parametrize("name", ["tau_mem", "tau_syn"])
def test_time_constants_are_log_normal_with_mean_one_and_their_coefficient_of_variation(name: str, cv: float) -> None:
    neuron = operating(configured({f"{name}.chip_cv": cv}, **WIDE)).neuron(0, Neuron(1.5, 1.5), (1, N))
    factors = getattr(neuron, name).numpy().ravel() / 1.5
    check_mean(factors, 1.0)
    check_std(factors, cv)
    sigma = math.sqrt(math.log(1 + cv**2))
    check_normal(np.log(factors), sigma, -(sigma**2) / 2)


@pytest.mark.parametrize("correlation", [-1.0, -0.4, 0.0, 0.7, 1.0])
def test_the_logarithms_of_the_time_constants_have_the_stated_correlation(correlation: float) -> None:
    settings = {"tau_mem.chip_cv": 0.3, "tau_syn.chip_cv": 0.1, "tau_syn.correlation": correlation}
    drawn = pattern(settings)
    logs = [np.log1p(drawn[f"{name}.chip"]).ravel() for name in ("tau_mem", "tau_syn")]
    (measured,) = np.corrcoef(*logs)[0, 1:]
    # By Fisher: the standard error of the correlation of normal numbers; rounding where there is none.
    assert abs(measured - correlation) <= ERRORS * (1 - correlation**2) / math.sqrt(N) + 1e-9
    for log, cv in zip(logs, (0.3, 0.1), strict=True):
        check_std(log, math.sqrt(math.log(1 + cv**2)))


def test_a_wrong_calibration_is_the_same_for_all_membranes_and_chips() -> None:
    neuron = operating(configured({"tau_ratio_bias": -0.25})).neuron(0, Neuron(2.0, 1.5), (5, 7))
    assert torch.equal(neuron.tau_mem, torch.full((1, 1, 1), 1.5, dtype=torch.float64))
    assert float(neuron.tau_syn) == 1.5


# Bernoulli


@pytest.mark.parametrize("p", [0.01, 0.3, 1.0])
def test_spikes_are_lost_with_their_probability(p: float) -> None:
    spikes = operating(configured({"spike_time.loss": p})).spikes(0, torch.ones(1, 1000, 100)).value
    lost = torch.isinf(spikes).numpy()
    check_rate(lost, p)
    assert (spikes.numpy()[~lost] == 1).all()


@pytest.mark.parametrize("p", [0.01, 0.3, 1.0])
def test_neurons_are_dead_with_their_probability(p: float) -> None:
    check_rate(pattern({"dead_neurons.p": p})["dead_neurons"], p)


@pytest.mark.parametrize(("p_zero", "p_max"), [(0.1, 0.02), (0.0, 0.3), (0.3, 0.0), (0.4, 0.6)])
def test_synapses_are_stuck_with_their_probabilities_and_at_either_sign(p_zero: float, p_max: float) -> None:
    held = pattern({"stuck_synapses.p_zero": p_zero, "stuck_synapses.p_max": p_max})["stuck_synapses"]
    for value, p in ((0, p_zero), (1, p_max / 2), (-1, p_max / 2)):
        check_rate(held == value, p)
    check_rate(np.isnan(held), 1 - p_zero - p_max)


def test_stochastic_rounding_is_unbiased_and_takes_one_of_the_two_levels_next_to_a_weight() -> None:
    config = configured({"weight.lsb": 0.1, "weight.rounding": "stochastic"})
    for value in (0.0, 0.02, -0.03, 0.37, -1.26):
        weight = torch.full((1, 1000, 100), value, dtype=torch.float64)
        levels = (operating(config).weight(0, weight).value / 0.1).numpy()
        assert set(np.unique(levels.round(9))) <= {math.floor(value / 0.1 + 1e-12), math.ceil(value / 0.1 - 1e-12)}
        check_rate(levels.round(9) > math.floor(value / 0.1 + 1e-12), value / 0.1 - math.floor(value / 0.1 + 1e-12))


# Drift: an Ornstein-Uhlenbeck process


@pytest.fixture(scope="module")
def ages() -> list[dict[str, Array]]:
    """Return the drift of the first layer of a chip with 1e5 hidden neurons, at ages of 0 to 14 epochs."""
    config = configured({"drift.std": 0.2, "drift.tau": 2.0}, **WIDE)
    (member,) = emulate([config], [True]).members
    return [{name: layers[0] for name, layers in member.chip(age).drawn.items()} for age in range(15)]


def test_drift_starts_at_zero(ages: list[dict[str, Array]]) -> None:
    assert ages[0].keys() == {"drift.v_th", "drift.weight"}
    assert not any(drawn.any() for drawn in ages[0].values())


@pytest.mark.parametrize("age", [1, 2, 5, 14])
@pytest.mark.parametrize("where", ["v_th", "weight"])
def test_drift_grows_to_its_stationary_spread(where: str, age: int, ages: list[dict[str, Array]]) -> None:
    check_normal(ages[age][f"drift.{where}"], 0.2 * math.sqrt(1 - math.exp(-2 * age / 2.0)))


@pytest.mark.parametrize("lag", [1, 2, 4])
@pytest.mark.parametrize("where", ["v_th", "weight"])
def test_drift_is_forgotten_within_its_correlation_time(where: str, lag: int, ages: list[dict[str, Array]]) -> None:
    # From age 10 on, the spread is stationary to e^-10.
    early, late = (ages[age][f"drift.{where}"].ravel() for age in (10, 10 + lag))
    expected = math.exp(-lag / 2.0)
    measured = np.corrcoef(early, late)[0, 1]
    assert abs(measured - expected) < ERRORS * (1 - expected**2) / math.sqrt(early.size) + 1e-4


def test_the_drifts_of_thresholds_weights_and_layers_are_not_correlated() -> None:
    config = configured({"drift.std": 0.2, "drift.tau": 2.0}, **WIDE)
    (member,) = emulate([config], [True]).members
    drawn = member.chip(1).drawn
    one = drawn["drift.v_th"][0].ravel()
    for other in (drawn["drift.weight"][0][0], drawn["drift.weight"][1][:N, 0]):
        assert abs(np.corrcoef(one, other)[0, 1]) < ERRORS / math.sqrt(N)


def test_thresholds_drift_relative_to_threshold_minus_leak_and_weights_relative_to_each() -> None:
    config = configured({"drift.std": 0.2})
    operation = operating(config, age=3)
    drawn = operation.members[0].chip(3).drawn
    weight = torch.randn(1, 5, 7, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    found = operation.weight(0, weight).value
    np.testing.assert_allclose(found[0], weight[0].numpy() * (1 + drawn["drift.weight"][0]), rtol=1e-12)
    v_th = operation.neuron(0, NOMINAL, (4, 7)).v_th
    np.testing.assert_allclose(v_th[0], 1.3 + 1.2 * drawn["drift.v_th"][0], rtol=1e-12)


# Independence


def test_the_draws_of_different_quantities_are_not_correlated() -> None:
    names = (
        "v_th.chip_std",
        "v_leak.chip_std",
        "tau_mem.chip_cv",
        "tau_syn.chip_cv",
        "weight.chip_cv",
        "weight.chip_std",
    )
    drawn = pattern(dict.fromkeys(names, 0.1))
    assert len(drawn) == 6
    table = np.corrcoef([layers[0] for layers in drawn.values()])
    assert np.abs(table - np.eye(6)).max() < ERRORS / math.sqrt(N)


def test_the_noise_of_neighbouring_samples_and_batches_is_not_correlated() -> None:
    config = configured({"spike_time.jitter": 1.0})
    here, later = (
        operating(config, step=step).spikes(0, torch.zeros(1, 1001, 100, dtype=torch.float64)).value[0]
        for step in (0, 1)
    )
    for one, other in ((here[:-1], here[1:]), (here, later), (here[:, :-1], here[:, 1:])):
        measured = np.corrcoef(one.numpy().ravel(), other.numpy().ravel())[0, 1]
        assert abs(measured) < ERRORS / math.sqrt(one.numel())
