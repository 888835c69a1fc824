"""A network's numbers depend on its own settings and seeds alone: not on its neighbours, their substrates, threads."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
import pytest
import torch
from perturbed import STRONG, configured, operating, outcome, some_times

from ttfsrun.config.schema import Config
from ttfsrun.data.samples import Samples, load_samples
from ttfsrun.evaluation.deployed import DeployedNetworks
from ttfsrun.evaluation.metrics import compute_metrics
from ttfsrun.network import build, emulate
from ttfsrun.neuron import parallel
from ttfsrun.substrate.backward import RULES
from ttfsrun.training.responses import Responses, collect_responses
from ttfsrun.training.trainer import Trainer

TAUS = {"tau_mem.chip_cv": 0.2, "tau_syn.chip_cv": 0.3, "tau_syn.correlation": 0.5}
CLEAN = configured(seed__init=1)
#: Clean networks among others whose settings, chips, chances and rules differ.
MIXED = [
    CLEAN,
    configured(TAUS, training__backward="observed", seed__init=1),
    configured(TAUS, training__backward="same_draw", seed__init=2, seed__chip=1),
    configured({"weight.bits": 4, "spike_time.jitter": 0.1}, training__backward="ideal", seed__init=3),
    configured(seed__init=4),
    configured({"v_th.sample_std": 0.1, "drift.std": 0.05}, training__backward="same_draw", seed__init=5),
    configured({**TAUS, "weight.read_std": 0.1}, training__backward="ideal", seed__init=6),
    configured({"v_th.sample_std": 0.1, "v_th.batch_std": 0.1}, training__backward="observed", seed__trial=1),
    configured({"weight.clip": 1.0}, training__perturbed=False, seed__init=7),
    configured({"dead_neurons.p": 0.3, "input_time.jitter": 0.1}, seed__init=8),
    configured({key: STRONG[key] for key in STRONG if key != "dead_neurons.p"}, seed__init=9),
]


@pytest.fixture(scope="module")
def splits() -> dict[str, Samples]:
    return load_samples(CLEAN.data)[0]


def trained(configs: Sequence[Config], splits: dict[str, Samples]) -> list[list[bytes]]:
    """Return everything that training produces for each network."""
    trainer = Trainer(configs, splits["train"], splits["valid"])
    for _ in range(configs[0].training.epochs):
        trainer.run_epoch()
    state = trainer.state
    groups = [
        *state.learned.tensors,
        *state.best.tensors,
        *state.moments.first,
        *state.moments.second,
        state.moments.steps,
    ]
    groups += [
        state.bumping.layer,
        state.bumping.value,
        state.best_score,
        state.best_epoch,
        state.curves.swapaxes(0, 1),
    ]
    return [[tensor[p].numpy().tobytes() for tensor in groups] for p in range(len(configs))]


def evaluated(configs: Sequence[Config], part: Samples, batch_size: int = 7) -> list[Responses]:
    substrates = emulate(configs, [True] * len(configs))
    during = partial(substrates.during, "test 0", age=2)
    return collect_responses(build(configs), part, CLEAN.training.loss, during, batch_size)


@pytest.mark.parametrize("n_threads", [1, 2])
def test_each_network_trains_to_the_same_bits_alone_and_among_others_on_other_substrates(
    n_threads: int, splits: dict[str, Samples], threads: Callable[[int], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parallel, "SMALLEST_SHARE", 1)  # however little there is to do
    threads(1)
    alone = [trained([config], splits)[0] for config in MIXED]
    threads(n_threads)
    together = trained(MIXED, splits)
    assert len({one[0] for one in together}) == len(MIXED)
    for p, one in enumerate(alone):
        assert together[p] == one, p
    assert trained(MIXED[::-1], splits)[::-1] == together


@pytest.mark.parametrize("neighbours", [("observed",), ("ideal",), ("same_draw",), tuple(RULES)], ids="+".join)
@pytest.mark.parametrize("substrate", [TAUS, {"v_th.sample_std": 0.2}, {**TAUS, "v_th.sample_std": 0.2}])
def test_a_clean_network_keeps_its_spikes_and_gradients_beside_perturbed_ones(
    substrate: dict[str, float], neighbours: tuple[str, ...]
) -> None:
    # So large that it shows, and so does this ratio, if a network is computed by the kernels for other time constants.
    times, large = some_times(400), {"network__hidden": [40], "network__neuron__tau_mem": 1.5}
    clean = configured(**large)
    others = [configured(substrate, training__backward=rule, seed__init=2, **large) for rule in neighbours]
    configs = [others[0], clean, *others[1:]]
    spikes, gradients = outcome(configs, times, operating(*configs))
    expected, by_hand = outcome([clean], times, operating(clean))
    plain = [tensor for results in outcome([clean], times, operating()) for tensor in results]
    assert all(map(torch.equal, [*expected, *by_hand], plain))
    for found, alone in zip([*spikes, *gradients], [*expected, *by_hand], strict=True):
        assert torch.equal(found[1], alone[0])
        assert not torch.equal(found[0], alone[0])


@pytest.mark.parametrize("config", MIXED, ids=range(len(MIXED)))
def test_each_network_has_the_same_spikes_and_gradients_alone_and_among_others(config: Config) -> None:
    times, p = some_times(), MIXED.index(config)
    together = [tensor[p] for results in outcome(MIXED, times, operating(*MIXED, age=1)) for tensor in results]
    alone = [tensor[0] for results in outcome([config], times, operating(config, age=1)) for tensor in results]
    assert all(map(torch.equal, together, alone))


def test_the_noise_of_an_evaluation_does_not_depend_on_company(splits: dict[str, Samples]) -> None:
    together = evaluated(MIXED, splits["test"])
    for config, result in zip(MIXED, together, strict=True):
        (alone,) = evaluated([config], splits["test"])
        assert compute_metrics(result) == compute_metrics(alone)
        np.testing.assert_array_equal(result.decision_time, alone.decision_time)


def test_the_noise_of_a_sample_does_not_depend_on_how_many_come_after_it(splits: dict[str, Samples]) -> None:
    part = splits["test"]
    some = Samples(part.times[:17], part.labels[:17])
    for config in MIXED:
        (whole,), (begun,) = evaluated([config], part), evaluated([config], some)
        np.testing.assert_array_equal(whole.decision_time[:17], begun.decision_time)


def test_each_trial_has_its_own_noise_and_more_trials_leave_the_first_as_they_are(splits: dict[str, Samples]) -> None:
    def trials(number: int) -> list[bytes]:
        config = configured({"v_th.sample_std": 0.1, "spike_time.jitter": 0.1}, evaluation__trials=number)
        (results,) = DeployedNetworks([config], build([config]).learned).run_trials("test", splits["test"])
        return [result.decision_time.tobytes() for result in results]

    three = trials(3)
    assert len(set(three)) == 3
    assert trials(2) == three[:2]


def test_without_noise_there_is_one_trial(splits: dict[str, Samples]) -> None:
    config = configured({"v_th.chip_std": 0.1, "drift.std": 0.1, "weight.bits": 3}, evaluation__trials=3)
    (results,) = DeployedNetworks([config], build([config]).learned).run_trials("test", splits["test"])
    assert len(results) == 1
