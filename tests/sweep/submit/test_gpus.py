"""Sweeps on the GPUs of this machine, as far as a machine without one can show it."""

from __future__ import annotations

import pytest
import torch

from ttfsrun.results.sweep_folder import SweepFolder
from ttfsrun.run.devices import Gpu, Seen, ask_torch
from ttfsrun.sweep.submit import launch
from ttfsrun.sweep.worker import execute, gpus

NONE = Seen([], "torch 2 sees no GPU")
ONE = Seen([Gpu("NVIDIA H100", 80 * 10**9, "0")], "")


def devices_and_results(folder: SweepFolder) -> tuple[set[str], dict[str, object]]:
    records = folder.latest()
    return {record.execution.device for record in records.values()}, {p: r.result for p, r in records.items()}


def test_a_gpu_that_is_missing_is_told_before_anything_is_written(sweep, folder, monkeypatch):
    monkeypatch.setattr(gpus, "_ask", lambda: NONE)
    code, _, messages = sweep("seed.init=1,2", "cluster.device=cuda")
    assert code == 2
    assert "cluster.device=cuda: torch 2 sees no GPU; nvidia-smi" in messages
    assert not folder.path.exists()


def test_a_sweep_on_cores_does_not_ask_for_gpus(sweep, monkeypatch):
    monkeypatch.setattr(gpus, "_ask", lambda: pytest.fail("asked"))
    assert sweep("seed.init=1,2", "--dry-run")[0] == 0


def test_a_sweep_on_any_device_has_the_same_results_and_names_its_device(sweep, folder, monkeypatch):
    train = execute.Trainer
    monkeypatch.setattr(gpus, "_ask", lambda: NONE)
    assert sweep("seed.init=1,2", "cluster.device=auto", out="on_cores")[0] == 0
    monkeypatch.setattr(gpus, "_ask", lambda: ONE)
    monkeypatch.setattr(execute, "Trainer", lambda *args: train(*args[:4], device={"cuda": "cpu"}[args[4]]))
    code, _, messages = sweep("seed.init=1,2", "cluster.device=auto")
    assert code == 0, messages
    on_cores = devices_and_results(SweepFolder(folder.path.with_name("on_cores")))
    assert devices_and_results(folder) == ({"NVIDIA H100"}, on_cores[1])
    assert on_cores[0] == {"cpu"}


def test_a_plan_for_gpus_counts_them_and_fills_them(sweep, monkeypatch):
    two = [Gpu("NVIDIA H100", 80 * 10**9, number) for number in "01"]
    monkeypatch.setattr(gpus, "_ask", lambda: Seen(two, ""))
    monkeypatch.setattr(launch, "estimate_costs", lambda *_: pytest.fail("measured on cores"))
    words = ("cluster=local", "cluster.threads=null", "cluster.device=cuda", "--dry-run")
    _, _, messages = sweep("seed.init=range(1500)", *words)
    assert "1500 trainings in 2 populations on 2 GPUs: about" in messages
    assert "GPU-hours" in messages
    assert "the plan takes stated speeds" in messages, "torch sees no such GPU here"
    _, _, messages = sweep("seed.init=range(1500)", "cluster.processes=1", *words)
    assert "1500 trainings in 2 populations on 1 GPU: about" in messages


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="torch sees no GPU")
def test_a_sweep_on_cores_and_gpus_gathers_to_the_bare_table_of_one_on_cores(sweep, folder, ttfsrun):
    words = ("seed.init=range(4)", "substrate=brainscales2", "network.input_repeats=2", "cluster=local", "--yes")
    cores = folder.path.with_name("on_cores")
    assert sweep(*words, out=cores.name)[0] == 0
    assert sweep(*words, "--limit", 2)[0] == 4
    assert sweep(*words, "cluster.device=cuda")[0] == 0
    devices, _ = devices_and_results(folder)
    assert len(devices - {"cpu"}) == 1
    assert len(devices) == 2
    for path in (folder.path, cores):
        assert ttfsrun("gather", path, "--bare")[0] == 0
    assert folder.table.read_bytes() == SweepFolder(cores).table.read_bytes()


def test_torch_is_asked_for_gpus_in_another_process():
    assert gpus.gpus_for("auto") == ask_torch().gpus
