from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from matplotlib.figure import Figure

from ttfsrun.figures import style
from ttfsrun.figures.membrane import EXCITATORY, INHIBITORY, LATER, ROLES, Trace, membrane, table

Legible = Callable[[Figure], None]


def trace(role: str = ROLES[1], sample: int = 0, crossing: float = 1.0, n_inputs: int = 4, scale: float = 1.0) -> Trace:
    """Return a line that rises with slope `scale` from 0 and reaches the threshold at the crossing."""
    time = np.union1d(np.linspace(0, 2, 41), [crossing] if crossing < math.inf else [])
    random = np.random.default_rng(sample)
    arrivals, weight = random.uniform(0.1, 1.9, n_inputs), random.normal(0.5, 1, n_inputs)
    if n_inputs >= 4:
        arrivals[:4], weight[:4] = [0.5, 0.8, 1.0, math.inf], [1.0, -0.5, 2.0, 3.0]
    return Trace(
        sample=sample,
        label=sample,
        role=role,
        layer="label" if role == ROLES[0] else "hidden",
        neuron=sample,
        arrivals=arrivals,
        weight=weight,
        v_th=scale * min(crossing, 2.5),
        v_leak=0.0,
        crossing=crossing,
        recorded=crossing,
        time=time,
        voltage=scale * time,
    )


def several(n_samples: int, n_inputs: int = 4) -> list[Trace]:
    crossings = dict(zip(ROLES, (0.5, 0.7, 1.8, math.inf), strict=True))
    return [
        trace(role, sample, crossing, n_inputs) for sample in range(n_samples) for role, crossing in crossings.items()
    ]


def stems(axes: Axes) -> dict[tuple[float, str], float]:
    """Return the length of each stem by time and colour."""
    return {
        (float(path.vertices[0, 0]), to_hex(lines.get_color()[0]).upper()): float(np.diff(path.vertices[:, 1])[0])
        for lines in axes.collections
        for path in lines.get_paths()
    }


def markers(axes: Axes, marker: str) -> list[tuple[float, float]]:
    return [tuple(point) for line in axes.lines if line.get_marker() == marker for point in line.get_xydata()]


def test_the_ring_is_on_the_line_at_the_crossing_and_the_threshold() -> None:
    (axes,) = membrane([trace(crossing=1.234567)]).axes
    assert markers(axes, "o") == [(1.234567, 1.234567)]
    lines = [line.get_xydata() for line in axes.lines if len(line.get_xydata()) > 2]
    assert all([1.234567, 1.234567] in points.tolist() for points in lines)
    assert [1.234567, 1.234567] in [list(line.get_ydata()) for line in axes.lines]  # the threshold
    (silent,) = membrane([trace(crossing=math.inf)]).axes
    assert markers(silent, "o") == []


def test_the_line_is_pale_after_the_crossing() -> None:
    (axes,) = membrane([trace()]).axes
    after, before = (line for line in axes.lines if len(line.get_xydata()) > 2)
    assert (after.get_color(), before.get_color()) == (LATER, style.INK)
    assert before.get_xdata().max() == after.get_xdata().min() == 1.0


def test_inputs_are_stems_by_sign_and_those_that_are_not_causal_are_pale() -> None:
    (axes,) = membrane([trace(crossing=1.0)]).axes
    lengths = stems(axes)
    assert lengths.keys() == {(0.5, EXCITATORY.upper()), (0.8, INHIBITORY.upper()), (1.0, LATER.upper())}
    longest = lengths[1.0, LATER.upper()]  # at the crossing: too late
    assert lengths[0.5, EXCITATORY.upper()] == pytest.approx(longest / 2)
    assert lengths[0.8, INHIBITORY.upper()] == pytest.approx(-longest / 4)


