"""Whole trainings with the code that the threads of a GPU run leave the bits of the code for vectors."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby

import pytest
import torch
from device_cases import CASES
from lane_device import one_by_one
from tiny_networks import REMEDIES, Splits, Tiny, bits, trained

from ttfsrun.config.schema import Config
from ttfsrun.neuron import lane_backward
from ttfsrun.training.trainer import Trainer

NEEDS_GPU = pytest.mark.skipif(not torch.cuda.is_available(), reason="torch sees no GPU")


@pytest.mark.parametrize("name", CASES)
def test_a_training_one_neuron_at_a_time_leaves_the_bits_of_vectors(name: str, tiny: Tiny, samples: Splits) -> None:
    configs = [tiny(*CASES[name], "training.epochs=2", f"seed.init={seed}") for seed in (1, 2)]
    vectors = trained(configs, samples)
    with one_by_one():
        one_lane = trained(configs, samples)
    for p in range(2):
        assert bits(one_lane, p) == bits(vectors, p)


def test_gradients_that_are_added_up_in_parts_leave_the_same_bits(
    tiny: Tiny, samples: Splits, monkeypatch: pytest.MonkeyPatch
) -> None:
    configs = [tiny(*REMEDIES, "training.epochs=2", f"seed.init={seed}") for seed in (1, 2)]
    vectors = trained(configs, samples)
    monkeypatch.setattr(lane_backward, "ENTRIES", 1)  # so that each part is one group of rows
    with one_by_one():
        one_lane = trained(configs, samples)
    assert [bits(one_lane, p) for p in range(2)] == [bits(vectors, p) for p in range(2)]


def test_networks_of_several_kinds_leave_the_same_bits(seven: list[Config], samples: Splits) -> None:
    vectors = trained(seven, samples, 2)
    with one_by_one():
        one_lane = trained(seven, samples, 2)
    assert [bits(one_lane, p) for p in range(7)] == [bits(vectors, p) for p in range(7)]


def trained_on(configs: Sequence[Config], samples: Splits, *devices: str) -> Trainer:
    """A training with an epoch on each of the devices, which ends on the CPU. Equal ones follow in one go."""
    state = None
    for device, epochs in groupby(devices):
        trainer = Trainer(configs, samples["train"], samples["valid"], state, device)
        records = trainer.on_gpu.records
        for _ in epochs:
            trainer.run_epoch()
        assert trainer.on_gpu.records == records  # all that should be recorded could be
        state = trainer.state.to("cpu")
    trainer.state = state
    return trainer


@pytest.mark.gpu
@NEEDS_GPU
@pytest.mark.parametrize("devices", [("cuda",) * 3, ("cpu", "cuda", "cuda"), ("cuda", "cpu", "cuda")], ids="+".join)
@pytest.mark.parametrize("name", CASES)
def test_a_training_on_a_gpu_or_resumed_there_leaves_the_bits_of_the_cpu(
    name: str, devices: tuple[str, ...], tiny: Tiny, samples: Splits
) -> None:
    configs = [tiny(*CASES[name], "training.epochs=3", f"seed.init={seed}") for seed in (1, 2)]
    on_cpu, elsewhere = trained(configs, samples), trained_on(configs, samples, *devices)
    for p in range(2):
        assert bits(elsewhere, p) == bits(on_cpu, p)


def test_a_training_that_changes_its_device_between_epochs_leaves_the_same_bits(tiny: Tiny, samples: Splits) -> None:
    configs = [tiny(*REMEDIES, "training.epochs=2", f"seed.init={seed}") for seed in (1, 2)]
    whole, state = trained(configs, samples), trained(configs, samples, 1).state
    with one_by_one():
        resumed = Trainer(configs, samples["train"], samples["valid"], state)
        resumed.run_epoch()
    assert [bits(resumed, p) for p in range(2)] == [bits(whole, p) for p in range(2)]


@pytest.mark.parametrize("name", CASES)
def test_an_epoch_that_reads_its_number_from_memory_leaves_the_same_bits(
    name: str, tiny: Tiny, samples: Splits, monkeypatch: pytest.MonkeyPatch
) -> None:
    configs = [tiny(*CASES[name], "training.epochs=3", f"seed.init={seed}") for seed in (1, 2)]
    by_number = trained(configs, samples)
    original = Trainer._work

    def with_tensor(trainer: Trainer, epoch: int) -> Iterator[int]:
        return original(trainer, torch.tensor([epoch]))

    monkeypatch.setattr(Trainer, "_work", with_tensor)
    with one_by_one():
        from_memory = trained(configs, samples)
    assert [bits(from_memory, p) for p in range(2)] == [bits(by_number, p) for p in range(2)]
