from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import StepPatch

from ttfsrun.figures.histograms import DELAYS, NOMINAL, ON_CHIP, WEIGHTS, LayerValues, histograms, table

Legible = Callable[[Figure], None]
LSB, HIGHEST = 1 / 30, 63
CLIP = LSB * HIGHEST


def trained(n_inputs: int = 120, n_neurons: int = 30, std: float = 1.0) -> np.ndarray:
    sampled = np.random.default_rng(0).normal(0.3, std, (n_inputs, n_neurons))
    return np.asarray(sampled, np.float32)


def written(nominal: np.ndarray) -> LayerValues:
    """Return weights on a chip with 6 bits and a sign."""
    levels = np.clip(np.round(nominal / LSB), -HIGHEST, HIGHEST)
    return LayerValues(nominal, np.asarray(levels * LSB, np.float32), CLIP, LSB)


def bars(axes: Axes) -> list[np.ndarray]:
    return [patch.get_data().values for patch in axes.patches if isinstance(patch, StepPatch)]


def limits(axes: Axes) -> list[float]:
    return [float(path.vertices[0, 0]) for lines in axes.collections for path in lines.get_paths()]


def test_every_weight_is_in_a_bar() -> None:
    for layer in (LayerValues(trained()), written(trained()), LayerValues(trained(), trained(std=2), 1.5, None)):
        numbers = table(WEIGHTS, {1: layer})
        totals = numbers.groupby("weights")["count"].sum()
        assert totals.to_dict() == dict.fromkeys([NOMINAL] if layer.on_chip is None else [NOMINAL, ON_CHIP], 3600)
        for shares in bars(histograms(WEIGHTS, {1: layer}).axes[0]):
            assert shares.sum() == pytest.approx(100)


def test_bars_of_a_chip_hold_equally_many_levels_and_its_limits_are_in_the_middle_of_one() -> None:
    numbers = table(WEIGHTS, {1: written(trained())})
    inner = (numbers["right"] - numbers["left"]) / LSB
    levels = round(float(inner.iloc[0]))
    assert inner.to_numpy() == pytest.approx(levels)
    assert levels % 2 == 1
    middle = (numbers["left"] + numbers["right"]).to_numpy() / 2
    for limit in (-CLIP, 0, CLIP):
        assert np.abs(middle - limit).min() == pytest.approx(0, abs=1e-6)


def test_all_levels_alike_are_a_flat_histogram() -> None:
    """A histogram whose bars had one level more here and there would be a comb."""
    levels = np.asarray(LSB * np.repeat(np.arange(-HIGHEST, HIGHEST + 1), 8).reshape(-1, 8), np.float32)
    on_chip = table(WEIGHTS, {1: LayerValues(levels, levels, CLIP, LSB)}).query("weights == @ON_CHIP")["count"]
    assert len(on_chip) > 7
    assert on_chip.iloc[1:-1].nunique() == 1


def test_the_limits_of_the_chip_are_marked_where_it_has_some() -> None:
    assert limits(histograms(WEIGHTS, {1: written(trained())}).axes[0]) == [-CLIP, CLIP]
    assert limits(histograms(WEIGHTS, {1: LayerValues(trained())}).axes[0]) == []


def test_only_what_differs_from_the_nominal_weights_is_shown_beside_them() -> None:
    assert len(bars(histograms(WEIGHTS, {1: LayerValues(trained())}).axes[0])) == 1
    assert len(bars(histograms(WEIGHTS, {1: written(trained())}).axes[0])) == 2
    assert not histograms(WEIGHTS, {1: LayerValues(trained())}).legends
    assert histograms(WEIGHTS, {1: written(trained())}).legends


@pytest.mark.parametrize("n_layers", [1, 2, 3, 4])
def test_weights_of_several_layers_are_legible(n_layers: int, assert_legible: Legible) -> None:
    assert_legible(histograms(WEIGHTS, dict.fromkeys(range(1, n_layers + 1), written(trained()))))
    assert_legible(histograms(WEIGHTS, dict.fromkeys(range(1, n_layers + 1), LayerValues(trained(784, 350)))))


NASTY = {
    "one": LayerValues(np.ones((1, 1), np.float32)),
    "all zero": LayerValues(np.zeros((5, 3), np.float32), np.zeros((5, 3), np.float32), 1.0, 1.0),
    "huge": LayerValues(trained() * np.float32(1e6), None, 1.0, None),
    "tiny": LayerValues(trained() * np.float32(1e-6)),
    "far beyond the limits": written(trained(std=30)),
    "one bit": LayerValues(trained(), np.sign(trained()), 1.0, 1.0),
    "a prime number of levels": LayerValues(trained(), trained(), 127 / 50, 1 / 50),
    "24 bits": LayerValues(trained(), trained(), 1.0, 2.0**-24),
}


@pytest.mark.parametrize("layer", NASTY.values(), ids=NASTY)
def test_nasty_weights_are_legible_and_complete(layer: LayerValues, assert_legible: Legible) -> None:
    assert_legible(histograms(WEIGHTS, {1: layer}))
    assert (table(WEIGHTS, {1: layer}).groupby("weights")["count"].sum() == layer.nominal.size).all()
    assert len(table(WEIGHTS, {1: layer})) <= 300


def test_no_layer_is_refused() -> None:
    with pytest.raises(ValueError, match="no weights"):
        histograms(WEIGHTS, {})


def delayed(largest: float | None = 1.0) -> LayerValues:
    """Return axonal delays on a chip whose clock has steps of 0.1."""
    nominal = np.random.default_rng(1).uniform(0, 1.2, (1, 30))
    return LayerValues(nominal, np.round(np.minimum(nominal, largest or np.inf), 1), largest, 0.1)


def test_the_chip_has_one_limit_of_delays_and_their_axis_has_their_unit() -> None:
    axes = histograms(DELAYS, {1: delayed()}).axes[0]
    assert limits(axes) == [1.0]
    assert axes.get_xlabel().replace(r"$\tau_\mathrm{syn}$", "tau_syn") == "delay (tau_syn)"
    assert limits(histograms(DELAYS, {1: delayed(None)}).axes[0]) == []


def test_delays_are_numbered_by_their_layers(assert_legible: Legible) -> None:
    layers = {2: delayed(), 3: LayerValues(np.array([[0.5]]))}
    figure = histograms(DELAYS, layers)
    assert [axes.texts[0].get_text() for axes in figure.axes] == ["layer 2: n = 30", "layer 3: n = 1"]
    assert_legible(figure)
    counts = table(DELAYS, layers).groupby(["layer", "delays"])["count"].sum()
    assert counts.to_dict() == {(2, NOMINAL): 30, (2, ON_CHIP): 30, (3, NOMINAL): 1}
