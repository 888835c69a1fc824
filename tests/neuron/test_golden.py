"""The bits of float32 results. They may change, but then `results/reference/` must be made again."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from llvmlite.binding import get_host_cpu_features

from ttfsrun.neuron import Neuron, draws, first_spike
from ttfsrun.random import key

GOLDEN = "c63620eff1713eed"
GOLDEN_DRAWS = "597038b53c68bc78"


def digest() -> str:
    """Return the digest of the spikes and gradients of a layer as in training."""
    random = np.random.default_rng(1)
    times = random.uniform(0.2, 3.5, (40, 60)).astype(np.float32)
    weight = random.normal(0.15, 0.5, (60, 40)).astype(np.float32)
    inputs = [torch.from_numpy(array).requires_grad_() for array in (times, weight)]
    spikes = first_spike(*inputs, Neuron())
    assert 0.5 < float(torch.isfinite(spikes).float().mean()) < 1
    gradients = torch.autograd.grad(spikes, inputs, torch.isfinite(spikes).float() / 40)
    return hashlib.sha256(b"".join(each.detach().numpy().tobytes() for each in (spikes, *gradients))).hexdigest()[:16]


def digest_of_draws() -> str:
    """Return the digest of normal numbers of two networks in two steps."""
    keys = torch.tensor([key(seed, "golden") for seed in range(2)])
    drawn = [draws.normal(keys, step, (5000,)).numpy().tobytes() for step in range(2)]
    return hashlib.sha256(b"".join(drawn)).hexdigest()[:16]


def test_the_bits_of_spikes_and_gradients_are_those_of_the_reference_results() -> None:
    assert digest() == GOLDEN


def test_the_bits_of_normal_numbers_are_those_of_the_reference_results() -> None:
    assert digest_of_draws() == GOLDEN_DRAWS


@pytest.mark.slow
@pytest.mark.skipif(not get_host_cpu_features().get("avx2"), reason="runs code for processors with AVX2")
@pytest.mark.parametrize("processor", ["haswell", "znver3"])
def test_narrower_vectors_give_the_same_bits(processor: str, tmp_path: Path) -> None:
    # Both have AVX2 but not AVX-512.
    environment = {
        **os.environ,
        "NUMBA_CPU_NAME": processor,
        "NUMBA_CPU_FEATURES": "",
        "NUMBA_CACHE_DIR": str(tmp_path),
    }
    program = "import test_golden; print(test_golden.digest(), test_golden.digest_of_draws())"
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=Path(__file__).parent,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.stdout.split(), done.returncode) == ([GOLDEN, GOLDEN_DRAWS], 0), done.stderr
