"""The bits of float32 results. A change is no mistake by itself, but then `results/reference/` is to be made anew."""

from __future__ import annotations

import hashlib

import numpy as np
import torch

from ttfsrun.neuron import Neuron, first_spike


def test_the_bits_of_spikes_and_gradients_are_those_of_the_reference_results() -> None:
    random = np.random.default_rng(1)
    times = random.uniform(0.2, 3.5, (40, 60)).astype(np.float32)
    weight = random.normal(0.15, 0.5, (60, 40)).astype(np.float32)
    inputs = [torch.from_numpy(array).requires_grad_() for array in (times, weight)]
    spikes = first_spike(*inputs, Neuron())
    assert 0.5 < float(torch.isfinite(spikes).float().mean()) < 1
    gradients = torch.autograd.grad(spikes, inputs, torch.isfinite(spikes).float() / 40)
    digest = hashlib.sha256(b"".join(tensor.detach().numpy().tobytes() for tensor in (spikes, *gradients)))
    assert digest.hexdigest()[:16] == "03c2f2428e2409aa"
