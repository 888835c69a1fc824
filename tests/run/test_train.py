"""Points in, run folders out: what lies in a folder, what is refused, and that evaluating it again agrees."""

from __future__ import annotations

import json
import math
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pandas as pd
import pytest
import torch
import yaml
from safetensors.torch import load_file, save_file

from ttfsrun.config.compose import compose, conf_dir
from ttfsrun.config.ids import point_id
from ttfsrun.config.schema import Config, Mnist
from ttfsrun.data import mnist
from ttfsrun.data import samples as data_samples
from ttfsrun.data.dataset import DataError, Dataset, Split
from ttfsrun.files import sha256
from ttfsrun.network import build
from ttfsrun.run.folder import FIGURES
from ttfsrun.training import checkpoint, trainer

EXPERIMENTS = sorted(path.stem for path in (conf_dir() / "experiment").glob("*.yaml"))
SPLITS = ("train", "valid", "test")

Command = Callable[..., tuple[int, str, str]]


@pytest.fixture
def trained(ttfsrun: Command, tiny_overrides: tuple[str, ...], no_figures: None) -> Callable[..., Path]:
    """Trains into a folder, without figures."""

    def train(folder: Path, *words: str) -> Path:
        code, _, messages = ttfsrun("train", *tiny_overrides, "--out", folder, *words)
        assert (code, messages) == (0, "")
        return folder

    return train


