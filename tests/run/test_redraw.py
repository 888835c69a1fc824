"""The figures of a run plotted again from its folder: the same ones, without training, or a plain refusal."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from ttfsrun.cli.main import main
from ttfsrun.errors import UserError
from ttfsrun.run.folder import FIGURES
from ttfsrun.run.redraw import redraw
from ttfsrun.training import checkpoint, trainer

OVERRIDES = (
    "substrate=brainscales2",
    "training.epochs=1",
    "evaluation.conditions={simulation:{evaluation.perturbed:false}}",
    "seed.init=1,2",
)


@pytest.fixture(scope="module")
def trained(tiny_overrides: tuple[str, ...], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two networks on a chip, with their figures."""
    out = tmp_path_factory.mktemp("trained") / "run"
    assert main(["train", *tiny_overrides, *OVERRIDES, "--out", str(out)]) == 0
    return out


def copied(trained: Path, to: Path) -> Path:
    """One of the networks, without its figures."""
    to.mkdir()
    for path in (trained / "seed.init=2").glob("*.*"):
        shutil.copy(path, to)
    return to


@pytest.fixture
def run(trained: Path, tmp_path: Path) -> Path:
    """A copy of one of the networks, to be damaged."""
    return copied(trained, tmp_path / "copy")


CONFUSION = [[0, 1, 0, 0], [0, 0, 2, 0], [0, 0, 0, 3]]


