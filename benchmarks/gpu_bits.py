"""Bits of benchmarks/gpu.py: trainings and first spikes on the device against those on the CPU."""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from functools import partial
from itertools import groupby

import numpy as np
import torch
from gpu_setup import Setup, population
from torch import Tensor

from ttfsrun.config.schema import Config
from ttfsrun.neuron import Neuron, first_spike
from ttfsrun.training.checkpoint import named_tensors
from ttfsrun.training.state import TrainingState
from ttfsrun.training.trainer import Trainer

EPOCHS = 3  # a GPU records the second one, and repeats it in the third
BATCHES = 4  # of an epoch, the last one smaller
CHIP = ("substrate=brainscales2", "substrate.chip={inputs_per_neuron:null,neurons:null}", "training.perturbed=true")
VARIANTS: dict[str, tuple[str, ...]] = {
    "ideal": (),
    **{f"brainscales2, {rule}": (*CHIP, f"training.backward={rule}") for rule in ("observed", "ideal", "same_draw")},
    "own time constants": (*CHIP, "substrate.tau_mem.chip_cv=0.2", "substrate.tau_syn.chip_cv=0.1"),
}

CPU, DEVICE = False, True
Check = Callable[[], str]  # returns what differs; empty if nothing does


def bits(setup: Setup) -> bool:
    """Print for each check whether the bits are equal, and if not, which tensor differs first. Return whether all are.

    Checks that the time does not suffice for are named.
    """
    equal = True
    for name, check in checks(setup):
        if setup.left < 0:
            print(f"not run  {name}", flush=True)
            continue
        start = time.perf_counter()
        try:
            different = check()
            verdict = "DIFFERS" if different else "equal  "
        except Exception:  # noqa: BLE001  # the other checks still tell something
            different, verdict = f"\n{traceback.format_exc(limit=-4)}", "FAILED "
        equal = equal and not different
        print(f"{verdict}  {name} ({time.perf_counter() - start:.1f} s){different and ': '}{different}", flush=True)
    return equal


def checks(setup: Setup) -> Iterator[tuple[str, Check]]:
    """Yield all checks, those that take longest at the end."""
    yield from _trainings(setup, "yin_yang")
    for name, places in {"CPU, then device": (CPU, DEVICE, DEVICE), "device, then CPU": (DEVICE, DEVICE, CPU)}.items():
        for variant in ("ideal", "brainscales2, observed"):
            words = ("experiment=yin_yang_paper", *VARIANTS[variant])
            yield f"resumed: {name}, {variant}", partial(_same, setup, words, places)
    yield "a network alone and among others", partial(_company, setup)
    yield "a population in two parts", partial(_division, setup)
    yield "first_spike and its gradients", partial(_first_spikes, setup)
    for experiment in ("mnist_16x16_paper", "mnist_28x28"):
        yield from _trainings(setup, experiment)


def _trainings(setup: Setup, experiment: str) -> Iterator[tuple[str, Check]]:
    for variant, overrides in VARIANTS.items():
        words = (f"experiment={experiment}", *overrides)
        yield f"{experiment}, {variant}", partial(_same, setup, words, (DEVICE,) * EPOCHS)


