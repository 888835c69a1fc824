"""Estimates for GPUs that are not at hand: stated speeds, which records correct."""

from __future__ import annotations

import made_up
import pytest

from ttfsrun.config.compose import Composer, conf_dir
from ttfsrun.results.sweep_folder import SweepFolder, SweepPoint
from ttfsrun.results.views import RecordSummary
from ttfsrun.sweep.submit.freeze import freeze_points
from ttfsrun.sweep.submit.gpu_costs import estimate_gpu_costs


def points(*words: str) -> list[SweepPoint]:
    expanded = Composer(conf_dir()).expand(words)
    return freeze_points([(point.overrides, point.config) for point in expanded], [])


def an_hour(networks: int, seconds: float) -> float:
    """Networks an hour, where a population of them takes so many seconds."""
    return 3600 * networks / seconds


def test_the_stated_speeds_are_those_that_were_measured():
    (cost,) = estimate_gpu_costs(points("experiment=yin_yang_paper"), []).values()
    assert an_hour(1, cost.training(1, 300)) == pytest.approx(641, rel=0.1)
    assert an_hour(1024, cost.training(1024, 300)) == pytest.approx(45_478, rel=0.1)
    assert cost.worthwhile == 1024


def test_records_of_a_gpu_correct_the_stated_speed(tmp_path):
    (point,) = points("experiment=yin_yang_paper")
    (stated,) = estimate_gpu_costs([point], []).values()
    seconds = 2 * (stated.training(100, point.config["training"]["epochs"]) / 100 + stated.point)
    folder = SweepFolder(tmp_path)
    record = made_up.done(point.point, seconds=seconds, population=100, threads=16, device="NVIDIA H100")
    made_up.write(folder, [record])
    (cost,) = estimate_gpu_costs([point], list(folder.records_as(RecordSummary))).values()
    assert (cost.epoch, cost.network, cost.point) == pytest.approx(
        (2 * stated.epoch, 2 * stated.network, 2 * stated.point)
    )
    assert (cost.most, cost.network_memory) == (stated.most, stated.network_memory)
