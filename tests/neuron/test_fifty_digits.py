"""First spikes against fifty digits: none missed, none invented, all exact. And what the fifty digits are worth.

`agreement.py` defines the neighbourhood of grazing contacts, in roundings of what the membrane's terms add up to.
Measured by `python benchmarks/exactness.py 10` on 22,800 neurons of the kinds of layers below: no answer needed a
threshold that is more than 1.0 of these roundings away, 99 in 100 of the worst kind at most 0.5. ROUNDINGS is four
times the worst.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
import torch
from agreement import agreement
from fifty_digits import (
    Cell,
    Number,
    cells,
    derivatives,
    first_spikes,
    intervals,
    membrane,
    mp,
    number,
    response,
    slope,
)
from layers import FEW_RATIOS, LAYERS, RATIOS, draw, own_parameters

from ttfsrun.neuron import first_spike, reference

DOUBLE = torch.float64
tiny = mp.mpf(10) ** -50


@pytest.mark.parametrize("ratio", RATIOS)
@pytest.mark.parametrize("name", LAYERS)
def test_no_spike_is_missed_none_invented_and_each_is_exact(name, ratio, dtype):
    times, weight, neuron = draw(name, ratio, dtype)
    assert agreement(first_spike(times, weight, neuron), times, weight, neuron).spikes > 0


@pytest.mark.parametrize("ratio", RATIOS)
@pytest.mark.parametrize("name", [name for name in LAYERS if name != "many"])
def test_so_it_is_where_each_neuron_has_its_own_parameters(name, ratio, dtype):
    times, weight, neuron = draw(name, ratio, dtype, seed=1)
    neuron = own_parameters(neuron, len(times), weight.shape[1], np.random.default_rng(2))
    assert agreement(first_spike(times, weight, neuron), times, weight, neuron).spikes > 0


@pytest.mark.parametrize("ratio", [1.0, 1.001, 7.0])
def test_of_a_usual_layer_all_but_one_neuron_in_a_hundred_are_far_from_grazing(ratio, dtype):
    layers = [draw("usual", ratio, dtype, seed) for seed in range(2, 14)]
    found = [agreement(first_spike(*layer), *layer) for layer in layers]
    neurons, spikes, outside = map(sum, zip(*found, strict=True))
    assert spikes > 0.5 * neurons
    assert outside >= 0.99 * neurons


def some_cells(ratio: float) -> list[Cell]:
    """Cells that spike, of all kinds of layers."""
    each = [dict(cells(*draw(name, ratio, DOUBLE, seed=20))).values() for name in ("usual", "cancelling", "far_apart")]
    return [cell for kind in each for cell in list(kind)[:3] if first_spikes(cell) < [mp.inf]]


@pytest.mark.parametrize("ratio", FEW_RATIOS)
def test_fifty_digits_put_the_membrane_at_threshold_at_the_spike_and_below_before(ratio):
    for cell in some_cells(ratio):
        (spike,) = first_spikes(cell)
        assert abs(membrane(cell, spike) - cell.theta) < tiny * 1e6  # terms are up to 1e5
        assert membrane(cell, spike * (1 + tiny)) > cell.theta
        start = min(cell.times)
        before = [start + (spike - start) * number(part) for part in np.linspace(0, 1, 80, endpoint=False)]
        assert max(membrane(cell, time) for time in before) < cell.theta


@pytest.mark.parametrize("ratio", FEW_RATIOS)
def test_fifty_digits_find_the_highest_point_of_each_interval(ratio):
    for cell in some_cells(ratio):
        peaks = 0
        for interval in intervals(cell):
            last = min(interval.length, mp.mpf(10))
            inside = [membrane(cell, interval.start + last * k / 4) for k in range(1, 5)]
            assert interval.highest >= max(inside) - tiny * 1e6
            peak = interval.peak()
            if peak is not None:
                peaks += 1
                assert abs(slope(cell, interval.start + peak)) < tiny * 1e6
        assert peaks > 0


@pytest.mark.parametrize("ratio", RATIOS)
def test_the_response_of_fifty_digits_solves_the_equations_of_the_model(ratio):
    tau_mem, tau_syn = number(ratio), mp.mpf(1)
    for delay in map(number, (1e-6, 0.3, 1.0, 4.0)):
        rise = mp.diff(lambda d: response(d, tau_mem, tau_syn), delay, h=mp.mpf(10) ** -30)
        left = mp.exp(-delay / tau_syn) - response(delay, tau_mem, tau_syn) / tau_mem
        assert abs(rise - left) < mp.mpf(10) ** -25
        near = response(delay, tau_mem * (1 + tiny), tau_syn)
        assert abs(near - response(delay, tau_mem, tau_syn)) < tiny * max(1, ratio)


@pytest.mark.parametrize("ratio", [1.0, 1 + 1e-9, 2.0, 0.01])
def test_fifty_digits_tell_a_peak_that_exceeds_from_one_that_touches(ratio):
    cell = Cell((number(0.3),), (number(2.0),), number(ratio), mp.mpf(1), mp.mpf(1))
    highest = next(intervals(cell)).highest
    for theta, spikes in ((highest * (1 - tiny), True), (highest, False), (highest * (1 + tiny), False)):
        (spike,) = first_spikes(Cell(cell.times, cell.weights, cell.tau_mem, cell.tau_syn, theta))
        assert (spike < mp.inf) is spikes


@pytest.mark.parametrize("ratio", [1.0, 1.001, 2.0, 0.5, 7.0])
def test_fifty_digits_and_the_plain_float64_reference_agree(ratio):
    for name in ("usual", "far_apart", "single"):
        times, weight, neuron = draw(name, ratio, DOUBLE, seed=21)
        spikes = torch.tensor(reference.first_spike_reference(times.numpy(), weight.numpy(), ratio, 1.0, 1.0))
        assert agreement(spikes, times, weight, neuron).spikes > 0


def differences(cell: Cell) -> Iterator[tuple[Number, Number]]:
    """(derivative of the first spike, its limit of differences) for the constants and some inputs."""
    step = mp.mpf(10) ** -18
    found = derivatives(cell, first_spikes(cell)[0])

    def difference(name: str, i: int | None = None) -> Number:
        spikes = []
        for change in (step, -step):
            value = getattr(cell, name)
            new = value + change if i is None else (*value[:i], value[i] + change, *value[i + 1 :])
            spikes += first_spikes(replace(cell, **{name: new}))
        return (spikes[0] - spikes[1]) / (2 * step)

    yield found.v_th, difference("theta")
    yield found.v_leak, -difference("theta")
    yield found.tau_mem, difference("tau_mem")
    yield found.tau_syn, difference("tau_syn")
    for i in range(0, len(cell.times), 7):
        yield found.weights[i], difference("weights", i)
        yield found.times[i], difference("times", i)


@pytest.mark.parametrize("ratio", FEW_RATIOS)
def test_derivatives_of_fifty_digits_are_the_limits_of_differences(ratio):
    for cell in some_cells(ratio)[::3]:
        for derivative, limit in differences(cell):
            assert abs(derivative - limit) < 1e-20 * (1 + abs(derivative))