def test_a_spike_that_was_recorded_elsewhere_or_lost_says_so() -> None:
    usual, moved, lost = trace(), replace(trace(), recorded=1.1), replace(trace(), recorded=math.inf)
    assert [text.get_text() for text in membrane([usual]).axes[0].texts] == ["hidden #0 at 1.00"]
    assert [text.get_text() for text in membrane([lost]).axes[0].texts] == ["hidden #0, spike lost"]
    assert [text.get_text() for text in membrane([trace(crossing=math.inf)]).axes[0].texts] == ["hidden #0, silent"]
    assert markers(membrane([moved]).axes[0], "|") == [(1.1, 1.0)]
    assert markers(membrane([usual]).axes[0], "|") == markers(membrane([lost]).axes[0], "|") == []


def test_the_heads_tell_the_true_class_and_the_decision() -> None:
    arrow = "\N{RIGHTWARDS ARROW}"
    wrong, right = replace(trace(ROLES[0], 1), neuron=0), trace(ROLES[0], 2)
    none = replace(trace(ROLES[0], 0, math.inf), neuron=1)
    figure = membrane([none, wrong, right], ["yin", "yang", "dot"])
    assert [axes.get_title() for axes in figure.axes] == [f"yin {arrow} none", f"yang {arrow} yin", f"dot {arrow} dot"]
    assert [axes.title.get_color() for axes in figure.axes] == [style.WRONG, style.WRONG, style.RIGHT]


@pytest.mark.parametrize("n_samples", [1, 3, 4])
def test_membranes_are_legible(n_samples: int, assert_legible: Legible) -> None:
    assert_legible(membrane(several(n_samples)))


def test_membranes_of_many_inputs_that_were_recorded_elsewhere_are_legible(assert_legible: Legible) -> None:
    moved = [replace(usual, recorded=usual.recorded + 0.1) for usual in several(4, 784)]
    assert_legible(membrane(moved))


def test_samples_that_lack_a_neuron_have_an_empty_panel(assert_legible: Legible) -> None:
    figure = membrane([trace(ROLES[0], 0), trace(ROLES[0], 1), trace(ROLES[3], 1, math.inf)])
    assert [axes.texts[0].get_text() for axes in figure.axes] == [
        "0 at 1.00",
        "1 at 1.00",
        "no other neuron",
        "hidden #1, silent",
    ]
    assert_legible(figure)


@pytest.mark.parametrize("scale", [1e-3, 1e3])
def test_membranes_of_any_scale_and_without_inputs_are_legible(scale: float, assert_legible: Legible) -> None:
    assert_legible(membrane([trace(scale=scale, n_inputs=0), trace(ROLES[0], scale=scale)]))


def test_a_neuron_that_fires_by_itself_is_drawn(assert_legible: Legible) -> None:
    by_itself = replace(trace(), crossing=0.0, recorded=0.0, v_th=-0.5, voltage=np.zeros(41))
    figure = membrane([by_itself])
    assert markers(figure.axes[0], "o") == [(0.0, 0.0)]
    assert_legible(figure)


def test_the_table_holds_the_line_the_parameters_and_the_inputs() -> None:
    numbers = table([trace(ROLES[0], 0), trace(ROLES[1], 1, math.inf)])
    first, second = (numbers[numbers["sample"] == sample].set_index("quantity") for sample in (0, 1))
    assert first.loc["membrane", "value"].tolist() == np.linspace(0, 2, 41).tolist()
    assert first.loc["crossing", ["time", "value"]].tolist() == [1, 1]
    assert first.loc[["threshold", "leak"], "value"].tolist() == [1, 0]
    assert first.loc["input", ["time", "value"]].to_numpy().tolist() == [[0.5, 1.0], [0.8, -0.5], [1.0, 2.0]]
    assert second.loc["recorded", "time"] == math.inf
    assert np.isnan(second.loc["crossing", "value"])
    assert set(numbers["role"]) == set(ROLES[:2])


def test_no_neuron_is_refused() -> None:
    with pytest.raises(ValueError, match="no neuron is chosen"):
        membrane([])
