"""Substrates consist of operators that round alike on every device, so that a network's bits do not depend on it.

Sums round differently, functions such as exp too. A division by a number is a multiplication by its reciprocal on GPUs.
"""

from __future__ import annotations

from typing import Any

import pytest
import torch
from perturbed import STRONG, configured, operating
from torch.utils._python_dispatch import TorchDispatchMode

from ttfsrun.config.schema import Config
from ttfsrun.neuron import Neuron
from ttfsrun.substrate.emulation import Operation

#: Rounded as IEEE 754 demands, or exact.
ARITHMETIC = {"add", "sub", "mul", "div", "neg", "abs", "sign", "round", "floor", "minimum", "maximum", "amax"}
CONDITIONS = {
    "eq",
    "le",
    "lt",
    "isnan",
    "nan_to_num",
    "bitwise_and",
    "bitwise_not",
    "bitwise_or",
    "where",
    "masked_fill",
}
COPIES = {"_to_copy", "cat", "clone", "copy_", "detach", "empty", "index", "index_put", "index_put_", "lift_fresh"}
VIEWS = {"alias", "expand", "slice", "split_with_sizes", "unsqueeze", "view"}

UNBOUNDED = {key: value for key, value in STRONG.items() if key not in ("weight.bits", "weight.lsb", "weight.clip")}
MANNERS = {"weight.rounding": "stochastic", "time_resolution.rounding": "floor"}
#: Networks that differ in numbers, and one that has other perturbations.
POPULATIONS = {
    "all": [configured(STRONG, seed__chip=seed) for seed in (0, 1)],
    "without a clip": [configured(UNBOUNDED | {"weight.bits": 3}, seed__trial=seed) for seed in (0, 1)],
    "other manners": [configured(STRONG | MANNERS)],
    "with ideal ones": [configured(), configured(STRONG), configured(UNBOUNDED)],
}


class Recorder(TorchDispatchMode):
    """Notes the operators that torch carries out, and sums and divisions that a device may round in its own way."""

    def __init__(self) -> None:
        super().__init__()
        self.names: set[str] = set()
        self.unsound: list[str] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = func.overloadpacket.__name__
        if name == "div" and not (isinstance(args[1], torch.Tensor) and args[1].ndim):
            self.unsound.append("a division by a number")
        if name == "sum" and args[0].is_floating_point():
            self.unsound.append("a sum of floats")
        self.names.add(name)
        return func(*args, **kwargs or {})


def work(operation: Operation, size: int) -> None:
    """Let the substrates do all that they do in a training step."""
    random = torch.Generator().manual_seed(0)
    weight, times = torch.randn(size, 5, 7, generator=random), torch.rand(size, 9, 7, generator=random)
    operation.external(0, times)
    operation.neuron(0, Neuron(), (9, 7))
    operation.weight(0, weight).backward(weight)
    operation.spikes(0, times).backward(times)
    operation.silent_by_itself(0, times)
    operation.substrates.project([weight.clone()])


@pytest.mark.parametrize("configs", POPULATIONS.values(), ids=POPULATIONS)
def test_all_that_substrates_compute_in_a_step_rounds_alike_on_every_device(configs: list[Config]) -> None:
    operation, size = operating(*configs, age=1, step=1), len(configs)
    work(operation, size)  # the chips, the keys
    with Recorder() as recorder:
        work(operation, size)
    own = {"randn", "rand", "gt", "sum"}  # of this test; sums are checked one by one
    assert recorder.unsound == []
    assert recorder.names - ARITHMETIC - CONDITIONS - COPIES - VIEWS - own == set()
    assert {"add", "mul", "div", "round"} <= recorder.names


@pytest.mark.parametrize("unsound", [lambda x: x.sum(), lambda x: x / 0.3])
def test_a_sum_and_a_division_by_a_number_would_be_noticed(unsound: Any) -> None:
    with Recorder() as recorder:
        unsound(torch.ones(3))
    assert len(recorder.unsound) == 1
