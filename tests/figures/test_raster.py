from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ttfsrun.figures.raster import MOMENTS, Delayed, raster, table

LABELS = np.array([7, 2, 1, 0])


def mnist_like(seed: int = 0) -> list[np.ndarray]:
    """Return spikes of 256 inputs (a third silent), 246 hidden and 10 label neurons: right, wrong, right, none."""
    rng = np.random.default_rng(seed)
    inputs = 0.15 + 1.85 * rng.random((4, 256))
    inputs[rng.random((4, 256)) < 1 / 3] = np.inf
    hidden = 0.7 + rng.gamma(2, 0.3, (4, 246))
    hidden[rng.random((4, 246)) < 0.4] = np.inf
    output = 1.5 + rng.random((4, 10))
    output[0, 7] = output[1, 9] = output[2, 1] = 1.25
    output[3] = np.inf
    return [inputs, hidden, output]


def points(axes: Axes, marker: str) -> np.ndarray:
    """Return the points [K, 2] with this marker."""
    return np.concatenate(
        [np.empty((0, 2))] + [line.get_xydata() for line in axes.lines if line.get_marker() == marker]
    )


def silent_marks(axes: Axes) -> np.ndarray:
    """Return the begin and end [K, 2, 2] of each tick for a silent neuron."""
    paths = [path for ticks in axes.collections for path in ticks.get_paths()]
    return np.array([path.vertices for path in paths]).reshape(-1, 2, 2)


def titles(figure: Figure, n_samples: int) -> list[str]:
    return [axes.get_title().replace(r"$\tau_\mathrm{syn}$", "tau_syn") for axes in figure.axes[:n_samples]]


def test_the_title_tells_the_true_class_the_decision_and_its_time() -> None:
    arrow = "\N{RIGHTWARDS ARROW}"
    assert titles(raster(mnist_like(), LABELS), 4) == [
        f"7 {arrow} 7 at 1.25 tau_syn",
        f"2 {arrow} 9 at 1.25 tau_syn",
        f"1 {arrow} 1 at 1.25 tau_syn",
        f"0 {arrow} none",
    ]


def test_the_ring_is_at_the_first_output_spike() -> None:
    bottom = raster(mnist_like(), LABELS).axes[8:]
    assert [points(axes, "o").tolist() for axes in bottom] == [[[1.25, 7.0]], [[1.25, 9.0]], [[1.25, 1.0]], []]


def test_every_neuron_is_drawn_once_as_spike_or_as_silent() -> None:
    times = mnist_like()
    panels = iter(raster(times, LABELS).axes)
    for layer in times:
        for of_sample, axes in zip(layer, panels, strict=False):
            spikes = points(axes, ".")
            assert sorted([*spikes[:, 1], *silent_marks(axes)[:, 0, 1]]) == list(range(len(of_sample)))
            assert (spikes[:, 0] == of_sample[np.isfinite(of_sample)]).all()
            count = int(np.isinf(of_sample).sum())
            assert [text.get_text() for text in axes.texts] == ([f"{count} silent"] if count else [])


def test_the_mark_of_a_silent_neuron_lies_after_the_last_spike() -> None:
    times = mnist_like()
    last = max(layer[np.isfinite(layer)].max() for layer in times)
    for axes in raster(times, LABELS).axes:
        assert (silent_marks(axes)[:, :, 0] > last).all()
        assert max(axes.get_xticks()) <= last * 1.03


@pytest.mark.parametrize("n_samples", [1, 3, 4])
def test_a_raster_of_mnist_is_legible(n_samples: int, assert_legible: Callable[[Figure], None]) -> None:
    assert_legible(raster([layer[:n_samples] for layer in mnist_like()], LABELS[:n_samples]))


def test_a_raster_of_yin_yang_with_two_hidden_layers_is_legible(assert_legible: Callable[[Figure], None]) -> None:
    rng = np.random.default_rng(0)
    times = [0.15 + 2 * rng.random((3, size)) for size in (4, 120, 50, 3)]
    times[-1][0, 1] = np.inf
    assert_legible(raster(times, np.array([0, 1, 2]), ["yin", "yang", "dot"]))


def test_a_network_without_any_spike_is_drawn(assert_legible: Callable[[Figure], None]) -> None:
    times = [np.full((1, size), np.inf) for size in (4, 20, 3)]
    figure = raster(times, np.array([2]))
    assert [axes.texts[0].get_text() for axes in figure.axes] == ["4 silent", "20 silent", "3 silent"]
    assert_legible(figure)


