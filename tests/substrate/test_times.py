"""Times on a chip: recorded and sent on a grid, moved, lost. No spike stays no spike."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from perturbed import FIXED, STRONG, configured, operating, outcome, some_times
from torch import Tensor

from ttfsrun.network import build
from ttfsrun.neuron import Neuron, first_spike
from ttfsrun.substrate.kinds import on_grid

INF = math.inf
STEPS = [0.00133, 0.05, 1 / 3]
times_or_none = st.floats(-10, 100, width=32) | st.just(INF)


def steps_of(times: Tensor, step: float) -> Tensor:
    return times[times.isfinite()].double() / step


@pytest.mark.parametrize("rounding", ["nearest", "floor"])
@pytest.mark.parametrize("step", STEPS)
def test_all_recorded_and_arriving_times_are_on_the_grid(step: float, rounding: str) -> None:
    noise = {"spike_time.jitter": 0.1, "input_time.jitter": 0.1, "spike_time.loss": 0.1, "dead_neurons.p": 0.2}
    config = configured({"time_resolution.step": step, "time_resolution.rounding": rounding, **noise})
    operation, times = operating(config), some_times(100)
    arriving = operation.external(0, times)
    for recorded in (arriving, *outcome([config], times, operation)[0]):
        steps = steps_of(recorded, step)
        assert len(steps) > 30
        assert float((steps - steps.round()).abs().max()) < 1e-3
        assert len(steps.round().unique()) > 3
    without = operating(configured(noise)).external(0, times)
    late = (without - arriving) / step
    low, high = (-0.5, 0.5) if rounding == "nearest" else (0.0, 1.0)
    assert low - 1e-3 < float(late.min()) < low + 0.1
    assert high - 0.1 < float(late.max()) < high + 1e-3


@pytest.mark.parametrize("rounding", ["nearest", "floor"])
@FIXED
@given(times=arrays.arrays(np.float32, 6, elements=times_or_none), step=st.floats(1e-3, 10))
def test_a_time_goes_to_the_nearest_step_or_the_one_before_and_no_spike_stays_none(
    rounding: str, times: np.ndarray, step: float
) -> None:
    value = torch.from_numpy(times)
    found = on_grid(value, torch.tensor(step, dtype=torch.float64), rounding)  # type: ignore[arg-type]
    assert torch.equal(found.isinf(), value.isinf())
    late = ((value - found)[value.isfinite()].double() / step).numpy()
    slack = 1e-6 * 100 / step  # a float32's last digit, in steps
    low, high = (-0.5, 0.5) if rounding == "nearest" else (0.0, 1.0)
    assert ((late >= low - slack) & (late <= high + slack)).all()


@FIXED
@given(times=arrays.arrays(np.float64, 6, elements=times_or_none), step=st.floats(1e-3, 10))
def test_times_on_the_grid_stay_where_they_are(times: np.ndarray, step: float) -> None:
    width = torch.tensor(step, dtype=torch.float64)
    once = on_grid(torch.from_numpy(times), width, "nearest")
    assert torch.equal(on_grid(once, width, "nearest"), once)


@pytest.mark.parametrize("rounding", ["nearest", "floor"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("step", [*STEPS, 0.1, 0.3])
def test_a_multiple_of_the_step_is_not_moved(step: float, dtype: torch.dtype, rounding: str) -> None:
    """Multiples that are not exact, such as 13 times 0.05, which is 0.64999998 in float32."""
    times = (torch.arange(-3000, 3000, dtype=torch.float64) * step).to(dtype)
    moved = (on_grid(times, torch.tensor(step, dtype=torch.float64), rounding) - times).double() / step  # type: ignore[arg-type]
    assert float(moved.abs().max()) < 1e-3


def test_what_is_recorded_in_one_layer_is_what_arrives_in_the_next() -> None:
    """Once on the grid: nothing that comes before the clock reaches the next layer."""
    config = configured({"time_resolution.step": 0.25, "spike_time.jitter": 0.1})
    hidden, output = outcome([config], some_times(), operating(config))[0]
    bias = torch.full((1, 20, 1), 1.0)  # 0.9 on the grid
    crossings = first_spike(torch.cat((hidden, bias), -1), build([config]).weights[1], Neuron())
    assert torch.equal(output, operating(config).spikes(1, crossings).value)


@pytest.mark.parametrize(
    "settings",
    [
        {"spike_time.jitter": 0.5},
        {"time_resolution.step": 0.1},
        {"time_resolution.step": 0.1, "spike_time.jitter": 0.5},
    ],
    ids="+".join,
)
def test_neurons_without_a_spike_and_inputs_without_one_stay_silent(settings: dict[str, float]) -> None:
    inputs = {key.replace("spike_time", "input_time"): value for key, value in settings.items()}
    operation = operating(configured(settings | inputs))
    times = some_times(50, 7)
    times[:, ::2, 1::2] = INF
    for moved in (operation.spikes(0, times).value, operation.external(0, times)):
        assert torch.equal(moved.isinf(), times.isinf())
        assert not torch.isin(moved[times.isfinite()], times).any()


def test_noise_comes_before_the_clock_and_a_lost_spike_is_in_no_record() -> None:
    settings = {"spike_time.jitter": 0.3, "spike_time.loss": 0.3, "time_resolution.step": 0.1}
    times = torch.full((1, 50, 7), 2.0)
    found = operating(configured(settings)).spikes(0, times).value
    jittered = operating(configured({"spike_time.jitter": 0.3})).spikes(0, times).value
    lost = operating(configured({"spike_time.loss": 0.3})).spikes(0, times).value.isinf()
    assert 50 < int(lost.sum()) < 200
    expected = on_grid(jittered, torch.tensor(0.1, dtype=torch.float64), "nearest").masked_fill(lost, INF)
    assert torch.equal(found, expected)


def test_jitter_may_put_a_spike_before_its_cause_and_before_the_observation() -> None:
    config = configured({"spike_time.jitter": 1.0})
    times = some_times(200)
    hidden = outcome([config], times, operating(config))[0][0]
    assert bool((hidden < times.amin(dim=-1, keepdim=True)).any())
    assert bool((hidden < 0).any())


def test_a_spike_that_jitter_moves_behind_the_end_of_the_observation_does_not_happen() -> None:
    config = configured({"spike_time.jitter": 0.5}, network__t_max=1.5)
    free = configured({"spike_time.jitter": 0.5})
    ends, goes_on = (outcome([each], some_times(), operating(each))[0][0] for each in (config, free))
    assert 5 < int((goes_on.isfinite() & (goes_on > 1.5)).sum()) < goes_on.numel() - 5
    assert torch.equal(ends, goes_on.masked_fill(goes_on > 1.5, INF))


def test_every_event_from_outside_is_moved_by_itself_bias_and_repeated_lines_included() -> None:
    config = configured({"input_time.jitter": 0.1}, network__input_repeats=3)
    arriving = operating(config).external(0, torch.full((1, 4, 15), 0.9))
    assert len(arriving.unique()) == 60
    later = operating(config).external(1, torch.full((1, 4, 1), 0.9))
    assert len(later.unique()) == 4
    assert not torch.isin(later, arriving).any()


def test_recorded_times_are_of_the_type_of_the_network() -> None:
    config = configured({key: value for key, value in STRONG.items() if not key.startswith("dead")})
    assert {layer.dtype for layer in outcome([config], some_times(), operating(config))[0]} == {torch.float32}
