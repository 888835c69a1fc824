"""Points in, run folders out: the files of a run, and what they hold."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import msgspec
import numpy as np
import pandas as pd
import pytest
import torch
import yaml
from runs import SPLITS, Command, read_curves, read_files, read_metrics
from safetensors.torch import load_file

from ttfsrun.config.compose import compose, conf_dir
from ttfsrun.config.ids import point_id
from ttfsrun.config.schema import Config
from ttfsrun.run.folder import FIGURES


def test_a_run_leaves_its_configuration_numbers_weights_and_pictures(
    ttfsrun: Command, tiny_overrides: tuple[str, ...], tmp_path: Path
) -> None:
    code, output, messages = ttfsrun("train", *tiny_overrides, "seed.init=5", "--out", tmp_path / "run")
    assert (code, messages) == (0, "")
    metrics = read_metrics(tmp_path / "run")
    assert output.splitlines() == [
        f"test {metrics['test']['accuracy']:.2%}  valid {metrics['valid']['accuracy']:.2%}",
        f"results: {tmp_path / 'run'}",
    ]
    files = read_files(tmp_path / "run")
    names = {"config.yaml", "inputs.json", "metrics.json", "curves.csv", "network.safetensors"}
    figures = set(FIGURES) - {"augmentation", "chip", "conditions", "delays"}
    assert names | {f"figures/{name}.png" for name in figures} <= files.keys()
    assert all(name in names or Path(name).stem in figures for name in files)
    assert all(files.values())

    # Written over, it holds what a new run would: nothing of the old one stays that no new one replaces.
    code, _, _ = ttfsrun("train", *tiny_overrides, "seed.init=1,2", "--out", tmp_path / "run", "--overwrite")
    assert code == 0
    files_of_each = {f"seed.init={seed}/{name}" for seed in (1, 2) for name in files}
    assert read_files(tmp_path / "run").keys() == files_of_each | {"table.csv"}


def test_a_run_under_several_conditions_has_them_as_a_table_and_side_by_side(
    ttfsrun: Command, tiny_overrides: tuple[str, ...], tmp_path: Path
) -> None:
    chip = ("substrate=brainscales2", "evaluation.chips=[7,8]", "training.epochs=1")
    words = ("evaluation.conditions={simulation:{evaluation.perturbed:false}}", "--out", tmp_path / "run")
    code, _, messages = ttfsrun("train", *tiny_overrides, *chip, *words)
    assert (code, messages) == (0, "")
    figures = {path.stem for path in (tmp_path / "run" / "figures").glob("*.png")}
    assert figures == set(FIGURES) - {"augmentation", "delays"}
    shown = pd.read_csv(tmp_path / "run" / "figures" / "conditions.csv", keep_default_na=False)
    titles = ["own (chip=0)", "own, other chips (chip=7)", "simulation (unperturbed)"]
    assert shown["condition"].unique().tolist() == titles
    right = shown[shown["true"] == shown["decided"]].groupby("condition")["samples"].sum() / 50
    table = pd.read_csv(tmp_path / "run" / "conditions.csv").drop_duplicates("condition")
    assert right[titles].tolist() == table["test_accuracy"].tolist()

    # Written over by a run without conditions, nothing of them stays.
    code, _, _ = ttfsrun("train", *tiny_overrides, "--out", tmp_path / "run", "--overwrite")
    assert code == 0
    assert not any("conditions" in name for name in read_files(tmp_path / "run"))


def test_the_metrics_hold_what_a_comparison_needs(trained: Callable[..., Path], tmp_path: Path) -> None:
    metrics = read_metrics(trained(tmp_path / "run"))
    for split, samples in zip(SPLITS, (110, 40, 50), strict=True):
        values = metrics[split]
        assert values["samples"] == samples
        assert 0 <= values["accuracy"] <= 1
        assert values["loss"] > 0
        assert len(values["silent_fraction"]) == len(values["spikes_per_sample"]) == 2
        expected = [neurons * (1 - share) for neurons, share in zip((20, 3), values["silent_fraction"], strict=True)]
        assert values["spikes_per_sample"] == pytest.approx(expected)
        time = values["decision_time"]
        assert 0.15 < time["median"] <= time["p95"]
        assert np.sum(values["confusion"]) == samples
        assert np.trace(values["confusion"]) == round(values["accuracy"] * samples)
    assert 0 < metrics["seconds"] < 60
    assert metrics["population"] == 1
    assert metrics["device"] == "cpu"
    assert metrics["data"]["dataset"] == "yin-yang"
    assert {"ttfsrun", "python", "torch", "numba", "numpy", "processor"} <= metrics["made_by"].keys()
    release = metrics["made_by"]["torch"].partition("+")[0]  # what was installed need not name its build
    assert release == torch.__version__.partition("+")[0]
    assert {"git_sha", "git_dirty"} <= metrics["made_by"].keys()


def test_the_configuration_is_stored_whole_and_named_by_its_id(
    trained: Callable[..., Path], tiny_overrides: tuple[str, ...], tmp_path: Path
) -> None:
    run = trained(tmp_path / "run", "seed.init=7")
    stored = msgspec.convert(yaml.safe_load((run / "config.yaml").read_text()), Config)
    assert stored == compose([*tiny_overrides, "seed.init=7"])
    assert read_metrics(run)["id"] == point_id(stored)


def test_the_curves_are_tidy(trained: Callable[..., Path], tmp_path: Path) -> None:
    run = trained(tmp_path / "run")
    curves = read_curves(run)
    assert curves.columns.tolist() == ["epoch", "split", "metric", "value"]
    assert not curves.isna().any().any()
    assert not curves.duplicated(["epoch", "split", "metric"]).any()
    metrics = ["loss", "accuracy", "silent_fraction_1", "silent_fraction_2"]
    assert len(curves) == 3 * 2 * len(metrics)
    wide = curves.pivot(index="epoch", columns=["split", "metric"], values="value")
    assert wide.index.tolist() == [1, 2, 3]
    assert set(wide.columns) == {(split, metric) for split in ("train", "valid") for metric in metrics}
    best = read_metrics(run)
    assert wide.loc[best["epoch"], ("valid", "loss")] == best["valid"]["loss"]  # to the last digit


def test_both_the_best_and_the_last_network_are_stored(trained: Callable[..., Path], tmp_path: Path) -> None:
    weights = load_file(trained(tmp_path / "run") / "network.safetensors")
    shapes = {name: tuple(weight.shape) for name, weight in weights.items()}
    assert shapes == {f"{v}.layer_{i}": shape for v in ("best", "last") for i, shape in ((1, (5, 20)), (2, (21, 3)))}


def test_several_seeds_get_a_folder_each_and_a_table(
    ttfsrun: Command, trained: Callable[..., Path], tiny_overrides: tuple[str, ...], tmp_path: Path
) -> None:
    out = tmp_path / "runs"
    code, output, messages = ttfsrun("train", *tiny_overrides, "seed.init=2,10,1", "--out", out)
    assert (code, messages) == (0, "")
    names = ["seed.init=2", "seed.init=10", "seed.init=1"]
    table = pd.read_csv(out / "table.csv")
    assert table["run"].tolist() == names
    for _, row in table.iterrows():
        metrics = read_metrics(out / row["run"])
        assert [metrics[split]["accuracy"] for split in SPLITS] == [row[f"{split}_accuracy"] for split in SPLITS]
        assert metrics["population"] == 3
    accuracy = 100 * table["test_accuracy"]
    assert f"test {accuracy.mean():.2f} +- {accuracy.std(ddof=1):.2f} % (mean, std of 3 networks)" in output
    assert not (out / "checkpoint.safetensors").exists()

    # Each is what it would be alone, to the last bit.
    alone = trained(tmp_path / "alone", "seed.init=10")
    for name in ("network.safetensors", "curves.csv", "config.yaml"):
        assert (alone / name).read_bytes() == (out / "seed.init=10" / name).read_bytes()
    one, among = read_metrics(alone), read_metrics(out / "seed.init=10")
    assert {key for key in one if one[key] != among[key]} <= {"seconds", "population", "made_by"}


def test_without_a_name_the_folder_is_a_new_one_in_results(
    ttfsrun: Command, tiny_overrides: tuple[str, ...], no_figures: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    code, output, _ = ttfsrun("train", *tiny_overrides)
    assert code == 0
    (folder,) = (tmp_path / "results" / "runs").iterdir()
    assert output.splitlines()[-1] == f"results: {folder.relative_to(tmp_path)}"
    assert folder.name.endswith(f"-yin_yang-{point_id(compose(tiny_overrides))}")


def test_the_commit_is_that_of_the_checkout(trained: Callable[..., Path], tmp_path: Path) -> None:
    root = conf_dir().parent
    if not (root / ".git").exists():
        pytest.skip("the package is not in a git checkout")
    head = subprocess.run(["git", "rev-parse", "HEAD"], cwd=root, capture_output=True, text=True, check=True)
    assert read_metrics(trained(tmp_path / "run"))["made_by"]["git_sha"] == head.stdout.strip()
