"""Estimates for GPUs that are not at hand: stated speeds, which records correct."""

from __future__ import annotations

from types import SimpleNamespace

import made_up
import msgspec
import pytest

from ttfsrun.config.compose import Composer, conf_dir
from ttfsrun.results.sweep_folder import SweepFolder, SweepPoint
from ttfsrun.results.views import RecordSummary
from ttfsrun.run.devices import Gpu
from ttfsrun.sweep.cost import Cost
from ttfsrun.sweep.submit import costs
from ttfsrun.sweep.submit.freeze import freeze_points
from ttfsrun.sweep.submit.gpu_costs import estimate_gpu_costs
from ttfsrun.sweep.worker import calibrate


def points(*words: str) -> list[SweepPoint]:
    expanded = Composer(conf_dir()).expand(words)
    return freeze_points([(point.overrides, point.config) for point in expanded], [])


def an_hour(networks: int, seconds: float) -> float:
    """Networks an hour, where a population of them takes so many seconds."""
    return 3600 * networks / seconds


def test_the_stated_speeds_are_those_that_were_measured():
    (cost,) = estimate_gpu_costs(points("experiment=yin_yang_paper"), [], "code", None).values()
    assert an_hour(1, cost.training(1, 300)) == pytest.approx(641, rel=0.1)
    assert an_hour(1024, cost.training(1024, 300)) == pytest.approx(45_478, rel=0.1)
    assert cost.worthwhile == 1024


def test_records_of_a_gpu_correct_the_stated_speed(tmp_path):
    (point,) = points("experiment=yin_yang_paper")
    (stated,) = estimate_gpu_costs([point], [], "code", None).values()
    seconds = 2 * (stated.training(100, point.config["training"]["epochs"]) / 100 + stated.point)
    folder = SweepFolder(tmp_path)
    record = made_up.done(point.point, seconds=seconds, population=100, threads=16, device="NVIDIA H100")
    made_up.write(folder, [record])
    (cost,) = estimate_gpu_costs([point], list(folder.records_as(RecordSummary)), "code", None).values()
    assert (cost.epoch, cost.network, cost.point) == pytest.approx(
        (2 * stated.epoch, 2 * stated.network, 2 * stated.point)
    )
    assert (cost.most, cost.network_memory) == (stated.most, stated.network_memory)


def test_a_gpu_that_is_at_hand_is_measured_with_many_networks(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    commands = []

    def run(command, **options):
        commands.append((command[-1], options["env"]["CUDA_VISIBLE_DEVICES"]))
        return SimpleNamespace(returncode=0, stdout=msgspec.json.encode([measured]))

    measured = Cost(0.02, 0.0003, 0.01, 4e9, 4e6, most=1024)
    monkeypatch.setattr(costs.subprocess, "run", run)
    grid = points("experiment=yin_yang_paper")
    for gpu in (Gpu("NVIDIA H100", 80 * 10**9, "3"), Gpu("NVIDIA H100", 80 * 10**9, "1"), Gpu("NVIDIA A100", 1, "0")):
        assert [*estimate_gpu_costs(grid, [], "code", gpu).values()] == [measured]
    assert commands == [("cuda", "3"), ("cuda", "0")], "once for each kind of GPU"


def test_the_calibration_on_a_gpu_trains_copies_of_the_networks(monkeypatch, tiny):
    sizes, train = [], calibrate.Trainer

    def trainer(configs, *samples, device):
        assert device == "cuda"
        sizes.append(len(configs))
        return train(configs[:2], *samples)

    monkeypatch.setattr(calibrate, "Trainer", trainer)
    monkeypatch.setattr(calibrate, "_evaluation_seconds", lambda *_: 0.1)
    cost = calibrate.measure_cost([tiny("seed.init=1"), tiny("seed.init=2")], "cuda")
    assert set(sizes) == {1, 2 * calibrate.COPIES_ON_GPU}
    assert cost.most == 1024
