"""Stored networks evaluated again: the same numbers, or others under other settings, chips and conditions."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from runs import SPLITS, Command, read_curves, read_files, read_metrics, refused
from safetensors.torch import save_file

from ttfsrun.files import sha256


@pytest.fixture
def run(trained: Callable[..., Path], tmp_path: Path) -> Path:
    """A run whose best network is not its last."""
    recipe = "training=yin_yang_300", "training.epochs=8", "training.optimizer.learning_rate=0.2"
    folder = trained(tmp_path / "run", *recipe)
    assert read_metrics(folder)["epoch"] < 8
    return folder


def evaluated(ttfsrun: Command, *argv: object) -> list[dict[str, Any]]:
    code, output, messages = ttfsrun("evaluate", *argv, "--json")
    assert (code, messages) == (0, "")
    return [json.loads(line, parse_constant=pytest.fail) for line in output.splitlines()]


def without_speed(metrics: dict[str, Any]) -> dict[str, Any]:
    assert metrics.pop("samples_per_second") > 0
    return metrics


def test_evaluating_a_run_gives_its_metrics_bit_for_bit(ttfsrun: Command, run: Path) -> None:
    before = read_files(run)
    (again,) = evaluated(ttfsrun, run)
    stored = read_metrics(run)
    for split in SPLITS:
        assert without_speed(again[split]) == stored[split]
    assert {key: again[key] for key in ("id", "network", "data")} == {
        key: stored[key] for key in ("id", "network", "data")
    }
    assert read_files(run) == before
    code, text, messages = ttfsrun("evaluate", run)
    assert (code, messages) == (0, "")
    assert f"accuracy {stored['test']['accuracy']:.2%}  loss {stored['test']['loss']:.4f}" in text


@pytest.mark.parametrize("kind", ["axonal", "synaptic"])
def test_a_network_with_delays_is_evaluated_and_plotted_as_it_was_trained(
    kind: str, ttfsrun: Command, trained: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = trained(tmp_path / "run", f"network.delays={kind}", "network.input_repeats=2", "substrate=brainscales2")
    (again,) = evaluated(ttfsrun, run)
    stored = read_metrics(run)
    assert [without_speed(again[split]) for split in SPLITS] == [stored[split] for split in SPLITS]
    (instant,) = evaluated(ttfsrun, run, "network.delay_function.scale=0")
    assert instant["test"]["decision_time"]["mean"] < again["test"]["decision_time"]["mean"]
    for other in ("none", "dendritic"):
        told = refused(ttfsrun("evaluate", run, f"network.delays={other}"))
        assert "network.safetensors: the stored delays do not fit the network of" in told
    plotted: list[object] = []
    monkeypatch.setattr("ttfsrun.run.redraw.plot_runs", lambda plots, *args, **kwargs: plotted.extend(plots) or [])
    code, _, messages = ttfsrun("plot", run)
    assert (code, messages, len(plotted)) == (0, "", 1)


def test_a_run_from_before_a_setting_existed_is_evaluated_resumed_and_plotted(
    ttfsrun: Command, run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (before,) = evaluated(ttfsrun, run)
    config = yaml.safe_load((run / "config.yaml").read_text())
    del config["training"]["bumping"]["scheduled"]
    (run / "config.yaml").write_text(yaml.safe_dump(config, sort_keys=False))
    (after,) = evaluated(ttfsrun, run)
    assert [without_speed(after[split]) for split in SPLITS] == [without_speed(before[split]) for split in SPLITS]
    assert after["id"] == before["id"]
    assert "is finished: there is nothing to resume" in refused(ttfsrun("train", "--resume", run))
    monkeypatch.setattr("ttfsrun.run.redraw.plot_runs", lambda *args, **kwargs: [])
    code, _, messages = ttfsrun("plot", run)
    assert (code, messages) == (0, "")


def test_the_last_network_can_be_evaluated_instead_of_the_best(ttfsrun: Command, run: Path) -> None:
    (last,) = evaluated(ttfsrun, run, "training.keep=last")
    curves = read_curves(run).set_index(["epoch", "split", "metric"])["value"]
    assert last["network"] == "last"
    assert last["valid"]["loss"] == curves[8, "valid", "loss"]
    assert last["valid"]["accuracy"] == curves[8, "valid", "accuracy"]
    assert last["valid"]["loss"] != read_metrics(run)["valid"]["loss"]


def test_a_run_that_keeps_the_last_network_reports_it(trained: Callable[..., Path], tmp_path: Path) -> None:
    words = ("training.epochs=8", "training.optimizer.learning_rate=0.2", "training.keep=last")
    metrics = read_metrics(trained(tmp_path / "run", *words))
    assert (metrics["network"], metrics["epoch"]) == ("last", 8)
    last = read_curves(tmp_path / "run").query("epoch == 8 and split == 'valid' and metric == 'loss'")["value"].item()
    assert metrics["valid"]["loss"] == last


def test_other_settings_are_evaluated_and_not_stored(ttfsrun: Command, run: Path) -> None:
    before = read_files(run)
    (other,) = evaluated(ttfsrun, run, "network.neuron.v_th=1.2", "data.samples.test=7")
    assert other["test"]["samples"] == 7
    assert other["id"] != read_metrics(run)["id"]
    assert other["train"]["decision_time"]["mean"] > read_metrics(run)["train"]["decision_time"]["mean"]
    assert read_files(run) == before


def test_a_folder_of_several_runs_is_evaluated_one_line_each(
    ttfsrun: Command, trained: Callable[..., Path], tmp_path: Path
) -> None:
    out = trained(tmp_path / "runs", "seed.init=10,2")
    lines = evaluated(ttfsrun, out)
    assert [Path(line["run"]).name for line in lines] == ["seed.init=2", "seed.init=10"]
    for line in lines:
        stored = read_metrics(Path(line["run"]))
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
    one, other = read_metrics(by_seed), read_metrics(by_file)
    assert other.pop("chips") == {str(stored): sha256(stored)}
    assert {key for key in one | other if one.get(key) != other.get(key)} <= {"id", "seconds", "made_by"}

    plain = trained(tmp_path / "plain")
    evaluations = [evaluated(ttfsrun, plain, *ANALOG, word)[0] for word in (seed, file, "seed.chip=8")]
    of_seed, of_file, of_another = ([without_speed(metrics[split]) for split in SPLITS] for metrics in evaluations)
    assert of_seed == of_file != of_another