def tree(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def read(folder: Path) -> dict[str, Any]:
    metrics: dict[str, Any] = json.loads((folder / "metrics.json").read_text())
    return metrics


def curves_of(folder: Path) -> pd.DataFrame:
    """The learning curves, to the last digit: not every pandas reads numbers exactly."""
    return pd.read_csv(folder / "curves.csv", dtype={"value": str}).astype({"value": float})


def refused(result: tuple[int, str, str], mistakes: int = 1, left_with: int = 2) -> str:
    """What is said of a request that cannot be met: one line, or one of each mistake below a heading."""
    code, output, messages = result
    assert (code, output) == (left_with, "")
    assert len(messages.splitlines()) == mistakes + (mistakes > 1)
    assert messages.startswith("ttfsrun: ")
    return messages


# The folder of a run


def test_a_run_leaves_its_configuration_numbers_weights_and_pictures(
    ttfsrun: Command, tiny_overrides: tuple[str, ...], tmp_path: Path
) -> None:
    code, output, messages = ttfsrun("train", *tiny_overrides, "seed.init=5", "--out", tmp_path / "run")
    assert (code, messages) == (0, "")
    metrics = read(tmp_path / "run")
    assert output.splitlines() == [
        f"test {metrics['test']['accuracy']:.2%}  valid {metrics['valid']['accuracy']:.2%}",
        f"results: {tmp_path / 'run'}",
    ]
    files = tree(tmp_path / "run")
    names = {"config.yaml", "metrics.json", "curves.csv", "network.safetensors"}
    figures = set(FIGURES) - {"chip", "conditions"}
    assert names | {f"figures/{name}.png" for name in figures} <= files.keys()
    assert all(name in names or Path(name).stem in figures for name in files)
    assert all(files.values())

    # Written over, it holds what a new run would: nothing of the old one stays that no new one replaces.
    code, _, _ = ttfsrun("train", *tiny_overrides, "seed.init=1,2", "--out", tmp_path / "run", "--overwrite")
    assert code == 0
    each = {f"seed.init={seed}/{name}" for seed in (1, 2) for name in files}
    assert tree(tmp_path / "run").keys() == each | {"table.csv"}


def test_a_run_under_several_conditions_has_them_as_a_table_and_side_by_side(
    ttfsrun: Command, tiny_overrides: tuple[str, ...], tmp_path: Path
) -> None:
    chip = ("substrate=brainscales2", "evaluation.chips=[7,8]", "training.epochs=1")
    words = ("evaluation.conditions={simulation:{evaluation.perturbed:false}}", "--out", tmp_path / "run")
    code, _, messages = ttfsrun("train", *tiny_overrides, *chip, *words)
    assert (code, messages) == (0, "")
    pictures = {path.stem for path in (tmp_path / "run" / "figures").glob("*.png")}
    assert pictures == set(FIGURES)
    shown = pd.read_csv(tmp_path / "run" / "figures" / "conditions.csv", keep_default_na=False)
    titles = ["own (chip=0)", "own, other chips (chip=7)", "simulation (unperturbed)"]
    assert shown["condition"].unique().tolist() == titles
    right = shown[shown["true"] == shown["decided"]].groupby("condition")["samples"].sum() / 50
    table = pd.read_csv(tmp_path / "run" / "conditions.csv").drop_duplicates("condition")
    assert right[titles].tolist() == table["test_accuracy"].tolist()

    # Written over by a run without conditions, nothing of them stays.
    code, _, _ = ttfsrun("train", *tiny_overrides, "--out", tmp_path / "run", "--overwrite")
    assert code == 0
    assert not any("conditions" in name for name in tree(tmp_path / "run"))


def test_the_metrics_hold_what_a_comparison_needs(trained: Callable[..., Path], tmp_path: Path) -> None:
    metrics = read(trained(tmp_path / "run"))
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
    assert metrics["data"]["dataset"] == "yin-yang"
    assert {"ttfsrun", "python", "torch", "numba", "numpy", "processor"} <= metrics["made_by"].keys()
    assert metrics["made_by"]["torch"] == torch.__version__
    assert {"git_sha", "git_dirty"} <= metrics["made_by"].keys()


def test_the_configuration_is_stored_whole_and_named_by_its_id(
    trained: Callable[..., Path], tiny_overrides: tuple[str, ...], tmp_path: Path
) -> None:
    run = trained(tmp_path / "run", "seed.init=7")
    stored = msgspec.convert(yaml.safe_load((run / "config.yaml").read_text()), Config)
    assert stored == compose([*tiny_overrides, "seed.init=7"])
    assert read(run)["id"] == point_id(stored)


def test_the_curves_are_tidy(trained: Callable[..., Path], tmp_path: Path) -> None:
    run = trained(tmp_path / "run")
    curves = curves_of(run)
    assert curves.columns.tolist() == ["epoch", "split", "metric", "value"]
    assert not curves.isna().any().any()
    assert not curves.duplicated(["epoch", "split", "metric"]).any()
    metrics = ["loss", "accuracy", "silent_fraction_1", "silent_fraction_2"]
    assert len(curves) == 3 * 2 * len(metrics)
    wide = curves.pivot(index="epoch", columns=["split", "metric"], values="value")
    assert wide.index.tolist() == [1, 2, 3]
    assert set(wide.columns) == {(split, metric) for split in ("train", "valid") for metric in metrics}
    best = read(run)
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
        metrics = read(out / row["run"])
        assert [metrics[split]["accuracy"] for split in SPLITS] == [row[f"{split}_accuracy"] for split in SPLITS]
        assert metrics["population"] == 3
    accuracy = 100 * table["test_accuracy"]
    assert f"test {accuracy.mean():.2f} +- {accuracy.std(ddof=1):.2f} % (mean, std of 3 networks)" in output
    assert not (out / "checkpoint.safetensors").exists()

    # Each is what it would be alone, to the last bit.
    alone = trained(tmp_path / "alone", "seed.init=10")
    for name in ("network.safetensors", "curves.csv", "config.yaml"):
        assert (alone / name).read_bytes() == (out / "seed.init=10" / name).read_bytes()
    one, among = read(alone), read(out / "seed.init=10")
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


# What is refused


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["network.hidden=[10],[20]"], "network.hidden=[20] (network.hidden=[20]): the networks of one tr"),
        (["training/loss=cross_entropy,squared_error"], "training.loss.name=squared_error (training/loss=squared_"),
        (["network.bias_time=null,0.9"], "network.bias_time=0.9 "),
        (["training.epochs=1,2"], "training.epochs=2 "),
        (["seed.init=1,1"], "2 points, but some are the same"),
        (["seed.init=1,1", "training.optimizer.learning_rate=0.1,0.2"], "4 points, but some are the same"),
    ],
    ids=str,
)  # fmt: skip
def test_points_that_cannot_be_trained_together_are_told_before_anything_is_written(
    words: list[str], line: str, ttfsrun: Command, tiny_overrides: tuple[str, ...], tmp_path: Path
) -> None:
    told = refused(ttfsrun("train", *tiny_overrides, *words, "--out", tmp_path / "runs"))
    assert told.startswith(f"ttfsrun: {line}")
    assert not (tmp_path / "runs").exists()


