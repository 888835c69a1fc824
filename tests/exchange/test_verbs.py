"""`export` and `import`: a run leaves, and comes back as the same network."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from portable_networks import BSS2, heterogeneous, homogeneous
from safetensors.numpy import load_file

from ttfsrun.exchange.nir_export import write_graph
from ttfsrun.exchange.nir_import import from_graph, read_graph

Call = Callable[..., tuple[int, str, str]]

CHIP = ("substrate=brainscales2", "network.input_repeats=2", "seed.chip=3")


@pytest.fixture
def run(ttfsrun: Call, tiny_overrides: tuple[str, ...], no_figures: None, tmp_path: Path) -> Path:
    code, _, messages = ttfsrun("train", *tiny_overrides, *CHIP, "--out", tmp_path / "run")
    assert code == 0, messages
    return tmp_path / "run"


def exported(ttfsrun: Call, *argv: object) -> str:
    code, out, messages = ttfsrun("export", *argv)
    assert code == 0, messages
    return out


def test_the_network_comes_back_and_decides_alike(
    ttfsrun: Call, tiny_overrides: tuple[str, ...], no_figures: None, tmp_path: Path
) -> None:
    ttfsrun("train", *tiny_overrides, "--out", tmp_path / "run")
    exported(ttfsrun, tmp_path / "run", "--out", tmp_path / "a.nir")
    argv = ["import", tmp_path / "a.nir", "--data", "yin_yang", "--out", tmp_path / "back", tiny_overrides[0]]
    code, _out, messages = ttfsrun(*argv)
    assert code == 0, messages
    one, other = (json.loads((tmp_path / name / "metrics.json").read_text()) for name in ("run", "back"))
    assert one["test"] == other["test"]
    assert one["id"] != other["id"]
    best, back = (load_file(tmp_path / name / "network.safetensors") for name in ("run", "back"))
    assert all(np.array_equal(best[f"best.layer_{layer}"], back[f"best.layer_{layer}"]) for layer in (1, 2))
    assert ttfsrun("evaluate", tmp_path / "back")[0] == 0
    assert ttfsrun("evaluate", tmp_path / "back", "substrate=brainscales2")[0] == 0
    further = ["train", *tiny_overrides, f"training.start={tmp_path / 'back.safetensors'}", "--out", tmp_path / "on"]
    assert ttfsrun(*further)[0] == 0


@pytest.mark.parametrize("delays", ["axonal", "dendritic", "[dendritic,none]"])
def test_a_network_with_delays_comes_back_and_decides_alike(
    ttfsrun: Call, tiny_overrides: tuple[str, ...], no_figures: None, tmp_path: Path, delays: str
) -> None:
    ttfsrun("train", *tiny_overrides, f"network.delays={delays}", "--out", tmp_path / "run")
    exported(ttfsrun, tmp_path / "run", "--out", tmp_path / "a.nir")
    argv = ["import", tmp_path / "a.nir", "--data", "yin_yang", "--out", tmp_path / "back", tiny_overrides[0]]
    code, _, messages = ttfsrun(*argv)
    assert code == 0, messages
    one, other = (json.loads((tmp_path / name / "metrics.json").read_text()) for name in ("run", "back"))
    assert one["test"]["accuracy"] == other["test"]["accuracy"]
    assert one["test"]["loss"] == pytest.approx(other["test"]["loss"], rel=1e-6)


def test_synaptic_delays_are_refused_with_the_reason(
    ttfsrun: Call, tiny_overrides: tuple[str, ...], no_figures: None, tmp_path: Path
) -> None:
    ttfsrun("train", *tiny_overrides, "network.delays=synaptic", "--out", tmp_path / "run")
    code, _, messages = ttfsrun("export", tmp_path / "run")
    assert code == 2
    assert "network.delays=synaptic: in NIR, a spike is late for all neurons alike" in messages


def test_quantised_weights_need_levels(
    ttfsrun: Call, tiny_overrides: tuple[str, ...], no_figures: None, tmp_path: Path
) -> None:
    ttfsrun("train", *tiny_overrides, "substrate.weight.clip=1.0", "--out", tmp_path / "run")
    code, _, messages = ttfsrun("export", tmp_path / "run", "--weights", "quantised", "--format", "npz")
    assert code == 2
    assert "no levels of weights (substrate.weight.bits, or lsb) in this run: export with --weights nominal" in messages
    assert not (tmp_path / "run" / "network.npz").exists()


def test_quantised_weights_are_levels_and_those_of_the_chip_have_its_fixed_pattern(ttfsrun: Call, run: Path) -> None:
    out = exported(ttfsrun, run, "--weights", "quantised", "--format", "npz")
    assert "not in the file: " in out
    assert "v_th.chip" in out
    with np.load(run / "network.npz") as file:
        weight, code, lsb, quantised_th = (file[f"layer_1.{key}"] for key in ("weight", "code", "lsb", "v_th"))
    np.testing.assert_allclose(weight, code * lsb, rtol=1e-6)
    assert np.abs(code).max() <= 63
    assert np.ptp(quantised_th) == 0
    out = exported(ttfsrun, run, "--weights", "chip", "--format", "npz")
    assert "v_th.chip" not in out
    assert "spike_time" in out
    with np.load(run / "network.npz") as file:
        assert np.ptp(file["layer_1.v_th"]) > 0


def test_tables_have_a_row_for_each_synapse_and_each_neuron(ttfsrun: Call, run: Path, tmp_path: Path) -> None:
    exported(ttfsrun, run, "--format", "csv", "--units", "ms", "--out", tmp_path / "n.csv")
    synapses, neurons = pd.read_csv(tmp_path / "n.csv"), pd.read_csv(tmp_path / "n.neurons.csv")
    assert len(synapses) == 10 * 20 + 21 * 3
    assert len(neurons) == 23
    assert list(synapses[synapses.layer == 1].source.unique()) == ["0", "1", "2", "3", "bias"]
    assert neurons.tau_syn.to_numpy() == pytest.approx(6e-3)


def test_a_network_from_elsewhere_with_other_thresholds_is_kept_and_with_other_time_constants_refused(
    ttfsrun: Call, tiny_overrides: tuple[str, ...], no_figures: None, tmp_path: Path
) -> None:
    network = heterogeneous(bias_time=None)
    write_graph(tmp_path / "different.nir", network, BSS2)
    argv = ["--data", "yin_yang", tiny_overrides[0]]
    code, _, messages = ttfsrun("import", tmp_path / "different.nir", *argv, "--out", tmp_path / "no")
    assert code == 2
    assert "node neurons_1: tau_mem of one neuron is" in messages
    assert not (tmp_path / "no").exists()


def test_a_network_that_does_not_fit_the_data_says_what_to_set(ttfsrun: Call, tmp_path: Path) -> None:
    write_graph(tmp_path / "five.nir", homogeneous(bias_time=0.9), BSS2)
    graph = read_graph(tmp_path / "five.nir")
    assert from_graph(graph).n_inputs == 4
    write_graph(tmp_path / "five.nir", heterogeneous((5, 8, 3), None), BSS2)
    code, _, messages = ttfsrun("import", tmp_path / "five.nir", "--data", "yin_yang", "--out", tmp_path / "no")
    assert code == 2
    assert "has 5 inputs and 3 label neurons" in messages
    assert "set network.bias_time" in messages


@pytest.mark.parametrize(
    "argv", [["export", "--help"], ["import", "--help"], ["export", "nowhere"], ["export", ".", "--tau-us", "-1"]]
)
def test_help_and_mistakes_answer_without_torch(argv: list[str], tmp_path: Path) -> None:
    code = (
        "import sys\nfrom ttfsrun.cli.main import main\n"
        f"code = main({argv!r})\nassert 'torch' not in sys.modules\nsys.exit(code)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == (0 if "--help" in argv else 2), done.stderr
    assert "Traceback" not in done.stderr
