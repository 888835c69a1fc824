"""What a run's figures show of its records and of its network."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from runs import Command, assert_same_run, read_files

from ttfsrun.config.compose import compose
from ttfsrun.config.schema import Config
from ttfsrun.data.samples import Samples
from ttfsrun.evaluation.deployed import DeployedNetworks
from ttfsrun.figures.run_figures import RunFigureData
from ttfsrun.network import build
from ttfsrun.run.figures import confusion_counts, figure_data
from ttfsrun.run.folder import RunFolder

Show = Callable[..., tuple[RunFigureData, DeployedNetworks]]


def record(name: str, right: int, chip: int | str | None = 0, **settings: float) -> dict[str, Any]:
    about = {"condition": name, "settings": settings, "perturbed": chip is not None, "chip": chip}
    return about | {"test": {"confusion": [[right, 0, 0], [0, 1, 0]]}}


def test_of_each_condition_the_first_is_shown_and_not_more_than_three() -> None:
    other, noise = "own, other chips", {"substrate.weight.write_std": 0.1}
    records = [record("own", 1), record(other, 2, 7), record(other, 3, 8), record("noisy", 4, 0, **noise)]
    shown = confusion_counts([*records, record("noisy", 5), record("simulation", 6, None)])
    titles = ["own (chip=0)", "own, other chips (chip=7)", "noisy (weight.write_std=0.1, chip=0)"]
    assert [(title, counts[0, 0]) for title, counts in shown.items()] == list(zip(titles, (1, 2, 4), strict=True))


def test_a_condition_tells_its_chip_or_that_it_has_none() -> None:
    shown = confusion_counts([record("own", 1, "chips/lab.safetensors"), record("simulation", 2, None)])
    assert list(shown) == ["own (chip=lab.safetensors)", "simulation (unperturbed)"]


def test_a_figure_that_fails_costs_a_training_neither_its_results_nor_its_exit_code(
    ttfsrun: Command, tiny_overrides: tuple[str, ...], tmp_path: Path
) -> None:
    run, whole = tmp_path / "a run", tmp_path / "whole"
    RunFolder(run).write_config(compose(tiny_overrides))
    (run / "figures").write_text("mine")  # a file in the way
    code, output, messages = ttfsrun("train", *tiny_overrides, "--out", run, "--overwrite")
    assert code == 0
    assert output.endswith(f"results: {run}\n")
    assert messages.startswith(f"no figures: {run / 'figures' / 'confusion.png'}: cannot be written (")
    assert messages.endswith(f"; ttfsrun plot '{run}' plots the figures\n")
    assert messages.count("\n") == 1
    (run / "figures").unlink()
    assert ttfsrun("plot", run)[0] == 0
    assert ttfsrun("train", *tiny_overrides, "--out", whole)[0] == 0
    for pdf in (run / "figures").glob("*.pdf"):
        pdf.unlink()
    assert_same_run(run, whole)


def test_a_library_that_fails_to_plot_costs_a_chip_only_its_figure(
    ttfsrun: Command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("no\nfonts")

    with monkeypatch.context() as patch:
        patch.setattr("ttfsrun.figures.chip.chip", fail)
        code, output, messages = ttfsrun("chip", "substrate=brainscales2", "--out", tmp_path / "chip")
    assert code == 0
    assert output.endswith(f"results: {tmp_path / 'chip'}\n")
    assert messages == "no figures: RuntimeError: no fonts; ttfsrun chip plots it again with --overwrite\n"
    assert sorted(read_files(tmp_path / "chip")) == ["chip.safetensors", "summary.csv"]
    assert ttfsrun("chip", "substrate=brainscales2", "--out", tmp_path / "chip", "--overwrite")[0] == 0
    assert (tmp_path / "chip" / "chip.png").exists()


@pytest.fixture
def show(tiny: Callable[..., Config], samples: dict[str, Samples]) -> Show:
    """Returns the data of the figures of an untrained network, and the network."""

    def data_of(*overrides: str) -> tuple[RunFigureData, DeployedNetworks]:
        config = tiny(*overrides)
        network = DeployedNetworks([config], build([config]).learned)
        return figure_data(network, samples, [record("own", 1)], pd.DataFrame()), network

    return data_of


@pytest.mark.parametrize("repeats", [1, 2])
def test_an_event_arrives_after_the_delay_of_its_axon(repeats: int, show: Show) -> None:
    data, network = show("network.delays=axonal", f"network.input_repeats={repeats}")
    assert list(data.delayed) == ["arrival_time"]
    *arrivals, of_labels = data.delayed["arrival_time"]
    assert of_labels is None
    for number, (sent, arrived) in enumerate(zip(data.times[:-1], arrivals, strict=True)):
        delays = network.network.delays_of(number).nominal[0, 0].numpy()  # type: ignore[attr-defined]
        assert len(delays) == sent.shape[1] + 1, "the bias has a delay, too, but is not in the raster"
        assert np.array_equal(arrived, sent + delays[:-1])
        assert np.array_equal(data.delays[number + 1].nominal[0], delays)


def test_a_dendritic_delay_is_between_the_crossing_and_the_spike(show: Show) -> None:
    data, _ = show("network.delays=[none,dendritic]")
    assert (list(data.delayed), list(data.delays)) == (["crossing_time"], [2])
    *others, crossed = data.delayed["crossing_time"]
    assert others == [None, None]
    assert crossed is not None
    assert np.array_equal(crossed, data.times[2] - data.delays[2].nominal[0])
    assert np.isfinite(crossed).any()


def test_synaptic_delays_have_histograms_and_nothing_in_the_raster(show: Show) -> None:
    data, _ = show("network.delays=[synaptic,none]")
    assert data.delayed == {}
    assert {number: layer.nominal.shape for number, layer in data.delays.items()} == {1: (5, 20)}


def test_without_delays_there_is_nothing_of_them(show: Show) -> None:
    data, _ = show()
    assert (data.delayed, data.delays) == ({}, {})


def test_delays_on_a_chip_are_beside_the_nominal_ones_with_the_limit_of_the_chip(show: Show) -> None:
    chip = ("network.delays=axonal", "substrate.delay.largest=0.45", "substrate.delay.step=0.15")
    data, _ = show(*chip)
    for layer in data.delays.values():
        assert layer.on_chip is not None
        assert (layer.largest, layer.step) == (0.45, 0.15)
        assert layer.on_chip / 0.15 == pytest.approx(np.minimum(np.round(layer.nominal / 0.15), 3), abs=1e-6)
    arrived = data.delayed["arrival_time"][0]
    assert arrived is not None
    on_chip = data.delays[1].on_chip
    assert on_chip is not None
    assert np.array_equal(arrived, data.times[0] + on_chip[0, :-1])
    ideal, _ = show(*chip, "evaluation.perturbed=false")
    assert [(layer.on_chip, layer.largest, layer.step) for layer in ideal.delays.values()] == [(None, None, None)] * 2


def test_a_run_with_delays_has_their_histograms_and_the_arrivals_in_its_raster(
    ttfsrun: Command, tiny_overrides: tuple[str, ...], tmp_path: Path
) -> None:
    words = ("training.epochs=1", "network.delays=axonal", "--out", tmp_path / "run")
    assert ttfsrun("train", *tiny_overrides, *words)[0] == 0
    figures = tmp_path / "run" / "figures"
    assert (figures / "delays.png").exists()
    counts = pd.read_csv(figures / "delays.csv").groupby("layer")["count"].sum()
    assert counts.to_dict() == {1: 5, 2: 21}
    spikes = pd.read_csv(figures / "raster.csv")
    assert (spikes["arrival_time"].isna() == (spikes["layer"] == "label")).all()