def test_the_table_holds_each_spike_time() -> None:
    times = mnist_like()
    numbers = table(times, LABELS)
    assert list(numbers["layer"].unique()) == ["input", "hidden", "label"]
    for title, layer in zip(["input", "hidden", "label"], times, strict=True):
        of_layer = numbers[numbers["layer"] == title].pivot(index="sample", columns="neuron", values="spike_time")
        assert (of_layer.to_numpy() == layer).all()
    assert numbers.groupby("sample")["label"].unique().explode().tolist() == LABELS.tolist()


def test_what_cannot_be_drawn_is_refused() -> None:
    times = mnist_like()
    with pytest.raises(ValueError, match="1 to 4"):
        raster([np.repeat(layer, 2, axis=0) for layer in times], np.repeat(LABELS, 2))
    with pytest.raises(ValueError, match=r"times\[1\] has 3 samples for 4 labels"):
        raster([times[0], times[1][:3], times[2]], LABELS)
    times[0][0, 0] = np.nan
    with pytest.raises(ValueError, match=r"times\[0\] has a NaN"):
        raster(times, LABELS)


def delays_of(times: list[np.ndarray]) -> Delayed:
    """Return delays: axonal ones of inputs and hidden neurons, dendritic ones of label neurons."""
    rng = np.random.default_rng(1)
    inputs, hidden, output = (rng.random(layer.shape[1]) for layer in times)
    return {
        "arrival_time": [times[0] + inputs, times[1] + hidden, None],
        "crossing_time": [None, None, times[2] - output],
    }


def of_colour(axes: Axes, colour: str) -> np.ndarray:
    """Return the dots [K, 2] of this colour."""
    return np.concatenate([np.empty((0, 2))] + [line.get_xydata() for line in axes.lines if line.get_color() == colour])


def test_each_spike_is_joined_with_its_arrival_or_its_crossing() -> None:
    times = mnist_like()
    delayed = delays_of(times)
    panels = np.reshape(raster(times, LABELS, delayed=delayed).axes, (3, 4))
    for name, layers in delayed.items():
        _, colour = MOMENTS[name]
        for spikes, others, of_layer in zip(times, layers, panels, strict=True):
            for sample, axes in enumerate(of_layer):
                expected = np.empty((0, 2))
                if others is not None:
                    spiked = np.flatnonzero(np.isfinite(spikes[sample]))
                    expected = np.column_stack((others[sample, spiked], spiked))
                    lines = silent_marks(axes)[-len(spiked) :] if len(spiked) else np.empty((0, 2, 2))
                    assert np.array_equal(lines[:, 0, 0], spikes[sample, spiked])
                    assert np.array_equal(lines[:, 1], expected)
                assert np.array_equal(of_colour(axes, colour), expected)


def test_the_legend_says_what_happens_in_its_order() -> None:
    times = mnist_like()
    both = delays_of(times)

    def words(delayed: Delayed) -> list[str]:
        return [text.get_text() for legend in raster(times, LABELS, delayed=delayed).legends for text in legend.texts]

    assert words(both) == ["crossed", "sent", "arrived"]
    assert words({"arrival_time": both["arrival_time"]}) == ["sent", "arrived"]
    assert words({}) == []


def test_a_raster_with_delays_is_legible_and_all_of_it_is_within_the_axis(
    assert_legible: Callable[[Figure], None],
) -> None:
    times = mnist_like()
    delayed = delays_of(times)
    figure = raster(times, LABELS, delayed=delayed)
    assert_legible(figure)
    shown = np.concatenate([layer.ravel() for layers in delayed.values() for layer in layers if layer is not None])
    low, high = figure.axes[0].get_xlim()
    assert low < shown.min()
    assert shown[np.isfinite(shown)].max() < high


def test_the_table_holds_the_other_times_of_delayed_events_and_no_columns_without() -> None:
    times = mnist_like()
    plain, numbers = table(times, LABELS), table(times, LABELS, delays_of(times))
    assert numbers[plain.columns].equals(plain)
    assert numbers.columns[len(plain.columns) :].tolist() == ["arrival_time", "crossing_time"]
    arrived = numbers["arrival_time"] - numbers["spike_time"]
    assert (numbers["arrival_time"].isna() == (numbers["layer"] == "label")).all()
    assert arrived[np.isfinite(numbers["spike_time"])].dropna().between(0, 1).all()
    assert (numbers["crossing_time"].isna() == (numbers["layer"] != "label")).all()


def test_delays_of_other_neurons_are_refused() -> None:
    times = mnist_like()
    with pytest.raises(ValueError, match=r"arrival_time of layer 1 is \(4, 10\), its spikes \(4, 246\)"):
        table(times, LABELS, {"arrival_time": [None, times[2], None]})
