"""Chips in files: a saved chip loads unchanged, and a file that does not fit the network is reported on one line."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.testing import assert_array_equal
from safetensors.numpy import save_file
from safetensors.torch import save_file as save_torch_file

from ttfsrun.config.compose import compose
from ttfsrun.config.conditions import conditions_of
from ttfsrun.config.schema import Config
from ttfsrun.errors import UserError
from ttfsrun.substrate.chip import Chip

EVERYTHING = (
    "substrate.v_th.chip_std=0.1",
    "substrate.v_leak.chip_std=0.1",
    "substrate.tau_mem.chip_cv=0.2",
    "substrate.tau_syn={chip_cv:0.2,correlation:0.5}",
    "substrate.weight.chip_cv=0.1",
    "substrate.weight.chip_std=0.1",
    "substrate.dead_neurons.p=0.2",
    "substrate.stuck_synapses={p_zero:0.1,p_max:0.1}",
    "substrate.drift.std=0.1",
)
HIDDEN, LABELS = np.zeros(20), np.zeros(3)


def v_th(first: np.ndarray, second: np.ndarray = LABELS) -> dict[str, np.ndarray]:
    return {"v_th.chip.layer_1": first, "v_th.chip.layer_2": second}


def stored(tmp_path: Path, arrays: dict[str, np.ndarray]) -> Path:
    save_file(arrays, tmp_path / "lab.safetensors")
    return tmp_path / "lab.safetensors"


@pytest.mark.parametrize("overrides", [(), EVERYTHING], ids=["nothing", "everything"])
def test_a_saved_chip_is_loaded_as_it_was_drawn(
    overrides: tuple[str, ...], tiny: Callable[..., Config], tmp_path: Path
) -> None:
    config = tiny(*overrides, "seed.chip=3")
    drawn = Chip.of(config.chip_spec)
    assert len(drawn.drawn) == (10 if overrides else 0)
    drawn.save(tmp_path / "chip.safetensors")
    loaded = Chip.load(tmp_path / "chip.safetensors", config.chip_spec)
    assert loaded.drawn.keys() == drawn.drawn.keys()
    for name, layers in drawn.drawn.items():
        for before, after in zip(layers, loaded.drawn[name], strict=True):
            assert_array_equal(before, after, strict=True)


def test_what_the_file_lacks_is_drawn_from_the_seed(tiny: Callable[..., Config], tmp_path: Path) -> None:
    measured = v_th(np.linspace(-0.1, 0.1, 20, dtype=np.float32))
    file = f"substrate.chip.file={stored(tmp_path, measured)}"
    alone, beside = tiny(*EVERYTHING, "seed.chip=3"), tiny(*EVERYTHING, "seed.chip=3", file)
    drawn, mixed = Chip.of(alone.chip_spec).drawn, Chip.of(beside.chip_spec).drawn
    assert_array_equal(mixed["v_th.chip"][0], measured["v_th.chip.layer_1"].astype(np.float64)[None])
    for name in drawn.keys() - {"v_th.chip"}:
        for one, other in zip(drawn[name], mixed[name], strict=True):
            assert_array_equal(one, other)


@pytest.mark.parametrize(
    ("arrays", "line"),
    [
        (v_th(np.zeros(19)), r"v_th\.chip\.layer_1 has the shape \[19\], the network needs \[20\]"),
        (v_th(np.full(20, np.nan)), r"v_th\.chip\.layer_1 has a NaN"),
        (v_th(HIDDEN, np.full(3, np.inf)), r"v_th\.chip\.layer_2 must consist of finite numbers"),
        (v_th(HIDDEN.astype(bool)), r"v_th\.chip\.layer_1 must consist of finite numbers"),
        ({"v_th.chip.layer_1": HIDDEN}, r"lacks v_th\.chip\.layer_2; it has v_th\.chip\.layer_1"),
        ({"v_thh.layer_1": HIDDEN}, r"holds v_thh\.layer_1; this network's chips have dead_neurons\.layer_1, "),
        ({"dead_neurons.layer_1": HIDDEN, "dead_neurons.layer_2": LABELS}, "is float64; it must be true or false"),
        (
            {"tau_mem.chip.layer_1": HIDDEN - 1.5, "tau_mem.chip.layer_2": LABELS},
            "has a -1.5; a time constant's relative deviation must be above -1",
        ),
    ],
    ids=["shape", "nan", "inf", "type", "layer", "quantity", "flag", "tau"],
)
def test_what_cannot_be_a_chip_of_the_network_is_one_line(
    arrays: dict[str, np.ndarray], line: str, tiny: Callable[..., Config], tmp_path: Path
) -> None:
    path = stored(tmp_path, arrays)
    with pytest.raises(UserError, match=line) as caught:
        Chip.load(path, tiny().chip_spec)
    assert str(caught.value).startswith(f"substrate.chip.file={path}: ")
    assert "\n" not in str(caught.value)


def test_what_is_no_file_of_a_chip_is_one_line(tiny: Callable[..., Config], tmp_path: Path) -> None:
    (tmp_path / "text").write_text("mine")
    half = torch.zeros(20, dtype=torch.bfloat16)
    save_torch_file({"v_th.chip.layer_1": half}, tmp_path / "half")
    lines = {"text": "cannot be read", "none": "does not exist", ".": "is a folder"}
    lines["half"] = "of a type that numpy lacks"
    for name, line in lines.items():
        with pytest.raises(UserError, match=line) as caught:
            Chip.load(tmp_path / name, tiny().chip_spec)
        assert "\n" not in str(caught.value)


def test_the_other_chips_of_an_evaluation_are_drawn_and_not_the_one_in_the_file(tmp_path: Path) -> None:
    file = f"substrate.chip.file={tmp_path / 'lab.safetensors'}"
    own, other = conditions_of(compose(["substrate.v_th.chip_std=0.1", file, "evaluation.chips=[7]"]))
    assert own.as_record()["chip"] == str(tmp_path / "lab.safetensors")
    assert other.config == compose(["substrate.v_th.chip_std=0.1", "seed.chip=7", "evaluation.chips=[7]"])
    assert other.as_record()["chip"] == 7
