"""`first_spike` one neuron at a time, as on a GPU: the same bits, the same errors; and on a GPU, where there is one."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import pytest
import torch
from lane_device import one_by_one
from torch import Tensor

from ttfsrun.neuron import Neuron, first_spike, observed_spike

NEEDS_GPU = pytest.mark.skipif(not torch.cuda.is_available(), reason="torch sees no GPU")
P, B, N, M = 3, 20, 30, 21


@pytest.fixture(params=["cpu", pytest.param("cuda", marks=[pytest.mark.gpu, NEEDS_GPU])])
def elsewhere(request: pytest.FixtureRequest) -> Iterator[Callable[[Tensor], Tensor]]:
    """Moves a tensor to where one neuron is computed at a time."""
    if request.param == "cuda":
        yield lambda tensor: tensor.cuda()
    else:
        with one_by_one():
            yield lambda tensor: tensor


def given(dtype: torch.dtype, move: Callable[[Tensor], Tensor] = lambda tensor: tensor) -> dict[str, Tensor]:
    """Times, weights, and parameters of each neuron, that all have derivatives."""
    random = torch.Generator().manual_seed(0)

    def draw(low: float, high: float, *shape: int, of: torch.dtype = torch.float64) -> Tensor:
        return (low + (high - low) * torch.rand(shape, generator=random, dtype=torch.float64)).to(of)

    times = draw(0, 3, P, B, N, of=dtype)
    times[:, ::4, 3] = math.inf
    tensors = {
        "times": times,
        "weight": draw(-0.3, 0.8, P, N, M, of=dtype),
        "tau_mem": draw(0.7, 2, P, 1, M),
        "tau_syn": draw(0.7, 2, P, 1, M),
        "v_th": draw(0.8, 1.2, P, B, M),
        "v_leak": draw(-0.1, 0.1, P, 1, 1),
    }
    return {name: move(tensor).requires_grad_() for name, tensor in tensors.items()}


def results(tensors: dict[str, Tensor], observed: Tensor | None = None) -> list[Tensor]:
    """The spikes and all derivatives."""
    times, weight = tensors["times"], tensors["weight"]
    neuron = Neuron(**{name: tensors[name] for name in ("tau_mem", "tau_syn", "v_th", "v_leak")})
    if observed is None:
        spikes = first_spike(times, weight, neuron, gradient_limit=0.5)
    else:
        spikes = observed_spike(times, weight, neuron, observed, gradient_limit=0.5)
    upstream = spikes.detach().nan_to_num(posinf=0.0)
    return [spikes.detach(), *torch.autograd.grad(spikes, list(tensors.values()), upstream)]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_spikes_and_all_derivatives_have_the_same_bits(
    dtype: torch.dtype, elsewhere: Callable[[Tensor], Tensor]
) -> None:
    found = results(given(dtype, elsewhere))
    with pytest.MonkeyPatch.context() as patch:
        restore_vectors(patch)
        expected = results(given(dtype))
    assert 0.3 < float(expected[0].isfinite().double().mean()) < 1
    for one, other in zip(found, expected, strict=True):
        assert torch.equal(one.cpu(), other)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_so_have_those_at_observed_spikes(dtype: torch.dtype, elsewhere: Callable[[Tensor], Tensor]) -> None:
    observed = (4 * torch.rand(P, B, M, generator=torch.Generator().manual_seed(1), dtype=torch.float64)).to(dtype)
    observed[:, :, ::5] = math.inf
    found = results(given(dtype, elsewhere), elsewhere(observed))
    with pytest.MonkeyPatch.context() as patch:
        restore_vectors(patch)
        expected = results(given(dtype), observed)
    for one, other in zip(found, expected, strict=True):
        assert torch.equal(one.cpu(), other)


def restore_vectors(patch: pytest.MonkeyPatch) -> None:
    """Let the CPU compute vectors again."""
    from ttfsrun.neuron import device

    patch.setitem(device.DEVICES, "cpu", device.Cpu())


@pytest.mark.parametrize(
    ("times", "weight", "message"),
    [
        (math.nan, 1.0, "a spike time is NaN or -inf; inf means no spike"),
        (-math.inf, 1.0, "a spike time is NaN or -inf; inf means no spike"),
        (0.0, math.inf, "weight inf: all weights must be finite"),
        (0.0, math.nan, "weight nan: all weights must be finite"),
    ],
)
def test_the_errors_are_the_same(
    times: float, weight: float, message: str, elsewhere: Callable[[Tensor], Tensor]
) -> None:
    with pytest.raises(ValueError, match=message):
        first_spike(elsewhere(torch.tensor([[times]])), elsewhere(torch.tensor([[weight]])), Neuron())


def test_tensors_on_a_device_without_kernels_are_refused() -> None:
    somewhere = torch.zeros(1, 1, device="meta")
    with pytest.raises(ValueError, match=r"times on meta, weight on cpu: both must be on one device, cpu or cuda"):
        first_spike(somewhere, torch.ones(1, 1), Neuron())
