"""Random numbers by counter: each is a function of its key, step and index, whatever is drawn beside it."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from statistics import NormalDist
from typing import Any

import mpmath
import numba
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import stats

from ttfsrun.neuron import set_threads
from ttfsrun.neuron.draws import normal, permutations, uniform
from ttfsrun.neuron.kernels.lanes import LANES, OneLane
from ttfsrun.neuron.kernels.philox import (
    count_items,
    draw_normal,
    draw_uniform,
    draw_words,
    philox,
    unit_interval,
)
from ttfsrun.neuron.kernels.quantile import normal_quantile
from ttfsrun.neuron.kernels.simd import vload, vstore
from ttfsrun.random import key

Array = NDArray[Any]

WORD = 2**32 - 1
untimed = settings(deadline=None)  # the first call compiles
each_law = pytest.mark.parametrize("draw", [uniform, normal], ids=["uniform", "normal"])
bits = st.integers(-(2**63), 2**63 - 1)


def keys(*seeds: int) -> torch.Tensor:
    return torch.tensor([key(seed, "test") for seed in seeds])


def philox_block(counter: int, key: int) -> list[int]:
    """The four words of one block in plain Python, written from the paper (Salmon et al. 2011, section 3.3)."""
    left_0, right_0, left_1, right_1 = (counter >> shift & WORD for shift in (0, 32, 64, 96))
    key_0, key_1 = key & WORD, key >> 32 & WORD
    for _ in range(10):
        product_0, product_1 = 0xD2511F53 * left_0, 0xCD9E8D57 * left_1
        left_0, right_0 = (product_1 >> 32) ^ right_0 ^ key_0, product_1 & WORD
        left_1, right_1 = (product_0 >> 32) ^ right_1 ^ key_1, product_0 & WORD
        key_0, key_1 = key_0 + 0x9E3779B9 & WORD, key_1 + 0xBB67AE85 & WORD
    return [left_0, right_0, left_1, right_1]


def word_of(key: int, step: int, number: int) -> int:
    return philox_block(number // 4 | step << 64, key)[number % 4]


def words_of(draws: torch.Tensor) -> list[int]:
    """The words that uniform numbers are made from."""
    return [int(u * 2**32 - 0.5) for u in draws.flatten().tolist()]


# From kat_vectors of Random123, "philox4x32 10": counter, key, result.
KNOWN_ANSWERS = [
    ("00000000 00000000 00000000 00000000", "00000000 00000000", "6627e8d5 e169c58d bc57ac4c 9b00dbd8"),
    ("ffffffff ffffffff ffffffff ffffffff", "ffffffff ffffffff", "408f276d 41c83b0e a20bc7c6 6d5451fd"),
    ("243f6a88 85a308d3 13198a2e 03707344", "a4093822 299f31d0", "d16cfe09 94fdcceb 5001e420 24126ea1"),
]


def hexadecimal(words: str) -> list[int]:
    return [int(word, 16) for word in words.split()]


def packed(words: list[int]) -> int:
    return sum(word << 32 * position for position, word in enumerate(words))


@pytest.mark.parametrize(("counter", "key", "result"), KNOWN_ANSWERS)
def test_philox_gives_the_answers_of_its_authors(counter: str, key: str, result: str) -> None:
    @numba.njit
    def words_of_each_lane(inputs, out):  # type: ignore[no-untyped-def]
        a, b, c, d = philox(
            (vload(inputs[0], 0), vload(inputs[1], 0), vload(inputs[2], 0), vload(inputs[3], 0)),
            (vload(inputs[4], 0), vload(inputs[5], 0)),
        )
        vstore(out[0], 0, a)
        vstore(out[1], 0, b)
        vstore(out[2], 0, c)
        vstore(out[3], 0, d)

    inputs = np.repeat(np.array(hexadecimal(counter) + hexadecimal(key), np.uint32)[:, None], LANES, axis=1)
    out = np.zeros((4, LANES), np.uint32)
    words_of_each_lane(inputs, out)
    assert out.T.tolist() == [hexadecimal(result)] * LANES
    assert philox_block(packed(hexadecimal(counter)), packed(hexadecimal(key))) == hexadecimal(result)


@untimed
@given(key=bits, step=st.integers(0, 2**62 - 1), first=st.integers(0, 2**62 - 1), n=st.integers(1, 150))
def test_a_number_is_that_of_its_key_step_and_index(key: int, step: int, first: int, n: int) -> None:
    drawn = uniform(torch.tensor([key]), step, (n,), first=first)
    assert words_of(drawn) == [word_of(key, step, first + i) for i in range(n)]


@untimed
@given(key=bits, other=bits, step=st.integers(0, 2**62 - 1), n=st.integers(1, 70))
def test_an_order_sorts_words_and_keeps_the_order_of_equal_ones(key: int, other: int, step: int, n: int) -> None:
    orders = permutations(torch.tensor([key, other]), step, n)
    for order, its_key in zip(orders.tolist(), (key, other), strict=True):
        assert order == sorted(range(n), key=[word_of(its_key, step, i) for i in range(n)].__getitem__)


@pytest.mark.parametrize("draw", [uniform, normal])
@untimed
@given(first=st.integers(0, 300), n=st.integers(0, 300))
def test_any_part_of_a_stream_is_the_same_numbers(draw: Callable[..., torch.Tensor], first: int, n: int) -> None:
    whole = draw(keys(1, 2), 5, (600,))
    assert torch.equal(draw(keys(1, 2), 5, (n,), first=first), whole[:, first : first + n])


@each_law
def test_the_shape_only_arranges_the_numbers(draw: Callable[..., torch.Tensor]) -> None:
    shaped = draw(keys(1, 2), 5, (3, 5, 7))
    assert shaped.shape == (2, 3, 5, 7)
    assert torch.equal(shaped.flatten(1), draw(keys(1, 2), 5, (105,)))
    assert draw(keys(1, 2), 5, ()).shape == (2,)
    assert draw(keys(), 5, (3,)).shape == (0, 3)
    assert draw(keys(1), 5, (3, 0)).shape == (1, 3, 0)


@each_law
def test_a_network_draws_the_same_numbers_in_any_company(draw: Callable[..., torch.Tensor]) -> None:
    together = draw(keys(4, 7, 4, 9), 3, (101,))
    for row, seed in zip(together, (4, 7, 4, 9), strict=True):
        assert torch.equal(row, draw(keys(seed), 3, (101,))[0])


def test_the_numbers_do_not_depend_on_the_number_of_threads(threads_for_anything: None) -> None:
    def drawn() -> list[torch.Tensor]:
        several = keys(1, 2, 3)
        numbers = [draw(several, 1, (3001,), first=3) for draw in (uniform, normal)]
        return [*numbers, permutations(several, 1, 3001)]

    set_threads(1)
    alone = drawn()
    set_threads(7)
    assert all(map(torch.equal, alone, drawn()))


@pytest.mark.parametrize(
    ("kernel", "dtype"),
    [(draw_words, np.int64), (draw_uniform, np.float64), (draw_normal, np.float64), (draw_normal, np.float32)],
)
@pytest.mark.parametrize(("first", "n"), [(0, 200), (5, 3), (61, 135), (2**40 + 3, 64)])
def test_a_processor_of_one_lane_draws_the_same_numbers(kernel: Any, dtype: Any, first: int, n: int) -> None:
    several = keys(1, 2, 3).numpy()
    by_vectors, one_by_one = np.zeros((3, n), dtype), np.zeros((3, n), dtype)
    for out in (by_vectors, one_by_one.view(OneLane)):
        kernel(
            0,
            len(out) * count_items(first, out.shape[1], 1 if isinstance(out, OneLane) else LANES),
            several,
            7,
            first,
            out,
        )
    assert np.array_equal(by_vectors, one_by_one)
    assert len(np.unique(by_vectors)) == by_vectors.size


def in_vectors(function: Callable[..., Any], values: Array) -> Array:
    """A function of vectors with results of float64, of each of the values."""

    @numba.njit(error_model="numpy")
    def fill(values, out):  # type: ignore[no-untyped-def]
        for at in range(0, values.size, LANES):
            vstore(out, at, function(vload(values, at)))

    padded = np.resize(values, -(-values.size // LANES) * LANES)
    out = np.empty(padded.shape)
    fill(padded, out)
    return out[: values.size]


def quantiles(u: Array) -> Array:
    return in_vectors(normal_quantile, u)


def test_uniform_numbers_are_exact_and_never_0_or_1() -> None:
    words = np.append(np.random.default_rng(0).integers(0, 2**32, 1000), [0, WORD]).astype(np.uint32)
    u = in_vectors(unit_interval, words)
    assert np.array_equal(u * 2**33, 2 * words.astype(np.int64) + 1)
    assert 0 < u.min() < u.max() < 1


def probabilities() -> Array:
    """The extremes, the centre, both sides of the border between the two formulas, and all between them."""
    spread = np.random.default_rng(0).integers(0, 2**32, 20_000)
    small = np.arange(64)
    centre, low, high = 2**31 + np.arange(-64, 64), int(0.075 * 2**32) + small - 32, int(0.925 * 2**32) + small - 32
    logarithmic = (2.0 ** np.linspace(0, 31, 2000)).astype(np.int64)
    words = [spread, small, WORD - small, centre, low, high, logarithmic, WORD - logarithmic]
    return (np.concatenate(words) + 0.5) / 2.0**32


def units_in_the_last_place(result: Array, exact: Array) -> float:
    return float(np.max(np.abs(result - exact) / np.spacing(np.abs(exact))))


def test_normal_numbers_are_the_quantiles_of_uniform_ones() -> None:
    u, z = (draw(keys(3), 2, (1000,))[0].numpy() for draw in (uniform, normal))
    assert np.array_equal(z, quantiles(u))


def test_quantiles_are_within_five_units_in_the_last_place() -> None:
    u = probabilities()[::20]
    with mpmath.workdps(30):
        exact = np.array([float(mpmath.sqrt(2) * mpmath.erfinv(2 * mpmath.mpf(p) - 1)) for p in u.tolist()])
    assert units_in_the_last_place(quantiles(u), exact) <= 5


def test_quantiles_are_those_of_the_standard_library() -> None:
    u = probabilities()
    exact = np.array([NormalDist().inv_cdf(p) for p in u.tolist()])
    assert units_in_the_last_place(quantiles(u), exact) <= 10  # both are within five


def test_normal_numbers_are_symmetric_to_the_last_bit() -> None:
    u = probabilities()
    assert np.array_equal(quantiles(1 - u), -quantiles(u))


def test_the_largest_normal_numbers_are_finite() -> None:
    extremes = quantiles(np.array([0.5, WORD + 0.5]) / 2**32)
    assert np.array_equal(extremes, [-extremes[1], extremes[1]])
    assert 6.2 < extremes[1] < 6.4


def test_normal_numbers_of_float32_are_rounded_once() -> None:
    wide = normal(keys(1, 2), 4, (1001,), first=1)
    assert torch.equal(normal(keys(1, 2), 4, (1001,), first=1, dtype=torch.float32), wide.float())


@pytest.mark.parametrize("seed", range(5))
def test_the_numbers_have_the_distributions_that_they_are_named_for(seed: int) -> None:
    n = 100_000
    u, z = uniform(keys(seed), 1, (n,))[0].numpy(), normal(keys(seed), 2, (n,))[0].numpy()
    assert stats.kstest(u, "uniform").pvalue > 1e-3
    assert stats.kstest(z, "norm").pvalue > 1e-3
    # Moments within five standard deviations of those of independent numbers.
    for moment, expected in ((1, 0), (2, 1), (3, 0), (4, 3), (5, 0), (6, 15)):
        spread = np.sqrt((stats.norm.moment(2 * moment) - expected**2) / n)
        assert abs((z**moment).mean() - expected) < 5 * spread


def test_streams_of_neighbouring_keys_and_steps_are_not_correlated() -> None:
    n = 10_000
    rows = [normal(torch.tensor([0, 1, 2, 1 << 32, -1]), step, (n,)).numpy() for step in (0, 1, 2**32)]
    rows += [normal(keys(0, 1), 0, (n,)).numpy()]
    streams = np.concatenate(rows)
    # Lagged by some numbers, too: words of one block, and of blocks one after the other.
    shifted = np.concatenate([np.roll(streams, lag, axis=1) for lag in range(9)])
    correlation = np.corrcoef(shifted)[~np.eye(len(shifted), dtype=bool)]
    assert np.abs(correlation).max() < 5.5 / np.sqrt(n)  # standard deviations of independent draws


@pytest.mark.parametrize("n", [1, 2, 63, 64, 65, 5000])
def test_each_order_has_every_number_once(n: int) -> None:
    orders = permutations(keys(1, 2), 3, n)
    assert orders.dtype == torch.int64
    assert torch.equal(orders.sort(dim=1).values, torch.arange(n).expand(2, n))


def test_all_orders_are_equally_likely() -> None:
    every = dict.fromkeys(itertools.permutations(range(4)), 0)
    seeds = torch.arange(24 * 200)
    for order in permutations(seeds, 0, 4).tolist():
        every[tuple(order)] += 1
    assert stats.chisquare(list(every.values())).pvalue > 1e-3


def test_another_step_is_another_order() -> None:
    orders = [tuple(permutations(keys(1), step, 50)[0].tolist()) for step in range(20)]
    assert len(set(orders)) == 20


@pytest.mark.parametrize("arguments", [{"step": -1}, {"step": 0, "first": -1}, {"step": 2**62}])
def test_a_step_or_number_out_of_range_is_an_error(arguments: dict[str, int]) -> None:
    with pytest.raises(ValueError, match=r"(step|first)=\S+: must be from 0"):
        uniform(keys(1), shape=(3,), **arguments)