def trained(setup: Setup, configs: Sequence[Config], places: Sequence[bool] = (DEVICE,) * EPOCHS) -> TrainingState:
    """Return the state after an epoch on each of the places."""
    size = configs[0].training.batch_size
    samples = setup.samples(configs[0], BATCHES * size - size // 2, 2 * size)
    state = None
    for there, epochs in groupby(places):
        with setup.computing() if there else nullcontext():
            trainer = Trainer(configs, *samples, state, setup.device if there else "cpu")
            for _ in epochs:
                trainer.run_epoch()
            state = trainer.state.to("cpu")
    assert state is not None
    return state


def _same(setup: Setup, words: Sequence[str], places: Sequence[bool]) -> str:
    """Compare a training on some places with one on the CPU."""
    configs = _networks(setup, 2, *words)
    here = trained(setup, configs, (CPU,) * len(places))
    return difference(named_tensors(here), named_tensors(trained(setup, configs, places)))


def _networks(setup: Setup, count: int, *words: str) -> list[Config]:
    small = ("training.batch_size=10", "network.hidden=[12]") if setup.tiny else ()
    return population(count, *words, *small, f"training.epochs={EPOCHS}")


def _company(setup: Setup) -> str:
    """Compare a network alone with the same among others."""
    configs = _networks(setup, 3, "experiment=yin_yang_paper", *VARIANTS["own time constants"])
    among_others = trained(setup, configs).select([1])
    return difference(named_tensors(trained(setup, configs[1:2])), named_tensors(among_others))


def _division(setup: Setup) -> str:
    """Compare a population with the same in two parts."""
    configs = _networks(setup, 5, "experiment=yin_yang_paper", *VARIANTS["brainscales2, observed"])
    whole = trained(setup, configs)
    for part in ([0, 1, 2], [3, 4]):
        alone = trained(setup, [configs[p] for p in part])
        different = difference(named_tensors(alone), named_tensors(whole.select(part)))
        if different:
            return f"networks {part}: {different}"
    return ""


def _first_spikes(setup: Setup) -> str:
    """Compare the spikes of random layers and their gradients, in both precisions."""
    rows, inputs, neurons = setup.size(150, 5), setup.size(100, 7), setup.size(130, 19)
    random = np.random.default_rng(0)
    times = np.where(random.random((3, rows, inputs)) < 0.7, 2 * random.random((3, rows, inputs)), np.inf)
    weight = random.normal(0.4, 0.8, (3, inputs, neurons)) * (10 / inputs) ** 0.5
    own = {"tau_mem": torch.from_numpy(0.5 + random.random((3, 1, neurons)))}
    for constants in ({}, own):
        for dtype in (np.float32, np.float64):
            values = times.astype(dtype), weight.astype(dtype)
            here = _gradients(*map(torch.from_numpy, values), constants)
            with setup.computing():
                there = _gradients(*(torch.from_numpy(value).to(setup.device) for value in values), constants)
            different = difference(here, there)
            if different:
                return f"{np.dtype(dtype)}, {'own' if constants else 'equal'} time constants, {different}"
    return ""


def _gradients(times: Tensor, weight: Tensor, constants: Mapping[str, Tensor]) -> dict[str, Tensor]:
    v_th = torch.ones(weight.shape[-1], dtype=torch.float64, requires_grad=True)
    leaves = {"times": times.requires_grad_(), "weight": weight.requires_grad_(), "v_th": v_th}
    leaves |= {name: value.clone().requires_grad_() for name, value in constants.items()}
    neuron = Neuron(**{name: leaf for name, leaf in leaves.items() if name not in ("times", "weight")})
    spikes = first_spike(times, weight, neuron, gradient_limit=0.5)
    gradients = torch.autograd.grad(spikes.masked_fill(spikes.isinf(), 0).sum(), list(leaves.values()))
    by = {f"gradient by {name}": gradient for name, gradient in zip(leaves, gradients, strict=True)}
    return {"spikes": spikes.detach()} | by


def difference(one: Mapping[str, Tensor], other: Mapping[str, Tensor]) -> str:
    """Return the first of the tensors with other bits, how many of its entries and the first of them; or nothing."""
    for name, tensor in one.items():
        expected, found = tensor.cpu().numpy().reshape(-1), other[name].cpu().numpy().reshape(-1)
        width = expected.dtype.itemsize
        differs = (expected.view(f"V{width}") != found.view(f"V{width}")).nonzero()[0]
        if len(differs):
            first = differs[0]
            index = [int(each) for each in np.unravel_index(first, tensor.shape or (1,))]
            values = f"{expected[first]!r}, on the device {found[first]!r}"
            return f"{name}: {len(differs)} of {len(found)}, first at {index}: {values}"
    return ""