def test_a_folder_that_is_not_empty_is_left_alone(
    ttfsrun: Command, trained: Callable[..., Path], tiny_overrides: tuple[str, ...], tmp_path: Path
) -> None:
    trained(tmp_path / "run")
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "notes.txt").write_text("mine")
    for name in ("run", "other"):
        before = tree(tmp_path / name)
        told = refused(ttfsrun("train", *tiny_overrides, "seed.init=3", "--out", tmp_path / name))
        assert all(way_out in told for way_out in ("is not empty", "--out", "--resume", "--overwrite"))
        assert tree(tmp_path / name) == before


def test_overwriting_replaces_the_files_of_a_run_and_no_others(trained: Callable[..., Path], tmp_path: Path) -> None:
    run = trained(tmp_path / "run", "seed.init=1,2")
    theirs = {"notes.txt": b"mine", "seed.init=1/notes.txt": b"mine", "seed.init=1/figures/mine.png": b"a picture"}
    for name, content in theirs.items():
        (run / name).parent.mkdir(exist_ok=True)
        (run / name).write_bytes(content)
    (run / "checkpoint.safetensors").write_bytes(b"left over")
    trained(run, "seed.init=5", "--overwrite")
    fresh = trained(tmp_path / "fresh", "seed.init=5")
    after = tree(run)
    assert {name: after.pop(name) for name in theirs} == theirs
    assert after.keys() == tree(fresh).keys()
    assert after["network.safetensors"] == tree(fresh)["network.safetensors"]


def test_overwriting_refuses_what_never_was_a_run(
    ttfsrun: Command, tiny_overrides: tuple[str, ...], tmp_path: Path
) -> None:
    # A checkout has conf/config.yaml; other programs call their settings so too.
    for name, content in {"conf/config.yaml": "defaults: []\nseed: {init: 0}\n", "data/notes.txt": "mine"}.items():
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).write_text(content)
    for folder, line in ((tmp_path, "is not of a run"), (tmp_path / "data", "is not the folder of a run")):
        before = tree(tmp_path)
        assert line in refused(ttfsrun("train", *tiny_overrides, "--out", folder, "--overwrite"))
        assert tree(tmp_path) == before


