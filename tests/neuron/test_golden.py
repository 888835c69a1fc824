"""The bits of float32 results. A change is no mistake by itself, but then `results/reference/` is to be made anew."""

from __future__ import annotations

import hashlib

import numpy as np
import torch

from ttfsrun.neuron import Neuron, first_spike


def span_of_exactly_two_after_rounding() -> tuple[np.float32, np.float32]:
    """Two times whose distance exceeds the span of a chunk, 2, but equals it in float32."""
    draws = np.random.default_rng(0).uniform(0.01, 0.9, 1000).astype(np.float32)
    for first in draws:
        second = np.nextafter(np.float32(first + np.float32(2)), np.float32(9))
        for _ in range(3):
            second = np.nextafter(second, np.float32(0))
            if second - first == np.float32(2) and float(second) - float(first) > 2:
                return first, second
    raise AssertionError("no such pair of times")


def test_the_bits_of_spikes_and_gradients_are_those_of_the_reference_results() -> None:
    random = np.random.default_rng(1)
    times = random.uniform(0.2, 3.5, (40, 60)).astype(np.float32)
    times[:, :2] = span_of_exactly_two_after_rounding()
    times[:, 2:] = np.maximum(times[:, 2:], times[0, 0])
    weight = random.normal(0.15, 0.5, (60, 40)).astype(np.float32)
    inputs = [torch.from_numpy(array).requires_grad_() for array in (times, weight)]
    spikes = first_spike(*inputs, Neuron())
    assert 0.5 < float(torch.isfinite(spikes).float().mean()) < 1
    gradients = torch.autograd.grad(spikes, inputs, torch.isfinite(spikes).float() / 40)
    digest = hashlib.sha256(b"".join(tensor.detach().numpy().tobytes() for tensor in (spikes, *gradients)))
    assert digest.hexdigest()[:16] == "73fb31f759a4f61c"
