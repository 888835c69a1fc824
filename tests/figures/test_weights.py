from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import StepPatch

from ttfsrun.figures.weights import NOMINAL, ON_CHIP, Weights, table, weights

Legible = Callable[[Figure], None]
LSB, HIGHEST = 1 / 30, 63
CLIP = LSB * HIGHEST


def trained(n_inputs: int = 120, n_neurons: int = 30, std: float = 1.0) -> np.ndarray:
    sampled = np.random.default_rng(0).normal(0.3, std, (n_inputs, n_neurons))
    return np.asarray(sampled, np.float32)


def written(nominal: np.ndarray) -> Weights:
    """Return weights on a chip with 6 bits and a sign."""
    levels = np.clip(np.round(nominal / LSB), -HIGHEST, HIGHEST)
    return Weights(nominal, np.asarray(levels * LSB, np.float32), CLIP, LSB)


def histograms(axes: Axes) -> list[np.ndarray]:
    return [patch.get_data().values for patch in axes.patches if isinstance(patch, StepPatch)]


def test_every_weight_is_in_a_bar() -> None:
    for layer in (Weights(trained()), written(trained()), Weights(trained(), trained(std=2), 1.5, None)):
        numbers = table([layer])
        totals = numbers.groupby("weights")["count"].sum()
        assert totals.to_dict() == dict.fromkeys([NOMINAL] if layer.on_chip is None else [NOMINAL, ON_CHIP], 3600)
        for shares in histograms(weights([layer]).axes[0]):
            assert shares.sum() == pytest.approx(100)


def test_bars_of_a_chip_hold_equally_many_levels_and_its_limits_are_in_the_middle_of_one() -> None:
    numbers = table([written(trained())])
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
    on_chip = table([Weights(levels, levels, CLIP, LSB)]).query("weights == @ON_CHIP")["count"]
    assert len(on_chip) > 7
    assert on_chip.iloc[1:-1].nunique() == 1


def test_the_limits_of_the_chip_are_marked_where_it_has_some() -> None:
    def limits(axes: Axes) -> list[float]:
        return [float(path.vertices[0, 0]) for lines in axes.collections for path in lines.get_paths()]

    assert limits(weights([written(trained())]).axes[0]) == [-CLIP, CLIP]
    assert limits(weights([Weights(trained())]).axes[0]) == []


def test_only_what_differs_from_the_nominal_weights_is_shown_beside_them() -> None:
    assert len(histograms(weights([Weights(trained())]).axes[0])) == 1
    assert len(histograms(weights([written(trained())]).axes[0])) == 2
    assert not weights([Weights(trained())]).legends
    assert weights([written(trained())]).legends


@pytest.mark.parametrize("n_layers", [1, 2, 3, 4])
def test_weights_of_several_layers_are_legible(n_layers: int, assert_legible: Legible) -> None:
    assert_legible(weights([written(trained())] * n_layers))
    assert_legible(weights([Weights(trained(784, 350))] * n_layers))


NASTY = {
    "one": Weights(np.ones((1, 1), np.float32)),
    "all zero": Weights(np.zeros((5, 3), np.float32), np.zeros((5, 3), np.float32), 1.0, 1.0),
    "huge": Weights(trained() * np.float32(1e6), None, 1.0, None),
    "tiny": Weights(trained() * np.float32(1e-6)),
    "far beyond the limits": written(trained(std=30)),
    "one bit": Weights(trained(), np.sign(trained()), 1.0, 1.0),
    "a prime number of levels": Weights(trained(), trained(), 127 / 50, 1 / 50),
    "24 bits": Weights(trained(), trained(), 1.0, 2.0**-24),
}


@pytest.mark.parametrize("layer", NASTY.values(), ids=NASTY)
def test_nasty_weights_are_legible_and_complete(layer: Weights, assert_legible: Legible) -> None:
    assert_legible(weights([layer]))
    assert (table([layer]).groupby("weights")["count"].sum() == layer.nominal.size).all()
    assert len(table([layer])) <= 300


def test_no_layer_is_refused() -> None:
    with pytest.raises(ValueError, match="without layers"):
        weights([])
