"""Evaluation of many networks under all their conditions at once: each has the records that it has alone."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from lane_device import one_by_one
from perturbed import STRONG, configured

from ttfsrun.config.conditions import Condition, conditions_of
from ttfsrun.config.schema import Config
from ttfsrun.data.samples import Samples, load_samples
from ttfsrun.errors import UserError
from ttfsrun.evaluation import trained_network
from ttfsrun.evaluation.deployed import DeployedNetworks
from ttfsrun.evaluation.metrics import trial_metrics
from ttfsrun.evaluation.trained_network import CONDITION_SPLITS, TrainedNetwork, deploy, evaluate
from ttfsrun.network import build
from ttfsrun.training import responses

CONDITIONS: dict[str, Any] = {
    "simulation": {"evaluation.perturbed": False},
    "quiet": {"substrate.spike_time": None, "substrate.v_th.sample_std": 0.0, "evaluation.age": [0, 3]},
    "more trials": {"evaluation.trials": 5, "seed.trial": 4},
    "noise": {"substrate.spike_time.jitter": [0.05, 0.3], "substrate.dead_neurons.p": 0.4},
}
NAMES = ("v_th.chip_std", "v_th.sample_std", "spike_time.jitter", "weight.bits", "drift.std")
CHIP = {name: STRONG[name] for name in NAMES}
OWN = {"evaluation__perturbed": True, "evaluation__chips": [5, 6], "evaluation__conditions": CONDITIONS}
CONFIGS = [
    configured(CHIP, seed__init=1, evaluation__trials=2, **OWN),
    configured(CHIP, seed__init=2, seed__chip=1, evaluation__trials=3, **OWN),
    configured({**CHIP, "tau_mem.chip_cv": 0.2}, seed__init=3, evaluation__age=1, **OWN),
    configured({**CHIP, "weight.write_std": 0.1}, seed__init=4, network__neuron__v_th=1.1, **OWN),
    configured(CHIP, seed__init=5, training__batch_size=7, evaluation__trials=3, **OWN),
    configured(seed__init=6),
]


@pytest.fixture(scope="module")
def samples() -> dict[str, Samples]:
    return load_samples(CONFIGS[0].data)[0]


def trained(configs: Sequence[Config]) -> list[TrainedNetwork]:
    return [TrainedNetwork(build([config]).learned, conditions_of(config)) for config in configs]


def records(networks: Sequence[TrainedNetwork], samples: dict[str, Samples], device: str = "cpu") -> list[str]:
    """Return the records of each network, as text."""
    return [json.dumps(evaluation.records) for evaluation in evaluate(networks, samples, device)]


def alone(network: TrainedNetwork, samples: dict[str, Samples]) -> str:
    """Return the records of a network that is evaluated under one condition after the other."""

    def record(condition: Condition, splits: Sequence[str]) -> dict[str, Any]:
        deployed = DeployedNetworks([condition.config], network.learned)
        found = {split: trial_metrics(*deployed.run_trials(split, samples[split])) for split in splits}
        return found | condition.as_record() if condition is own else condition.as_record() | found

    own, *others = network.conditions
    return json.dumps([record(own, [*samples]), *(record(other, CONDITION_SPLITS) for other in others)])


@pytest.mark.parametrize(("rows", "decisions"), [(2000, 1 << 22), (60, 1 << 22), (2000, 200)])
def test_all_at_once_is_the_same_text_as_one_by_one(
    rows: int, decisions: int, samples: dict[str, Samples], monkeypatch: pytest.MonkeyPatch
) -> None:
    networks = trained(CONFIGS)
    expected = [alone(network, samples) for network in networks]
    assert len(set(expected)) == len(networks)
    monkeypatch.setattr(responses, "ROWS", rows)
    monkeypatch.setattr(trained_network, "DECISIONS", decisions)
    assert records(networks, samples) == expected
    assert records(networks[::-1], samples) == expected[::-1]


def test_the_conditions_of_several_networks_are_computed_together(samples: dict[str, Samples]) -> None:
    configs = [configured(CHIP, seed__init=seed, seed__chip=seed, **OWN) for seed in range(3)]
    sizes = [len(deployment.pairs) for deployment in deploy(trained(configs), samples, "cpu")]
    n_conditions = len(conditions_of(configs[0]))
    assert sum(sizes) == 3 * n_conditions
    assert len(sizes) < n_conditions
    assert min(sizes) >= 3


def test_no_more_is_computed_at_once_than_the_memory_allows(
    samples: dict[str, Samples], monkeypatch: pytest.MonkeyPatch
) -> None:
    networks = trained([configured(CHIP, seed__init=seed, evaluation__trials=2) for seed in range(7)])
    for rows, decisions, expected in [(100, 1 << 20, [4, 3]), (2000, 3 * 2 * 60, [3, 3, 1]), (1, 1, [1] * 7)]:
        monkeypatch.setattr(responses, "ROWS", rows)
        monkeypatch.setattr(trained_network, "DECISIONS", decisions)
        assert [len(deployment.pairs) for deployment in deploy(networks, samples, "cpu")] == expected


def test_each_network_has_its_share_of_the_time(samples: dict[str, Samples]) -> None:
    evaluations = evaluate(trained([CONFIGS[0], *CONFIGS[:2]]), samples)
    for evaluation in evaluations:
        assert evaluation.seconds.keys() == samples.keys()
        assert min(evaluation.seconds.values()) > 0
    assert evaluations[0].seconds == evaluations[1].seconds != evaluations[2].seconds


def test_a_chip_file_that_is_missing_is_reported(samples: dict[str, Samples], tmp_path: Path) -> None:
    missing = configured({**CHIP, "chip.file": str(tmp_path / "none")})
    with pytest.raises(UserError, match="none: does not exist"):
        evaluate(trained([CONFIGS[0], missing]), samples)


def test_one_neuron_at_a_time_is_the_same_text_as_vectors(samples: dict[str, Samples]) -> None:
    networks = trained(CONFIGS[:1])
    expected = records(networks, samples)
    with one_by_one():
        assert records(networks, samples) == expected


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="torch sees no GPU")
def test_an_evaluation_on_a_gpu_is_the_same_text_as_on_the_cpu(samples: dict[str, Samples]) -> None:
    networks = trained(CONFIGS)
    assert records(networks, samples, "cuda") == records(networks, samples)
