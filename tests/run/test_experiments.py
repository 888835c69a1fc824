"""Each experiment of the configuration trains."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
from runs import SPLITS, Command, read_metrics

from ttfsrun.config.compose import compose, conf_dir
from ttfsrun.config.schema import Mnist
from ttfsrun.data import mnist
from ttfsrun.data import samples as data_samples
from ttfsrun.data.dataset import DataError, Dataset, Split
from ttfsrun.network import build
from ttfsrun.training import checkpoint

EXPERIMENTS = sorted(path.stem for path in (conf_dir() / "experiment").glob("*.yaml"))


def first_samples(dataset: Dataset, n: int) -> Dataset:
    parts = {name: getattr(dataset, name) for name in SPLITS}
    splits = {name: Split(part.values[:n], part.labels[:n]) for name, part in parts.items()}
    whole = dataset.originals
    return Dataset(**splits, source=dataset.source, originals=None if whole is None else lambda: whole()[:n])


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_every_experiment_trains(
    name: str, ttfsrun: Command, no_figures: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    load = data_samples.load_dataset
    monkeypatch.setattr(mnist.download, "MIRRORS", ())
    config = compose([f"experiment={name}"])
    if isinstance(config.data, Mnist):
        try:
            whole = mnist.read_mnist(mnist.folders.of_mnist(config.data.folder), config.data.size, mirrors=())
        except DataError as error:
            pytest.skip(f"MNIST is not here, and tests download nothing: {error}")
        load = lambda settings: whole  # noqa: E731
    monkeypatch.setattr(data_samples, "load_dataset", lambda settings: first_samples(load(settings), 1000))
    run = tmp_path / "run"
    code, _, messages = ttfsrun("train", f"experiment={name}", "training.epochs=1", "--out", run)
    assert (code, messages) == (0, "")
    metrics = read_metrics(run)
    trained = checkpoint.load_network(run / "network.safetensors", "last")
    for stored, initial in zip(trained.tensors, build([config]).learned.tensors, strict=True):
        assert not torch.equal(stored, initial)
    assert metrics["test"]["decision_time"]["mean"] > 0
    assert all(math.isfinite(metrics[split]["loss"]) for split in SPLITS)
