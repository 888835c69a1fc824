from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from ttfsrun.config import schema
from ttfsrun.data import encode

ALL_SPIKE = schema.Encoding(t_early=0.15, t_late=2.0, silent_at_one=False)
WHITE_IS_SILENT = schema.Encoding(t_early=0.15, t_late=2.0, silent_at_one=True)


def test_zero_and_one_give_exactly_the_earliest_and_the_latest_time() -> None:
    times = encode(np.array([0, 1], np.float32), ALL_SPIKE)
    assert times.dtype == np.float32
    assert times.tolist() == [np.float32(0.15), 2.0]


def test_the_time_is_linear_in_the_value() -> None:
    np.testing.assert_allclose(encode(np.array([0.2, 0.5], np.float32), ALL_SPIKE), [0.52, 1.075], rtol=1e-7)


def test_only_a_value_of_exactly_one_is_silent() -> None:
    below = np.nextafter(np.float32(1), np.float32(0))
    times = encode(np.array([[1, below], [0, 1]], np.float32), WHITE_IS_SILENT)
    assert np.array_equal(times == np.inf, [[True, False], [False, True]])


def test_of_all_pixels_only_white_is_silent() -> None:
    values = 1 - np.arange(256, dtype=np.float32) / np.float32(255)
    assert np.flatnonzero(encode(values, WHITE_IS_SILENT) == np.inf).tolist() == [0]


@given(values=arrays(np.float32, 10, elements=st.floats(0, 1, width=32)))
def test_a_larger_value_never_spikes_earlier(values: np.ndarray) -> None:
    times = encode(np.sort(values), WHITE_IS_SILENT)
    assert np.all(times[1:] >= times[:-1])


def test_the_values_stay_as_they_are() -> None:
    values = np.array([0, 0.5, 1], np.float32)
    encode(values, WHITE_IS_SILENT)
    assert values.tolist() == [0, 0.5, 1]
