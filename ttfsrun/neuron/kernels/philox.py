"""Random numbers by counter, compiled: each depends on its key, step and index alone.

Philox 4x32-10 (Salmon, Moraes, Dror, Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC 2011) maps a key of 64
bits and a counter of 128 bits to four words of 32 bits. The counter is (number of the block, step), 64 bits each, low
word first; number i of a stream is made from word i % 4 of block i // 4.

An item is what one call of `philox` gives for consecutive blocks, one per lane: 4 L consecutive numbers of a network.
"""

from __future__ import annotations

from numba import types
from numba.extending import overload

from ttfsrun.neuron.kernels.compiled import compiled
from ttfsrun.neuron.kernels.integers import (
    high_product,
    interleave,
    lane,
    lane_numbers,
    splat_word,
    to_float64,
    to_int64,
)
from ttfsrun.neuron.kernels.lanes import lanes
from ttfsrun.neuron.kernels.quantile import normal_quantile
from ttfsrun.neuron.kernels.simd import cast, fma, splat, vstore

ROUNDS = 10
MULTIPLIERS = 0xD2511F53, 0xCD9E8D57
KEY_STEPS = 0x9E3779B9, 0xBB67AE85  # golden ratio, sqrt(3) - 1


@compiled
def philox(counter, key):
    """Return the four words of each lane's counter; counter: four vectors, low word first; key: two."""
    a, b, c, d = counter
    low, high = key
    first, second = splat_word(a, MULTIPLIERS[0]), splat_word(a, MULTIPLIERS[1])
    for _ in range(ROUNDS):
        a, b, c, d = high_product(c, second) ^ b ^ low, c * second, high_product(a, first) ^ d ^ high, a * first
        low, high = low + splat_word(a, KEY_STEPS[0]), high + splat_word(a, KEY_STEPS[1])
    return a, b, c, d


def count_items(first: int, count: int, n_lanes: int) -> int:
    """Return how many items have one of so many numbers of a network, from number `first` on."""
    numbers = 4 * n_lanes
    return (first + count - 1) // numbers - first // numbers + 1


_count_items = compiled(count_items)


@compiled
def place(item, first, out):
    """Return (row, start): where the numbers of an item start in out [P, n]; start may be negative."""
    items, numbers = _count_items(first, out.shape[1], lanes(out)), 4 * lanes(out)
    return item // items, (first // numbers + item % items) * numbers - first


def value_of_step(step):
    """Return a step, given as a number or as an array of one, which a GPU can change by itself."""


@overload(value_of_step)
def _value_of_step(step):
    return (lambda step: step[0]) if isinstance(step, types.Array) else lambda step: step


@compiled
def words_at(number, key, given_step, like):
    """Return the words of an item in the order of its numbers, four vectors; number: that of its first."""
    step = value_of_step(given_step)
    # An item starts at a multiple of its number of blocks, so that the low word of a block's number never carries.
    block = number // 4
    low = splat_word(like, block) + lane_numbers(like)
    counter = low, splat_word(like, block >> 32), splat_word(like, step), splat_word(like, step >> 32)
    a, b, c, d = philox(counter, (splat_word(like, key), splat_word(like, key >> 32)))
    return interleave(a, b, c, d)


@compiled
def store(out, row, start, values):
    """Write the numbers of an item, four vectors, to out[row, start:], as far as they are in the row."""
    n, width = out.shape[1], lanes(out)
    if start >= 0 and start + 4 * width <= n:
        for k in range(4):
            vstore(out, row * n + start + k * width, values[k])
        return
    for k in range(4):
        for i in range(width):
            index = start + k * width + i
            if 0 <= index < n:
                out[row, index] = lane(values[k], i)


@compiled
def unit_interval(words):
    """Return (word + 1/2) / 2^32, exact in float64: between 0 and 1, and neither."""
    numbers = to_float64(words)
    return fma(numbers, splat(numbers, 2.0**-32), splat(numbers, 2.0**-33))


@compiled
def draw_words(low, high, keys, step, first, out):
    """Fill items low to high of out [P, n], int64, with words; keys [P], int64."""
    for item in range(low, high):
        row, start = place(item, first, out)
        a, b, c, d = words_at(first + start, keys[row], step, out)
        store(out, row, start, (to_int64(a), to_int64(b), to_int64(c), to_int64(d)))


@compiled
def draw_uniform(low, high, keys, step, first, out):
    """Fill items low to high of out [P, n], float64, with uniform numbers; keys [P], int64."""
    for item in range(low, high):
        row, start = place(item, first, out)
        a, b, c, d = words_at(first + start, keys[row], step, out)
        store(out, row, start, (unit_interval(a), unit_interval(b), unit_interval(c), unit_interval(d)))


@compiled
def standard_normal(words, like):
    """Return standard normal numbers of the type of `like`, rounded once."""
    return cast(like, normal_quantile(unit_interval(words)))


@compiled
def draw_normal(low, high, keys, step, first, out):
    """Fill items low to high of out [P, n], float32 or float64, with standard normal numbers; keys [P], int64."""
    for item in range(low, high):
        row, start = place(item, first, out)
        a, b, c, d = words_at(first + start, keys[row], step, out)
        store(
            out,
            row,
            start,
            (standard_normal(a, out), standard_normal(b, out), standard_normal(c, out), standard_normal(d, out)),
        )