@pytest.fixture(scope="module")
def redrawn(trained: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A network whose stored metrics differ from what it does, plotted again into its own folder."""
    run = copied(trained, tmp_path_factory.mktemp("redrawn") / "run")
    metrics = json.loads((run / "metrics.json").read_text())
    metrics["test"]["confusion"] = CONFUSION
    (run / "metrics.json").write_text(json.dumps(metrics))
    held = {path.name for path in run.iterdir()}
    assert {path.parent for path in redraw(run)} == {run / "figures"}
    assert {path.name for path in run.iterdir()} == held | {"figures"}
    return run


@pytest.fixture
def no_plots(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fails where anything is plotted, as a refusal comes first."""

    def fails(*args: object, **kwargs: object) -> None:
        raise AssertionError("plotted")

    monkeypatch.setattr("ttfsrun.run.redraw.plot_runs", fails)


@pytest.mark.slow
def test_the_figures_of_a_population_are_drawn_again_to_the_same_bytes_and_as_vectors(
    trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trainer.Trainer, "__init__", None)  # nothing is trained
    before = {path.relative_to(trained): path.read_bytes() for path in trained.rglob("figures/*")}
    files, figures = redraw(trained, tmp_path / "out"), set(FIGURES) - {"augmentation", "delays"}
    assert sorted(files) == sorted(path for path in (tmp_path / "out").rglob("*") if path.is_file())
    for name in ("seed.init=1", "seed.init=2"):
        folder = tmp_path / "out" / name
        assert {path.stem for path in folder.iterdir()} == figures
        for figure in figures:
            assert (folder / f"{figure}.pdf").read_bytes().startswith(b"%PDF")
        again = {path.name: path.read_bytes() for path in folder.iterdir() if path.suffix != ".pdf"}
        assert again == {path.name: content for path, content in before.items() if path.parts[0] == name}
    assert {path.relative_to(trained): path.read_bytes() for path in trained.rglob("figures/*")} == before


def test_the_confusion_is_the_stored_one(redrawn: Path) -> None:
    shown = pd.read_csv(redrawn / "figures" / "confusion.csv", keep_default_na=False)
    drawn = shown[shown["samples"] > 0][["true", "decided", "samples"]].to_numpy().tolist()
    assert drawn == [["yin", "yang", 1], ["yang", "dot", 2], ["dot", "none", 3]]


def test_the_weights_and_the_chip_are_those_of_the_run(redrawn: Path) -> None:
    nominal = checkpoint.load_network(redrawn / "network.safetensors", "best")
    shown = pd.read_csv(redrawn / "figures" / "weights.csv")
    assert set(shown["weights"]) == {"nominal", "on the chip"}
    for number, weight in enumerate(nominal.weights, 1):
        bars = shown[(shown["layer"] == number) & (shown["weights"] == "nominal")]
        edges = [*bars["left"], bars["right"].iloc[-1]]
        assert bars["count"].sum() == weight.numel()
        assert np.abs(np.histogram(weight, edges)[0] - bars["count"]).sum() <= 2  # the edges are rounded
    chip = pd.read_csv(redrawn / "figures" / "chip.csv")
    assert chip.groupby(["quantity", "layer"])["count"].sum().to_dict() == {("v_th.chip", 1): 20, ("v_th.chip", 2): 3}


def refusal(run: Path) -> str:
    with pytest.raises(UserError) as refused:
        redraw(run)
    return str(refused.value)


@pytest.mark.parametrize("name", ["network.safetensors", "metrics.json", "curves.csv"])
def test_a_run_that_is_not_finished_is_told_so(name: str, run: Path, no_plots: None) -> None:
    (run / name).unlink()
    assert refusal(run) == f"{run / name} is missing: the run is not finished; resume it with train --resume"


@pytest.mark.parametrize("name", ["network.safetensors", "metrics.json", "curves.csv", "config.yaml"])
@pytest.mark.parametrize("content", [b"", b"\xff\xfe\x00nonsense", b"{"])
def test_a_damaged_file_is_named(name: str, content: bytes, run: Path, no_plots: None) -> None:
    (run / name).write_bytes(content)
    assert str(run / name) in refusal(run)
    assert len(refusal(run).splitlines()) == 1


@pytest.mark.parametrize(
    "metrics", ["[]", "{}", '{"test": {"confusion": [[1]]}, "conditions": []}', '{"test": 3, "conditions": [3]}']
)
def test_metrics_without_the_confusion_are_refused(metrics: str, run: Path, no_plots: None) -> None:
    (run / "metrics.json").write_text(metrics)
    assert str(run / "metrics.json") in refusal(run)


def test_curves_without_a_column_are_refused(run: Path, no_plots: None) -> None:
    (run / "curves.csv").write_text("epoch,split,value\n1,train,0.5\n")
    reason = "has the columns epoch, split, value; learning curves have epoch, split, metric, value"
    assert refusal(run) == f"{run / 'curves.csv'} {reason}"


def test_weights_of_another_network_are_refused(run: Path, no_plots: None) -> None:
    text = (run / "config.yaml").read_text()
    (run / "config.yaml").write_text(text.replace("- 20\n", "- 21\n"))
    assert "do not fit" in refusal(run)


def test_a_folder_without_runs_and_one_that_cannot_be_written_are_refused(
    run: Path, tmp_path: Path, no_plots: None
) -> None:
    (tmp_path / "empty").mkdir()
    assert "is not the folder of a run" in refusal(tmp_path / "empty")
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot be written"):
        redraw(run, tmp_path / "file" / "figures")


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """The data that were loaded."""
    from ttfsrun.run import inputs
    from ttfsrun.run import redraw as module

    loaded: list[object] = []
    load: Callable[..., object] = inputs.load_samples
    monkeypatch.setattr(inputs, "load_samples", lambda *data: loaded.append(data) or load(*data))
    monkeypatch.setattr(module, "plot_runs", lambda *args, **kwargs: [])
    return loaded


def test_the_networks_of_a_population_share_their_data(trained: Path, counted: list[object], tmp_path: Path) -> None:
    redraw(trained, tmp_path)
    assert len(counted) == 1


Command = Callable[..., tuple[int, str, str]]


def test_plot_redraws_a_run_and_says_its_files(
    ttfsrun: Command, trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[Path, bool]] = []

    def plot(figures: list[tuple[object, Path]], processes: int, vector: bool) -> list[Path]:
        asked.extend((folder, vector) for _, folder in figures)
        return [folder / "raster.png" for _, folder in figures]

    monkeypatch.setattr("ttfsrun.run.redraw.plot_runs", plot)
    folders = [tmp_path / f"seed.init={seed}" for seed in (1, 2)]
    printed = "".join(f"{folder / 'raster.png'}\n" for folder in folders)
    assert ttfsrun("plot", trained, "--out", tmp_path) == (0, printed, "")
    assert asked == [(folder, True) for folder in folders]


def test_plot_of_an_unfinished_run_is_refused_in_one_line(ttfsrun: Command, run: Path, no_plots: None) -> None:
    (run / "network.safetensors").unlink()
    code, output, messages = ttfsrun("plot", run)
    assert (code, output, len(messages.splitlines())) == (2, "", 1)
    assert "the run is not finished" in messages
