"""The vector functions of the kernels, lane by lane, against numpy in a wider type."""

from __future__ import annotations

import math

import mpmath
import numba
import numpy as np
import pytest

from ttfsrun.neuron.kernels import elementary, simd
from ttfsrun.neuron.kernels.lanes import LANES
from ttfsrun.neuron.kernels.simd import any_lane, cast, max_lane, select, splat, sums_of_lanes, vload, vstore

TYPES = [np.float32, np.float64]


def compiled(function):
    return numba.njit(error_model="numpy")(function)


def elementwise(function):
    """`function` of vectors as a function of arrays; their length is a multiple of the lanes."""

    def unary(a, out):
        for at in range(0, a.size, LANES):
            vstore(out, at, function(vload(a, at)))

    def binary(a, b, out):
        for at in range(0, a.size, LANES):
            vstore(out, at, function(vload(a, at), vload(b, at)))

    def ternary(a, b, c, out):
        for at in range(0, a.size, LANES):
            vstore(out, at, function(vload(a, at), vload(b, at), vload(c, at)))

    def call(*arrays):
        kernel = {1: unary, 2: binary, 3: ternary}[len(arrays)]
        out = np.empty_like(arrays[0])
        compiled(kernel)(*arrays, out)
        return out

    return call


def whole(values, dtype):
    """`values` as an array of whole vectors."""
    values = np.asarray(values, dtype)
    return np.resize(values, -(-values.size // LANES) * LANES)


def units_in_last_place(result, exact):
    """Largest error; `exact` is of a wider type."""
    return np.max(np.abs(result - exact) / np.spacing(np.abs(exact).astype(result.dtype)))


def wider(values):
    return values.astype(np.float64 if values.dtype == np.float32 else np.longdouble)


needs_longdouble = pytest.mark.skipif(
    np.finfo(np.longdouble).eps == np.finfo(np.float64).eps, reason="this platform has nothing wider than float64"
)
each_type = pytest.mark.parametrize(
    "dtype", [np.float32, pytest.param(np.float64, marks=needs_longdouble)], ids=["float32", "float64"]
)


@each_type
def test_exp_is_within_one_unit_in_the_last_place(dtype):
    generator = np.random.default_rng(0)
    low, high = (-87, 88) if dtype == np.float32 else (-708, 709)
    x = whole(np.concatenate([generator.uniform(low, high, 100_000), generator.normal(0, 1, 100_000)]), dtype)
    assert units_in_last_place(elementwise(elementary.exp)(x), np.exp(wider(x))) < 1


@pytest.mark.parametrize("dtype", TYPES)
def test_exp_is_exact_at_its_ends(dtype):
    result = elementwise(elementary.exp)(whole([0.0, -0.0, -math.inf, math.inf, -1e30, 1e30, -1e4, 1e4], dtype))
    assert result[:8].tolist() == [1, 1, 0, math.inf, 0, math.inf, 0, math.inf]


@each_type
def test_log_is_within_three_units_in_the_last_place(dtype):
    generator = np.random.default_rng(1)
    span = 80 if dtype == np.float32 else 700
    near_one = 1 + generator.uniform(-0.5, 1, 100_000)
    x = whole(np.concatenate([np.exp(generator.uniform(-span, span, 100_000)), near_one]), dtype)
    assert units_in_last_place(elementwise(elementary.log)(x), np.log(wider(x))) < 3


@pytest.mark.parametrize("dtype", TYPES)
def test_log_of_one_is_zero(dtype):
    assert not elementwise(elementary.log)(whole([1.0], dtype)).any()


@each_type
def test_the_series_of_a_rise_is_within_one_unit_in_the_last_place(dtype):
    z = whole(np.random.default_rng(2).uniform(-0.5, 0.5, 100_000), dtype)
    assert units_in_last_place(elementwise(elementary.rise_series)(z), -np.expm1(-wider(z)) / wider(z)) < 1
    assert elementwise(elementary.rise_series)(whole([0.0], dtype))[0] == 1


@pytest.mark.parametrize("dtype", TYPES)
def test_the_second_series_is_the_mean_slope_of_the_first(dtype):
    z = whole(np.random.default_rng(3).uniform(0.01, 0.5, 1000), dtype)
    with mpmath.workdps(40):
        exact = [(1 - (1 - mpmath.exp(-x)) / x) / x for x in map(mpmath.mpf, z.tolist())]
    result = elementwise(elementary.second_rise_series)(z)
    np.testing.assert_allclose(result, [float(value) for value in exact], rtol=2 * np.finfo(dtype).eps)
    assert elementwise(elementary.second_rise_series)(whole([0.0], dtype))[0] == 0.5


@pytest.mark.parametrize(("storage", "error"), [(np.float32, 1e-9), (np.float64, 3e-16)])
def test_the_short_series_are_as_exact_as_the_results_that_they_are_for(storage, error):
    near_decay, near_rise = elementary.near_decay, elementary.near_rise

    @compiled
    def both(z, kept, decay, rise):
        for at in range(0, z.size, LANES):
            vstore(decay, at, near_decay(kept, vload(z, at)))
            vstore(rise, at, near_rise(kept, vload(z, at)))

    z = whole(np.append(np.random.default_rng(4).uniform(0, elementary.NEAR, 1000), [0, elementary.NEAR]), np.float64)
    decay, rise = np.empty_like(z), np.empty_like(z)
    both(z, np.empty(1, storage), decay, rise)
    np.testing.assert_allclose(decay, np.exp(-z), rtol=error)
    np.testing.assert_allclose(rise, np.where(z > 0, -np.expm1(-z) / np.where(z > 0, z, 1), 1), rtol=error)


def test_a_cast_rounds_once():
    @compiled
    def narrowed_and_widened(a, narrow, wide):
        vstore(narrow, 0, cast(narrow, vload(a, 0)))
        vstore(wide, 0, cast(wide, vload(narrow, 0)))

    a = np.random.default_rng(5).normal(0, 1, LANES)
    narrow, wide = np.empty(LANES, np.float32), np.empty(LANES)
    narrowed_and_widened(a, narrow, wide)
    assert np.array_equal(narrow, a.astype(np.float32))
    assert np.array_equal(wide, narrow.astype(np.float64))


@pytest.mark.parametrize("dtype", TYPES)
def test_arithmetic_is_that_of_ieee_754(dtype):
    generator = np.random.default_rng(3)
    a, b = (whole(generator.normal(0, 1, 1000), dtype) for _ in range(2))
    a[:4], b[:4] = [1, -1, 0, np.inf], [0, 0, 0, np.inf]
    with np.errstate(all="ignore"):
        for function, expected in (
            (lambda a, b: a + b, a + b),
            (lambda a, b: a - b, a - b),
            (lambda a, b: a * b, a * b),
            (lambda a, b: a / b, a / b),
        ):
            assert np.array_equal(elementwise(compiled(function))(a, b), expected, equal_nan=True)
        assert np.array_equal(elementwise(simd.sqrt)(np.abs(a)), np.sqrt(np.abs(a)))
        assert np.array_equal(elementwise(simd.fabs)(a), np.abs(a))


@each_type
def test_fma_rounds_once(dtype):
    generator = np.random.default_rng(4)
    a, b = (whole(generator.normal(0, 1, 1000), dtype) for _ in range(2))
    c = -(a * b)  # what is left is the rounding of the product, which a second rounding would lose
    rest = elementwise(simd.fma)(a, b, c)
    assert np.count_nonzero(rest) > 900
    if dtype == np.float32:  # a product of two float32 is exact in float64
        assert np.array_equal(rest, wider(a) * wider(b) + wider(c))
    else:
        assert np.all(np.abs(rest) <= np.spacing(np.abs(c)) / 2)


@pytest.mark.parametrize("dtype", TYPES)
def test_minimum_and_maximum_take_the_second_where_the_first_is_not_a_number(dtype):
    a, b = whole([1.0, 2.0, np.nan, -np.inf], dtype), whole([2.0, 1.0, 3.0, 0.0], dtype)
    assert elementwise(simd.minimum)(a, b)[:4].tolist() == [1, 1, 3, -math.inf]
    assert elementwise(simd.maximum)(a, b)[:4].tolist() == [2, 2, 3, 0]


def one_where(mask):
    """1 where the mask is set, 0 elsewhere."""
    return elementwise(compiled(lambda a, b: select(mask(a, b), splat(a, 1.0), splat(a, 0.0))))


@pytest.mark.parametrize("dtype", TYPES)
def test_select_takes_each_lane_by_its_own_mask(dtype):
    generator = np.random.default_rng(5)
    a, b = (whole(generator.integers(-2, 3, 160), dtype) for _ in range(2))
    a[::16], b[8::16] = np.nan, np.nan  # nothing compares with these
    for mask, expected in (
        (lambda a, b: a > b, a > b),
        (lambda a, b: a < b, a < b),
        (lambda a, b: a >= b, a >= b),
        (lambda a, b: a == b, a == b),
        (lambda a, b: ~(a > b), ~(a > b)),
        (lambda a, b: (a > b) | (a == b), a >= b),
        (lambda a, b: (a >= b) & (b >= a), a == b),
    ):
        assert np.array_equal(one_where(compiled(mask))(a, b), expected)


@pytest.mark.parametrize("dtype", TYPES)
def test_any_lane_sees_each_lane(dtype):
    @compiled
    def positive(a):
        return any_lane(vload(a, 0) > splat(a, 0.0))

    assert not positive(np.zeros(LANES, dtype))
    assert all(positive(row) for row in np.eye(LANES, dtype=dtype))


@pytest.mark.parametrize("dtype", TYPES)
def test_sums_over_lanes_add_halves_in_one_fixed_order(dtype):
    @compiled
    def totals(a, out):
        vstore(out, 0, sums_of_lanes(a, 3))

    for values in np.random.default_rng(6).normal(0, 1, (50, LANES, LANES)).astype(dtype):
        out = np.empty(LANES, dtype)
        totals(np.append(np.zeros(3, dtype), values), out)
        rest = values
        while rest.shape[1] > 1:
            rest = rest[:, : rest.shape[1] // 2] + rest[:, rest.shape[1] // 2 :]
        assert np.array_equal(out, rest[:, 0])


@pytest.mark.parametrize("dtype", TYPES)
def test_the_largest_lane_is_found_wherever_it_is(dtype):
    @compiled
    def largest(a):
        return max_lane(vload(a, 0))

    for row in np.eye(LANES, dtype=dtype) - 3:
        assert largest(row) == -2


@pytest.mark.parametrize("dtype", TYPES)
def test_a_vector_is_read_and_written_anywhere_in_an_array(dtype):
    @compiled
    def shift(a, out, source, target):
        vstore(out, target, vload(a, source))

    a, out = np.arange(3 * LANES, dtype=dtype), np.full(3 * LANES, -1, dtype)
    shift(a, out, 3, 5)
    assert out.tolist() == [-1] * 5 + list(range(3, 3 + LANES)) + [-1] * (2 * LANES - 5)
