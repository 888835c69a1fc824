"""A population of points: the failure of one of them does not affect the others."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from ttfsrun.config.compose import Composer, compose, conf_dir
from ttfsrun.data.dataset import DataOrigin
from ttfsrun.data.samples import load_samples
from ttfsrun.errors import CannotSave, CannotWrite, RunFailed
from ttfsrun.results.record import Curves, Record
from ttfsrun.results.sweep_folder import SweepPoint
from ttfsrun.sweep.submit.freeze import freeze_points
from ttfsrun.sweep.worker import checkpoints, execute
from ttfsrun.sweep.worker.site import Site
from ttfsrun.training import fit
from ttfsrun.training.progress import Progress

Run = Callable[..., dict[str, Record]]


class Recorder:
    """Observer that keeps the records; raises at the epoch `at`, as a signal would."""

    def __init__(self, at: int | None = None) -> None:
        self.records: dict[str, Record] = {}
        self.curves: dict[str, Curves | None] = {}
        self.epochs = 0
        self._at = at

    def progressed(self, worker: int, progress: Progress) -> None:
        self.epochs += 1
        if self.epochs == self._at:
            raise KeyboardInterrupt

    def finished(self, record: Record, curves: Curves | None) -> None:
        self.records[record.point] = record
        self.curves[record.point] = curves


@pytest.fixture
def points(tiny_overrides: tuple[str, ...]) -> Callable[..., list[SweepPoint]]:
    """The points of a tiny grid."""

    def expanded(*words: str) -> list[SweepPoint]:
        requested = [
            (point.overrides, point.config) for point in Composer(conf_dir()).expand([*tiny_overrides, *words])
        ]
        return freeze_points(requested, [word.partition("=")[0] for word in words])

    return expanded


@pytest.fixture
def site(tmp_path: Path) -> Site:
    folder = tmp_path / "checkpoints"
    folder.mkdir()
    return Site(folder, threads=1, host="here", submission="s1", job=None, package="code", made_by={})


def computed(points: Sequence[SweepPoint], site: Site) -> Recorder:
    recorder = Recorder()
    execute.execute(points, site, recorder)
    return recorder


def results(records: dict[str, Record]) -> dict[str, object]:
    return {name: record.result for name, record in records.items() if record.status == "done"}


def test_a_point_has_the_same_result_in_every_population(points, site):
    grid = points("seed.init=1,2,3", "substrate.v_th.chip_std=0.0,0.1")
    together = computed(grid, site)
    alone = {}
    for point in grid:
        alone |= computed([point], site).records
    assert len(together.records) == 6
    assert results(together.records) == results(alone)


def test_points_that_share_a_training_are_trained_once(points, site, monkeypatch):
    trained = []
    monkeypatch.setattr(
        execute, "fit", lambda trainer, *args: trained.append(len(trainer.configs)) or fit.fit(trainer, *args)
    )
    grid = points("protocol=clean_to_perturbed", "seed.init=1,2", "substrate.v_th.chip_std=0.0,0.1,0.2")
    recorder = computed(grid, site)
    assert trained == [2]
    assert [record.status for record in recorder.records.values()] == ["done"] * 6
    accuracies = {name: record.result["test"]["loss"] for name, record in recorder.records.items()}
    assert len(set(accuracies.values())) == 6, "each point has its own evaluation"
    for point in grid:
        alone = computed([point], site)
        assert results(alone.records)[point.point] == recorder.records[point.point].result


def test_a_full_disk_costs_the_checkpoint_and_not_the_training(points, site, monkeypatch, caplog):
    grid = points("seed.init=1,2")
    expected = computed(grid, site)

    def full(*args):
        raise CannotWrite("a: cannot be written (No space left on device)")

    monkeypatch.setattr(fit.checkpoint, "save_state", full)
    monkeypatch.setattr(fit, "CHECKPOINT_SECONDS", 0.0)
    assert results(computed(grid, site).records) == results(expected.records)
    assert "No space left on device); the training continues without a checkpoint" in caplog.text


def test_a_training_that_diverges_fails_alone(points, site):
    good = points("seed.init=1,2", "training.loss.beta=0.05")
    bad = points("seed.init=3", "training.loss.beta=0.05", "training.input_noise=100")  # late spikes: exp(t / beta)
    expected = computed(good, site)
    recorder = computed([good[0], *bad, good[1]], site)
    assert results(recorder.records) == results(expected.records)
    failed = recorder.records[bad[0].point]
    assert (failed.status, failed.reason) == ("failed", "error")
    assert "learning_rate" in failed.message
    assert not list(site.checkpoints.iterdir())


def test_a_chip_file_that_changed_fails_its_points_alone(points, site, tmp_path, ttfsrun):
    code, *_ = ttfsrun(
        "chip",
        "data.samples={train:110,valid:40,test:50}",
        "network.hidden=[20]",
        "substrate.v_th.chip_std=0.1",
        "--out",
        tmp_path / "chip",
    )
    assert code == 0
    file = tmp_path / "chip" / "chip.safetensors"
    other = tmp_path / "other.safetensors"
    shutil.copy(file, other)
    on_file = points("seed.init=1,2", "substrate.v_th.chip_std=0.1", f"substrate.chip.file={file}")
    elsewhere = points("seed.init=3", "substrate.v_th.chip_std=0.1", f"substrate.chip.file={other}")
    file.write_bytes(file.read_bytes()[:-4] + b"\0\0\0\0")
    recorder = computed([*on_file, *elsewhere], site)
    assert recorder.records[elsewhere[0].point].status == "done"
    for point in on_file:
        assert recorder.records[point.point].reason == "error"
        assert f"{file} has changed" in recorder.records[point.point].message


def test_a_chip_file_that_is_lost_before_the_evaluation_fails_its_points_alone(
    points, site, tmp_path, ttfsrun, monkeypatch
):
    sizes = ("data.samples={train:110,valid:40,test:50}", "network.hidden=[20]", "substrate.v_th.chip_std=0.1")
    code, *_ = ttfsrun("chip", *sizes, "--out", tmp_path / "chip")
    assert code == 0
    file = tmp_path / "chip" / "chip.safetensors"
    words = ("protocol=clean_to_perturbed", "substrate.v_th.chip_std=0.1")
    drawn = points(*words, "seed.init=range(3)")
    on_file = points(*words, "seed.init=1,3", f"substrate.chip.file={file}")
    expected = computed(drawn, site)

    def lose_file(*args):
        fit.fit(*args)
        file.unlink()

    monkeypatch.setattr(execute, "fit", lose_file)
    recorder = computed([drawn[0], on_file[0], *drawn[1:], on_file[1]], site)
    assert len(recorder.records) == 5
    assert results(recorder.records) == results(expected.records)
    for point in on_file:
        assert recorder.records[point.point].reason == "error"
        assert f"{file}: does not exist" in recorder.records[point.point].message


def test_what_fails_a_whole_population_is_found_out_in_smaller_ones(points, site, monkeypatch):
    grid = points("seed.init=range(5)")
    culprit = grid[3]
    train = execute.Trainer

    def trainer(configs, *args):
        if any(config.seed.init == 3 for config in configs):
            raise MemoryError("can't allocate memory: you tried to allocate 10 TB")
        return train(configs, *args)

    monkeypatch.setattr(execute, "Trainer", trainer)
    recorder = computed(grid, site)
    assert {name for name, record in recorder.records.items() if record.status == "failed"} == {culprit.point}
    failed = recorder.records[culprit.point]
    assert failed.reason == "out of memory"
    assert "raise MemoryError" in failed.traceback


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """As if there were a GPU with room for two networks; returns the sizes of the populations that were tried."""
    train, tried = execute.Trainer, []

    def trainer(configs, train_samples, valid, state, device):
        assert device == "cuda"
        tried.append(len(configs))
        if len(configs) > 2:
            raise torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has no more")
        return train(configs, train_samples, valid, state)

    monkeypatch.setattr(execute, "Trainer", trainer)
    monkeypatch.setattr(execute, "gpu_works", lambda: True)
    return tried


def test_a_population_that_does_not_fit_on_a_gpu_is_trained_in_halves(points, site, gpu, monkeypatch):
    emptied = []
    monkeypatch.setattr(torch.cuda, "empty_cache", lambda: emptied.append(len(gpu)))
    grid = points("seed.init=range(5)")
    records = computed(grid, replace(site, device="NVIDIA H100")).records
    assert gpu == [5, 2, 3, 1, 2]
    assert emptied == [1, 3], "before smaller populations are tried"
    assert [records[point.point].status for point in grid] == ["done"] * 5
    assert {record.execution.device for record in records.values()} == {"NVIDIA H100"}


def test_an_evaluation_that_does_not_fit_on_a_gpu_is_divided_too(points, site, monkeypatch):
    evaluate, tried = execute.evaluate, []

    def evaluated(networks, *args):
        tried.append(len(networks))
        if len(networks) > 1:
            raise torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has no more")
        return evaluate(networks, *args)

    grid = points("seed.init=range(3)")
    expected = computed(grid, site)
    emptied = []
    monkeypatch.setattr(torch.cuda, "empty_cache", lambda: emptied.append(len(tried)))
    monkeypatch.setattr(execute, "evaluate", evaluated)
    assert results(computed(grid, site).records) == results(expected.records)
    assert (tried, emptied) == ([3, 1, 2, 1, 1], [1, 3])


def test_a_network_that_does_not_fit_on_a_gpu_fails_with_one_clear_line(points, site, monkeypatch):
    def trainer(configs, *args):
        raise torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has no more")

    monkeypatch.setattr(execute, "Trainer", trainer)
    monkeypatch.setattr(execute, "gpu_works", lambda: True)
    (point,) = points("seed.init=1")
    failed = computed([point], replace(site, device="NVIDIA H100")).records[point.point]
    assert (failed.reason, failed.traceback) == ("out of memory", None)
    assert failed.message == ("the GPU ran out of memory with one network: set cluster.device=cpu (CUDA out of memory)")


def test_a_process_whose_gpu_is_lost_ends_and_fails_no_point(points, site, gpu, monkeypatch):
    monkeypatch.setattr(execute, "gpu_works", lambda: False)
    recorder = Recorder()
    with pytest.raises(RunFailed, match="out of memory with 3 networks"):
        execute.execute(points("seed.init=range(3)"), replace(site, device="NVIDIA H100"), recorder)
    assert not recorder.records


def test_a_stopped_population_goes_on_from_its_checkpoint_in_parts(points, site, monkeypatch):
    monkeypatch.setattr(fit, "CHECKPOINT_SECONDS", 0.0)
    grid = points("seed.init=range(4)", "training.epochs=6")
    expected = computed(grid, site)
    recorder = Recorder(at=4)
    with pytest.raises(KeyboardInterrupt):
        execute.execute(grid, site, recorder)
    (members,) = checkpoints.list_checkpoints(site.checkpoints).values()
    assert list(members) == [point.training for point in grid]
    first, second = Recorder(), Recorder()
    execute.execute(grid[2:], site, first)
    execute.execute(grid[:2], site, second)
    assert first.epochs == second.epochs == 6 - 4
    assert results(first.records) | results(second.records) == results(expected.records)
    assert first.curves[grid[2].point] == expected.curves[grid[2].point]


def test_a_checkpoint_of_other_code_is_not_gone_on_with(points, site, monkeypatch):
    monkeypatch.setattr(fit, "CHECKPOINT_SECONDS", 0.0)
    grid = points("seed.init=1", "training.epochs=5")
    with pytest.raises(KeyboardInterrupt):
        execute.execute(grid, site, Recorder(at=3))
    recorder = Recorder()
    execute.execute(grid, replace(site, package="other code"), recorder)
    assert recorder.epochs == 5


def test_a_checkpoint_of_other_data_is_not_gone_on_with(points, site, monkeypatch):
    monkeypatch.setattr(fit, "CHECKPOINT_SECONDS", 0.0)
    grid = points("seed.init=1", "training.epochs=5")
    with pytest.raises(KeyboardInterrupt):
        execute.execute(grid, site, Recorder(at=3))
    samples, origin = load_samples(compose([]).data)
    other = DataOrigin(source=origin.source | {"train_seed": "7"})
    monkeypatch.setattr(execute, "_load_samples", lambda settings, originals: (samples, other))
    recorder = Recorder()
    execute.execute(grid, site, recorder)
    assert recorder.epochs == 5


def test_what_the_listener_cannot_do_is_no_fault_of_the_points(points, site):
    class Full(Recorder):
        def finished(self, record: Record, curves: Curves | None) -> None:
            super().finished(record, curves)
            raise CannotSave("no space")

    recorder = Full()
    with pytest.raises(CannotSave):
        execute.execute(points("seed.init=range(4)"), site, recorder)
    assert len(recorder.records) == 1


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        OSError(errno.ENOMEM, os.strerror(errno.ENOMEM)),
        RuntimeError("[enforce fail at alloc_cpu.cpp:75] DefaultCPUAllocator: can't allocate memory"),
        RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB"),
        ImportError("libtorch_cpu.so: failed to map segment: Cannot allocate memory"),
    ],
)
def test_a_lack_of_memory_is_recognised_whoever_reports_it(error: Exception) -> None:
    assert execute.failure_of(error).reason == "out of memory"


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (
            OSError(errno.ENOSPC, "No space left on device", "d/file"),
            "d/file: No space left on device; free space there",
        ),
        (CannotWrite("d/file: cannot be written (Read-only file system)"), "d/file: cannot be written (Read-only file"),
    ],
    ids=repr,
)
def test_an_error_of_the_system_is_in_the_record_with_its_path(points, site, monkeypatch, error, message):
    def fail(settings, originals):
        raise error

    monkeypatch.setattr(execute, "_load_samples", fail)
    recorder = Recorder()
    grid = points("seed.init=1,2")
    execute.execute(grid, site, recorder)
    assert len(recorder.records) == len(grid)
    for record in recorder.records.values():
        assert (record.status, record.reason, record.traceback) == ("failed", "error", None)
        assert record.message.startswith(message)