def test_a_file_in_the_way_is_one_line(ttfsrun: Command, tiny_overrides: tuple[str, ...], tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    assert "is a file" in refused(ttfsrun("train", *tiny_overrides, "--out", tmp_path / "file"))
    said = refused(ttfsrun("train", *tiny_overrides, "--out", tmp_path / "file" / "run"), left_with=1)
    assert "cannot be written (Not a directory); name another folder with --out" in said


def test_a_loss_that_overflows_fails_and_keeps_the_last_whole_epoch(
    ttfsrun: Command, tiny_overrides: tuple[str, ...], tmp_path: Path
) -> None:
    run = tmp_path / "run"
    code, output, messages = ttfsrun("train", *tiny_overrides, "training.loss.beta=0.001", "--out", run)
    assert (code, output) == (1, "")
    assert "ttfsrun: the loss is inf in epoch 1, batch 1 (network with seed.init=0)" in messages
    state, members = checkpoint.load_state(run / "checkpoint.safetensors")
    assert (state.epoch, list(members)) == (0, [""])
    assert all(bool(weight.isfinite().all()) for weight in state.weights)
    assert not (run / "metrics.json").exists()


# Going on


@pytest.mark.parametrize("words", [(), ("seed.init=2,10,1", "training.input_noise=0.1")], ids=["one", "several"])
def test_an_interrupted_run_ends_like_one_that_was_not(
    words: tuple[str, ...],
    ttfsrun: Command,
    trained: Callable[..., Path],
    tiny_overrides: tuple[str, ...],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    whole = trained(tmp_path / "whole", *words)
    run = tmp_path / "a run"
    batches = []

    step = trainer.Trainer._step

    def interrupted(self: trainer.Trainer, *args: Any) -> Any:
        batches.append(args[-1])
        if len(batches) == 8:  # five are an epoch
            raise KeyboardInterrupt
        return step(self, *args)

    with monkeypatch.context() as patch:
        patch.setattr(trainer.Trainer, "_step", interrupted)
        code, output, messages = ttfsrun("train", *tiny_overrides, *words, "--out", run)
    assert (code, output) == (130, "")
    assert messages.splitlines() == [
        f"stopped after epoch 1; resume with: ttfsrun train --resume '{run}'",
        "ttfsrun: interrupted",
    ]
    code, _, messages = ttfsrun("train", "--resume", run)
    assert (code, messages) == (0, "")
    assert_same_run(run, whole)


def assert_same_run(run: Path, other: Path) -> None:
    """All is the same to the last bit, but for the time that it took and the source that it was made by."""
    one, two = tree(run), tree(other)
    assert one.keys() == two.keys()
    for name in one:
        if name.endswith("metrics.json"):
            assert what_counts(one[name]) == what_counts(two[name])
        else:
            assert one[name] == two[name], name


def what_counts(content: bytes) -> Mapping[str, Any]:
    metrics: dict[str, Any] = json.loads(content)
    assert metrics.pop("seconds") > 0
    assert metrics.pop("made_by")  # the checkout may change while this runs
    return metrics


@pytest.mark.parametrize("substrate", ["ideal", "brainscales2"])  # the latter clips some of the initial weights
def test_a_run_that_was_killed_before_its_first_checkpoint_starts_again(
    ttfsrun: Command, trained: Callable[..., Path], tmp_path: Path, substrate: str
) -> None:
    whole = trained(tmp_path / "whole", "seed.init=1,2", f"substrate={substrate}")
    for name in ("seed.init=1", "seed.init=2"):
        (tmp_path / "run" / name).mkdir(parents=True)
        (tmp_path / "run" / name / "config.yaml").write_bytes((whole / name / "config.yaml").read_bytes())
    assert ttfsrun("train", "--resume", tmp_path / "run")[0] == 0
    assert_same_run(tmp_path / "run", whole)


def test_a_run_that_was_killed_while_it_wrote_its_results_writes_them_again(
    ttfsrun: Command,
    trained: Callable[..., Path],
    tiny_overrides: tuple[str, ...],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def killed(*args: object) -> None:
        raise KeyboardInterrupt

    whole = trained(tmp_path / "whole", "seed.init=1,2")
    for step in ("RunFolder.write_metrics", "PopulationFolder.write_table"):
        run = tmp_path / step
        with monkeypatch.context() as patch:
            patch.setattr(f"ttfsrun.run.folder.{step}", killed)
            assert ttfsrun("train", *tiny_overrides, "seed.init=1,2", "--out", run)[0] == 130
        assert ttfsrun("train", "--resume", run)[0] == 0
        assert_same_run(run, whole)


def test_there_must_be_something_to_go_on_with(ttfsrun: Command, trained: Callable[..., Path], tmp_path: Path) -> None:
    run = trained(tmp_path / "run")
    before = tree(run)
    assert "is finished: there is nothing to resume" in refused(ttfsrun("train", "--resume", run))
    assert "is not the folder of a run" in refused(ttfsrun("train", "--resume", run / "figures"))
    assert "is not the folder of a run" in refused(ttfsrun("train", "--resume", tmp_path / "nowhere"))
    for more in (["seed.init=3"], ["--out", tmp_path / "x"], ["--overwrite"]):
        assert "--resume continues a run as it is" in refused(ttfsrun("train", "--resume", run, *more))
    assert tree(run) == before


def test_a_checkpoint_that_does_not_fit_its_configuration_is_refused(
    ttfsrun: Command, tiny_overrides: tuple[str, ...], tmp_path: Path
) -> None:
    run = tmp_path / "run"
    assert ttfsrun("train", *tiny_overrides, "training.loss.beta=0.001", "--out", run)[0] == 1
    stored = (run / "config.yaml").read_text()
    for old, new in (("epochs: 3", "epochs: 9"), ("- 20\n", "- 30\n")):
        assert old in stored
        (run / "config.yaml").write_text(stored.replace(old, new, 1))
        assert "has been changed since" in refused(ttfsrun("train", "--resume", run))


# Evaluating again


@pytest.fixture
def run(trained: Callable[..., Path], tmp_path: Path) -> Path:
    """A run whose best network is not its last."""
    folder = trained(tmp_path / "run", "training.epochs=8", "training.optimizer.learning_rate=0.2")
    assert read(folder)["epoch"] < 8
    return folder


def evaluated(ttfsrun: Command, *argv: object) -> list[dict[str, Any]]:
    code, output, messages = ttfsrun("evaluate", *argv, "--json")
    assert (code, messages) == (0, "")
    return [json.loads(line, parse_constant=pytest.fail) for line in output.splitlines()]


def without_speed(metrics: dict[str, Any]) -> dict[str, Any]:
    assert metrics.pop("samples_per_second") > 0
    return metrics


def test_evaluating_a_run_gives_its_metrics_bit_for_bit(ttfsrun: Command, run: Path) -> None:
    before = tree(run)
    (again,) = evaluated(ttfsrun, run)
    stored = read(run)
    for split in SPLITS:
        assert without_speed(again[split]) == stored[split]
    assert {key: again[key] for key in ("id", "network", "data")} == {
        key: stored[key] for key in ("id", "network", "data")
    }
    assert tree(run) == before
    code, text, messages = ttfsrun("evaluate", run)
    assert (code, messages) == (0, "")
    assert f"accuracy {stored['test']['accuracy']:.2%}  loss {stored['test']['loss']:.4f}" in text


def test_the_last_network_can_be_evaluated_instead_of_the_best(ttfsrun: Command, run: Path) -> None:
    (last,) = evaluated(ttfsrun, run, "training.keep=last")
    curves = curves_of(run).set_index(["epoch", "split", "metric"])["value"]
    assert last["network"] == "last"
    assert last["valid"]["loss"] == curves[8, "valid", "loss"]
    assert last["valid"]["accuracy"] == curves[8, "valid", "accuracy"]
    assert last["valid"]["loss"] != read(run)["valid"]["loss"]


def test_a_run_that_keeps_the_last_network_reports_it(trained: Callable[..., Path], tmp_path: Path) -> None:
    words = ("training.epochs=8", "training.optimizer.learning_rate=0.2", "training.keep=last")
    metrics = read(trained(tmp_path / "run", *words))
    assert (metrics["network"], metrics["epoch"]) == ("last", 8)
    last = curves_of(tmp_path / "run").query("epoch == 8 and split == 'valid' and metric == 'loss'")["value"].item()
    assert metrics["valid"]["loss"] == last


def test_other_settings_are_evaluated_and_not_stored(ttfsrun: Command, run: Path) -> None:
    before = tree(run)
    (other,) = evaluated(ttfsrun, run, "network.neuron.v_th=1.2", "data.samples.test=7")
    assert other["test"]["samples"] == 7
    assert other["id"] != read(run)["id"]
    assert other["train"]["decision_time"]["mean"] > read(run)["train"]["decision_time"]["mean"]
    assert tree(run) == before


def test_a_folder_of_several_runs_is_evaluated_one_line_each(
    ttfsrun: Command, trained: Callable[..., Path], tmp_path: Path
) -> None:
    out = trained(tmp_path / "runs", "seed.init=10,2")
    lines = evaluated(ttfsrun, out)
    assert [Path(line["run"]).name for line in lines] == ["seed.init=2", "seed.init=10"]
    for line in lines:
        stored = read(Path(line["run"]))
        assert without_speed(line["test"]) == stored["test"]


def test_a_foreign_or_broken_run_is_one_line(ttfsrun: Command, run: Path, tmp_path: Path) -> None:
    network, config = run / "network.safetensors", run / "config.yaml"
    content, settings = network.read_bytes(), config.read_text()
    for broken in (b"", content[:-1], content[: len(content) // 2], b"no tensors in here"):
        network.write_bytes(broken)
        assert "network.safetensors cannot be read" in refused(ttfsrun("evaluate", run))
    save_file({"weight": torch.zeros(2)}, network)
    assert "holds no network called 'best'" in refused(ttfsrun("evaluate", run))
    save_file({f"best.layer_{i}": torch.zeros(4, 4) for i in (1, 2)}, network)
    assert "the stored weights do not fit" in refused(ttfsrun("evaluate", run))
    network.unlink()
    assert "the run is not finished" in refused(ttfsrun("evaluate", run))
    network.write_bytes(content)
    assert "the stored weights do not fit" in refused(ttfsrun("evaluate", run, "network.hidden=[30]"))
    for text in ("a: [1\n", "3\n", "{}\n", settings.replace("epochs:", "epoch:"), settings.replace("yin_yang", "yang")):
        config.write_text(text)
        refused(ttfsrun("evaluate", run), mistakes=6 if text == "{}\n" else 1)
    config.unlink()
    assert "is not the folder of a run: it has no config.yaml" in refused(ttfsrun("evaluate", run))
    assert "is not the folder of a run" in refused(ttfsrun("evaluate", tmp_path / "nowhere"))


# Chips

ANALOG = (
    "substrate=brainscales2",
    "substrate.tau_mem.chip_cv=0.1",
    "substrate.weight.chip_cv=0.1",
    "substrate.dead_neurons.p=0.1",
    "substrate.stuck_synapses={p_zero:0.05,p_max:0.01}",
)


def test_a_stored_chip_gives_the_same_bits_as_the_seed_that_it_was_drawn_from(
    ttfsrun: Command, trained: Callable[..., Path], tiny_overrides: tuple[str, ...], tmp_path: Path
) -> None:
    code, _, _ = ttfsrun("chip", *tiny_overrides, *ANALOG, "seed.chip=7", "--out", tmp_path / "chip")
    assert code == 0
    stored = tmp_path / "chip" / "chip.safetensors"
    seed, file = "seed.chip=7", f"substrate.chip.file={stored}"

    by_seed, by_file = (trained(tmp_path / word.partition("=")[0], *ANALOG, word) for word in (seed, file))
    for name in ("network.safetensors", "curves.csv"):
        assert (by_seed / name).read_bytes() == (by_file / name).read_bytes()
    one, other = read(by_seed), read(by_file)
    assert other.pop("chips") == {str(stored): sha256(stored)}
    assert {key for key in one | other if one.get(key) != other.get(key)} <= {"id", "seconds", "made_by"}

    plain = trained(tmp_path / "plain")
    told = [evaluated(ttfsrun, plain, *ANALOG, word)[0] for word in (seed, file, "seed.chip=8")]
    of_seed, of_file, of_another = ([without_speed(metrics[split]) for split in SPLITS] for metrics in told)
    assert of_seed == of_file != of_another


# The experiments


def first_samples(dataset: Dataset, n: int) -> Dataset:
    parts = {name: getattr(dataset, name) for name in SPLITS}
    return Dataset(**{k: Split(p.values[:n], p.labels[:n]) for k, p in parts.items()}, source=dataset.source)


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
    metrics = read(run)
    trained = checkpoint.load_network(run / "network.safetensors", "last")
    for stored, initial in zip(trained, build([config]).weights, strict=True):
        assert not torch.equal(stored, initial[0])
    assert metrics["test"]["decision_time"]["mean"] > 0
    assert all(math.isfinite(metrics[split]["loss"]) for split in SPLITS)


def test_the_commit_is_that_of_the_checkout(trained: Callable[..., Path], tmp_path: Path) -> None:
    root = conf_dir().parent
    if not (root / ".git").exists():
        pytest.skip("the package is not in a git checkout")
    head = subprocess.run(["git", "rev-parse", "HEAD"], cwd=root, capture_output=True, text=True, check=True)
    assert read(trained(tmp_path / "run"))["made_by"]["git_sha"] == head.stdout.strip()
