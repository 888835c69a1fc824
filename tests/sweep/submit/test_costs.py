"""The costs of trainings: measured once for each size in each environment, before a submission."""

from __future__ import annotations

import json
from importlib import metadata
from types import SimpleNamespace

import pytest
from made_up import EDGE, LATE

from ttfsrun.config.compose import Composer, conf_dir
from ttfsrun.errors import RunFailed
from ttfsrun.results.sweep_folder import SweepPoint, point_config
from ttfsrun.sweep.cost import DELAY_BYTES, DRAWN_BYTES, WEIGHT_COPIES, Cost, network_memory
from ttfsrun.sweep.submit import costs
from ttfsrun.sweep.submit.freeze import freeze_points
from ttfsrun.sweep.worker import calibrate


@pytest.fixture
def asked(tmp_path, monkeypatch, tiny_overrides):
    """Return the points of a command line; the user's cache has no costs yet."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))

    def points(*words: str) -> list[SweepPoint]:
        expanded = Composer(conf_dir()).expand([*tiny_overrides, *words])
        return freeze_points([(point.overrides, point.config) for point in expanded], [])

    return points


@pytest.fixture
def here(monkeypatch):
    """Measure costs in this process, whose kernels are compiled."""

    def calibrated(shapes):
        return [calibrate.measure_cost([point_config(point) for point in points]) for points in shapes]

    monkeypatch.setattr(costs, "_calibrated", calibrated)


def test_costs_are_measured_once(asked, tmp_path, monkeypatch):
    points = asked("seed.init=1,2")
    first = costs.estimate_costs(points, [], "code")
    monkeypatch.setattr(costs, "_calibrated", lambda shapes: pytest.fail("measured again"))
    assert costs.estimate_costs(points, [], "code") == first
    (cost,) = first.values()
    assert cost.network > 0
    assert cost.memory > 1e8
    assert json.loads((tmp_path / "ttfsrun" / "costs.json").read_text())


def test_perturbed_weights_need_memory_for_what_is_drawn_whichever_network_comes_first(asked):
    words = ("substrate=ideal", "substrate.weight.read_std=0", "substrate.weight.read_std=0.1")
    ideal, zero, noisy = (point_config(asked(word)[0]) for word in words)
    memory = {name: network_memory(config) for name, config in (("ideal", ideal), ("noisy", noisy))}
    weights = sum(n * m for n, m in zip(noisy.layer_inputs, noisy.layer_sizes[1:], strict=True))
    assert network_memory(zero) == memory["ideal"]
    assert memory["noisy"] == memory["ideal"] + DRAWN_BYTES * weights
    assert calibrate.measure_cost([ideal, noisy]).network_memory == memory["noisy"]


def test_delays_need_memory_and_time_of_their_own(asked):
    kinds = ("none", "axonal", "synaptic", "[none,axonal]")
    (none, axonal, synaptic, last) = (asked(f"network.delays={kind}")[0] for kind in kinds)
    need = {point.point: network_memory(point_config(point)) for point in (none, axonal, synaptic)}
    assert need[axonal.point] == need[none.point] + 4 * WEIGHT_COPIES * (5 + 21)
    assert need[synaptic.point] == need[none.point] + (4 * WEIGHT_COPIES + DELAY_BYTES) * (5 * 20 + 21 * 3)
    assert len(costs.grouped((none, axonal, synaptic, last), [*map(costs._size, (none, axonal, synaptic, last))])) == 4


def test_costs_are_measured_again_in_another_environment(asked, tmp_path, monkeypatch):
    measured = []

    def calibrated(samples):
        measured.append(len(samples))
        return [Cost(1.0, 0.1, 0.1, 1e9 * len(measured), 1e6)] * len(samples)

    def memory() -> float:
        (cost,) = costs.estimate_costs(points, [], "code").values()
        return cost.memory

    points = asked("seed.init=1,2")
    monkeypatch.setattr(costs, "_calibrated", calibrated)
    assert (memory(), memory()) == (1e9, 1e9)
    build = tmp_path / "torch" / "version.py"
    build.parent.mkdir()
    build.write_text("__version__ = '2.5.1'; cuda = '12.4'")
    spec = SimpleNamespace(origin=str(build.with_name("__init__.py")))
    with monkeypatch.context() as patch:  # the same version of torch, in a larger build
        patch.setattr("importlib.util.find_spec", lambda name: spec)
        assert memory() == 2e9
    with monkeypatch.context() as patch:
        version = metadata.version
        patch.setattr(metadata, "version", lambda name: "99.0" if name == "numba" else version(name))
        assert memory() == 3e9
    with monkeypatch.context() as patch:
        patch.setenv("MALLOC_ARENA_MAX", "1")
        assert memory() == 4e9
    assert memory() == 1e9


@pytest.mark.usefixtures("here")
def test_points_that_cannot_be_trained_do_not_keep_the_others_from_being_measured(asked):
    (cost,) = costs.estimate_costs(asked("seed.init=1,2", EDGE, LATE), [], "code").values()
    assert cost.network > 0


@pytest.mark.usefixtures("here")
def test_what_cannot_be_trained_is_taken_for_the_dearest_of_the_others(asked):
    late = LATE.replace("0.0,", "")
    broken, sound = asked(EDGE, late, "network.hidden=[30]"), asked(late)
    assert len(set(costs.estimate_costs([*broken, *sound], [], "code").values())) == 1


@pytest.mark.usefixtures("here")
def test_a_size_is_measured_by_any_of_its_shapes(asked):
    shapes = costs.estimate_costs(asked("training.loss.beta=0.05,1.0", LATE.replace("0.0,", "")), [], "code")
    assert len(shapes) == 2


@pytest.mark.usefixtures("here")
def test_where_no_point_can_be_trained_it_is_said_why(asked):
    with pytest.raises(RunFailed, match=r"first batches of a training failed: the .*loss is not finite"):
        costs.estimate_costs(asked(EDGE, LATE.replace("0.0,", "")), [], "code")


def test_shapes_of_one_size_are_measured_once(asked, monkeypatch):
    counts = []

    def calibrated(samples):
        counts.append(len(samples))
        return [Cost(1.0, 0.1, 0.1, 1e8, 1e6)] * len(samples)

    monkeypatch.setattr(costs, "_calibrated", calibrated)
    points = asked("training.loss.xi=0.1,0.2,0.3", "training.epochs=1,2", "network.hidden=[20],[30]")
    assert len(costs.estimate_costs(points, [], "code")) == 12
    assert counts == [2]


@pytest.mark.usefixtures("here")
def test_more_to_evaluate_is_measured_anew(asked):
    def point(*words: str) -> float:
        (cost,) = costs.estimate_costs(asked("substrate.spike_time.jitter=0.1", *words), [], "code").values()
        return cost.point

    assert point("evaluation.trials=30") > 5 * point("evaluation.trials=1")
