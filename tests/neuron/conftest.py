"""Fixtures for the tests of the neuron: ratios of the time constants, random layers, and what "exact" means."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Protocol

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from ttfsrun.neuron import Neuron, get_threads, parallel, reference, set_threads

Array = NDArray[np.float64]
CheckExact = Callable[[Tensor, Tensor, Tensor, Neuron], None]


class DrawLayer(Protocol):
    def __call__(self, *shape: int, seed: int = ..., span: float = ..., dtype: torch.dtype = ...) -> list[Tensor]: ...


@pytest.fixture(
    params=[(1.0, 1.0), (2.0, 1.0), (1.5, 1.0), (0.7, 1.0)],
    ids=["tau_mem=tau_syn", "tau_mem=2tau_syn", "tau_mem=1.5tau_syn", "tau_mem=0.7tau_syn"],
)
def taus(request: pytest.FixtureRequest) -> tuple[float, float]:
    """(tau_mem, tau_syn)."""
    return request.param  # type: ignore[no-any-return]


@pytest.fixture(params=[torch.float64, torch.float32], ids=["float64", "float32"])
def dtype(request: pytest.FixtureRequest) -> torch.dtype:
    return request.param  # type: ignore[no-any-return]


@pytest.fixture
def restore_threads() -> Iterator[None]:
    before = get_threads()
    yield
    set_threads(before)


@pytest.fixture
def threads_for_anything(restore_threads: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Use as many threads as allowed, however little work there is."""
    monkeypatch.setattr(parallel, "SMALLEST_SHARE", 1)


@pytest.fixture
def restore_torch_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def draw_layer() -> DrawLayer:
    """(times [..., B, N], weight [..., N, M]) of shape (..., B, N, M): most neurons spike, some stay silent."""

    def draw(*shape: int, seed: int = 0, span: float = 2.0, dtype: torch.dtype = torch.float64) -> list[Tensor]:
        *lead, n_rows, n_inputs, n_neurons = shape
        generator = np.random.default_rng(seed)
        times = generator.uniform(0, span, (*lead, n_rows, n_inputs))
        # Inputs that are far apart must reach the threshold one by one.
        mean, std = (4 / n_inputs, 6 / n_inputs) if span < 20 else (1.0, 1.5)
        weight = generator.normal(mean, std, (*lead, n_inputs, n_neurons))
        return [torch.tensor(array, dtype=dtype) for array in (times, weight)]

    return draw


@pytest.fixture(scope="session")
def check_exact() -> CheckExact:
    """Assert that spikes [B, M] are the first ones, as exactly as the rounding of the membrane allows.

    The first crossing moves to later times as the threshold rises, and it disappears above the highest peak.
    The computed spike must hence lie between the reference's for two thresholds, a few roundings of the
    membrane's terms below and above. This includes all neurons that barely reach the threshold or miss it.
    """

    def check(spikes: Tensor, times: Tensor, weight: Tensor, neuron: Neuron) -> None:
        rounding = torch.finfo(spikes.dtype).eps
        parameters = neuron.v_th - neuron.v_leak, neuron.tau_mem, neuron.tau_syn
        values = [_values(parameter, spikes.shape) for parameter in parameters]
        inputs, weights = (tensor.detach().double().numpy() for tensor in (times, weight))
        for (row, column), spike in np.ndenumerate(spikes.detach().double().numpy()):
            threshold, tau_mem, tau_syn = (float(value[row, column]) for value in values)
            finite = inputs[row] < np.inf
            fast = min(tau_mem, tau_syn)
            # An input adds at most fast |w| to any term of the sum; 4 roundings of that were seen.
            width = 16 * rounding * (threshold + fast * np.abs(weights[finite, column]).sum())
            first, last = (
                reference.first_spike_of_one(inputs[row], weights[:, column], tau_mem, tau_syn, threshold + shift)
                for shift in (-width, width)
            )
            rest = 4 * rounding * (abs(spike) + fast) if spike < np.inf else 0.0
            assert first - rest <= spike <= last + rest, (row, column, first, spike, last)

    return check


def _values(value: float | Tensor, shape: torch.Size) -> Array:
    """Return a parameter, as given, for each sample and neuron."""
    return torch.as_tensor(value, dtype=torch.float64).detach().expand(shape).numpy()
