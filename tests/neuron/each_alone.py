"""Layers taken apart into single neurons with a sample each, whose derivatives are compared with fifty digits."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from fifty_digits import Derivatives
from torch import Tensor

from ttfsrun.neuron import Neuron, first_spike, observed_spike

CONSTANTS = ("v_th", "v_leak", "tau_mem", "tau_syn")


@dataclass(frozen=True)
class Leaves:
    """A layer in which each neuron of each sample is a network of its own, so that no gradients are added up."""

    times: Tensor  # [B, M, 1, N]
    weight: Tensor  # [B, M, N, 1]
    constants: dict[str, Tensor]  # [B, M, 1, 1] each

    def spikes(self, observed: Tensor | None = None) -> Tensor:
        """[B, M]: the first spikes, or the observed ones."""
        neuron = Neuron(**self.constants)
        if observed is None:
            return first_spike(self.times, self.weight, neuron)[..., 0, 0]
        return observed_spike(self.times, self.weight, neuron, observed[..., None, None])[..., 0, 0]

    def gradients(self, observed: Tensor | None = None) -> dict[str, Tensor]:
        """The derivatives of all finite spikes by what each depends on, [B, M, ...], by its name."""
        spikes = self.spikes(observed)
        by = [self.times, self.weight, *self.constants.values()]
        gradients = torch.autograd.grad(spikes, by, torch.isfinite(spikes).to(spikes.dtype))
        return dict(zip(("times", "weights", *CONSTANTS), gradients, strict=True))


def leaves(times: Tensor, weight: Tensor, neuron: Neuron) -> Leaves:
    (n_rows, n_inputs), n_neurons = times.shape, weight.shape[1]

    def leaf(tensor: Tensor) -> Tensor:
        return tensor.clone().requires_grad_()

    def constant(name: str) -> Tensor:
        value = torch.as_tensor(getattr(neuron, name), dtype=times.dtype)
        return leaf(value.expand(n_rows, n_neurons)[..., None, None])

    return Leaves(
        leaf(times[:, None, None].expand(n_rows, n_neurons, 1, n_inputs)),
        leaf(weight.T[None, ..., None].expand(n_rows, n_neurons, n_inputs, 1)),
        {name: constant(name) for name in CONSTANTS},
    )


def of_one(gradients: dict[str, Tensor], row: int, column: int) -> dict[str, Tensor]:
    """`gradients` of the neuron of one column in the sample of one row."""
    return {name: gradient[row, column].flatten() for name, gradient in gradients.items()}


def assert_close(expected: Derivatives, found: dict[str, Tensor], tolerance: float = 1e-8) -> None:
    """To `tolerance` of the largest entry; by a time constant, of the largest term of that sum."""
    for name, values in found.items():
        entries = getattr(expected, name)
        entries = entries if isinstance(entries, list) else [entries]
        scale = expected.tau_terms if name.startswith("tau") else max(map(abs, entries))
        for entry, value in zip(entries, values.tolist(), strict=True):
            assert abs(value - entry) <= tolerance * scale, f"by {name}: {value} for {float(entry)}"
