"""The losses are their formulas, and their gradients the derivatives of these."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from ttfsrun.config.schema import SquaredError, TimeCrossEntropy
from ttfsrun.training.loss import Loss, judge

PAPER = TimeCrossEntropy(xi=0.2, alpha=0.005, beta=1.0, silent=100.0)
SHIFTLESS = SquaredError(delta=0.5, silent=100.0)
LOSSES = [PAPER, TimeCrossEntropy(xi=1.3, alpha=0.2, beta=0.7, silent=7.0), SHIFTLESS]
INF = math.inf

times_of_labels = st.lists(st.floats(0.0, 5.0, width=32), min_size=2, max_size=10)


def of_one(
    loss: Loss, times: list[float], label: int = 0, dtype: type = np.float64
) -> tuple[float, NDArray[np.float64]]:
    """Loss and gradient of one sample."""
    judgement = judge(loss, torch.from_numpy(np.array([[times]], dtype)), torch.tensor([[label]]))
    assert judgement.losses.shape == (1, 1)
    return float(judgement.losses[0, 0]), judgement.gradient[0, 0].numpy()


def by_the_book(loss: Loss, times: torch.Tensor, label: int) -> torch.Tensor:
    """The formulas as they are printed, of neurons that all spiked."""
    if isinstance(loss, TimeCrossEntropy):
        share = torch.log(torch.exp(-times / loss.xi).sum()) + times[label] / loss.xi
        return share + loss.alpha * torch.exp(times[label] / loss.beta)
    others = torch.arange(len(times)) != label
    return ((times - times[label] - loss.delta * others)[others] ** 2).sum() / 2


@pytest.mark.parametrize("loss", LOSSES, ids=lambda loss: type(loss).__name__)
@settings(deadline=None)  # the first example compiles
@given(times=times_of_labels, data=st.data())
def test_value_and_gradient_are_those_of_the_formula(loss: Loss, times: list[float], data: st.DataObject) -> None:
    label = data.draw(st.integers(0, len(times) - 1))
    variable = torch.tensor(times, dtype=torch.float64, requires_grad=True)
    expected = by_the_book(loss, variable, label)
    expected.backward()
    value, gradient = of_one(loss, times, label)
    assert value == pytest.approx(float(expected.detach()), rel=1e-12, abs=1e-12)
    np.testing.assert_allclose(gradient, variable.grad, rtol=1e-10, atol=1e-12)


def test_a_loss_computed_by_hand() -> None:
    value, gradient = of_one(PAPER, [1.0, 1.2], label=0)
    assert value == pytest.approx(math.log(1 + math.exp(-1)) + 0.005 * math.e)
    second = math.exp(-1) / (1 + math.exp(-1)) / 0.2
    np.testing.assert_allclose(gradient, [second + 0.005 * math.e, -second])
    assert of_one(SHIFTLESS, [1.0, 1.2, 2.5], label=0)[0] == pytest.approx((0.3**2 + 1.0**2) / 2)


@pytest.mark.parametrize("loss", LOSSES, ids=lambda loss: type(loss).__name__)
def test_a_silent_label_neuron_costs_a_constant_and_learns_nothing(loss: Loss) -> None:
    for times in ([INF, 1.0, 2.0], [INF, INF, INF]):
        value, gradient = of_one(loss, times, label=0)
        assert value == loss.silent
        assert not gradient.any()


@pytest.mark.parametrize("loss", LOSSES, ids=lambda loss: type(loss).__name__)
def test_a_silent_other_neuron_is_as_if_it_were_not_there(loss: Loss) -> None:
    value, gradient = of_one(loss, [1.0, INF, 1.4, INF], label=2)
    without, remaining = of_one(loss, [1.0, 1.4], label=1)
    assert value == without
    np.testing.assert_array_equal(gradient, [remaining[0], 0, remaining[1], 0])


def test_a_label_neuron_that_spikes_alone_is_only_asked_to_be_early() -> None:
    value, gradient = of_one(PAPER, [1.0, INF], label=0)
    assert value == pytest.approx(0.005 * math.e)
    np.testing.assert_allclose(gradient, [0.005 * math.e, 0.0])
    assert of_one(SHIFTLESS, [1.0, INF], label=0)[0] == 0


@given(times=times_of_labels, shift=st.floats(-3, 3))
@settings(deadline=None)
def test_the_squared_error_does_not_see_a_common_shift(times: list[float], shift: float) -> None:
    value, gradient = of_one(SHIFTLESS, times)
    shifted, gradient_shifted = of_one(SHIFTLESS, [time + shift for time in times])
    assert shifted == pytest.approx(value, rel=1e-9, abs=1e-9)
    np.testing.assert_allclose(gradient_shifted, gradient, rtol=1e-9, atol=1e-9)
    assert gradient.sum() == pytest.approx(0, abs=1e-9)


def test_only_alpha_keeps_the_cross_entropy_from_shift_invariance() -> None:
    pure = TimeCrossEntropy(xi=0.2, alpha=0.0, beta=1.0, silent=100.0)
    assert of_one(pure, [3.0, 3.3])[0] == pytest.approx(of_one(pure, [0.0, 0.3])[0])
    assert of_one(PAPER, [3.0, 3.3])[0] > of_one(PAPER, [0.0, 0.3])[0]


def test_the_squared_error_vanishes_where_the_label_leads_by_delta() -> None:
    value, gradient = of_one(SHIFTLESS, [1.5, 1.0, 1.5], label=1)
    assert value == 0
    assert not gradient.any()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("late", [1.0, 1e4, 1e30])
def test_a_small_xi_or_late_spikes_do_not_overflow(dtype: type, late: float) -> None:
    sharp = TimeCrossEntropy(xi=1e-3, alpha=0.0, beta=1.0, silent=100.0)
    value, gradient = of_one(sharp, [late, 2 * late], label=1, dtype=dtype)
    assert value == pytest.approx(late / 1e-3)  # the others' terms vanish beside that of the first
    np.testing.assert_allclose(gradient, [-1e3, 1e3], rtol=1e-6)
    assert of_one(sharp, [late, 2 * late], label=0, dtype=dtype)[0] == 0


@pytest.mark.parametrize("loss", LOSSES, ids=lambda loss: type(loss).__name__)
@pytest.mark.parametrize("label", [0, 1])
def test_a_time_that_is_no_number_is_not_taken_for_silence(loss: Loss, label: int) -> None:
    assert math.isnan(of_one(loss, [math.nan, 1.0, 2.0], label)[0])


@pytest.mark.parametrize("loss", LOSSES, ids=lambda loss: type(loss).__name__)
def test_the_bits_of_a_sample_do_not_depend_on_its_company(loss: Loss) -> None:
    random = np.random.default_rng(0)
    times = random.uniform(0, 3, (5, 11, 4)).astype(np.float32)
    times[random.random(times.shape) < 0.2] = INF
    labels = torch.from_numpy(random.integers(0, 4, (5, 11)))
    judgement = judge(loss, torch.from_numpy(times), labels)
    for p in range(5):
        for b in range(11):
            own, own_gradient = of_one(loss, times[p, b].tolist(), int(labels[p, b]), np.float32)
            assert judgement.losses[p, b] == own
            np.testing.assert_array_equal(judgement.gradient[p, b], own_gradient)
