"""Affine changes of images, compiled: sampled by bilinear interpolation, and resized as Pillow does it.

Only the six numbers of a change are computed in floating point, by operations that each processor rounds alike. The
rest is done in integers.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ttfsrun.neuron.kernels.compiled import compiled

Array = NDArray[Any]

BITS = 22  # of the fraction in the weights of a filter
RADIANS = math.pi / 180


@compiled
def sine(x: float) -> float:
    """Return sin(x), |x| <= pi / 4, to one unit in the last place (coefficients: fdlibm, k_sin.c)."""
    z = x * x
    tail = 8.33333333332248946124e-03 + z * (-1.98412698298579493134e-04 + z * 2.75573137070700676789e-06)
    tail += z * z * z * (-2.50507602534068634195e-08 + z * 1.58969099521155010221e-10)
    return x + x * z * (-1.66666666666666324348e-01 + z * tail)


@compiled
def cosine(x: float) -> float:
    """Return cos(x), |x| <= pi / 4, to one unit in the last place (coefficients: fdlibm, k_cos.c)."""
    z = x * x
    tail = 4.16666666666666019037e-02 + z * (-1.38888888888741095749e-03 + z * 2.48015872894767294178e-05)
    tail += (
        z * z * z * (-2.75573143513906633035e-07 + z * (2.08757232129817482790e-09 - z * 1.13596475577881948265e-11))
    )
    return 1.0 - (0.5 * z - z * z * tail)


@compiled
def change_of(numbers: Array, strengths: Array) -> tuple[float, float, float, float, float, float]:
    """Return (a, b, c, d, right, down): the pixel (x, y) of the changed image, seen from its centre, is the point

        (a (x - right) + b (y - down), c (x - right) + d (y - down))

    of the original, which is sheared, then rotated, scaled and shifted. numbers: uniform between 0 and 1.
    """
    angle = (2.0 * numbers[0] - 1.0) * strengths[0] * RADIANS
    shear = (2.0 * numbers[1] - 1.0) * strengths[1]
    size = 1.0 + (2.0 * numbers[2] - 1.0) * strengths[2]
    right = (2.0 * numbers[3] - 1.0) * strengths[3]
    down = (2.0 * numbers[4] - 1.0) * strengths[3]
    s, c = sine(angle), cosine(angle)
    return (c + shear * s) / size, (s - shear * c) / size, -s / size, c / size, right, down


@compiled
def fixed(x: float) -> int:
    """Return a coordinate as a whole number of 2^-32 pixels."""
    return math.floor(x * 2.0**32 + 0.5)


@compiled
def interpolated(image: Array, y: int, x: int) -> Any:
    """Return the bilinear interpolation of an image with a border at a point, in `fixed` numbers; 0 is outside."""
    # The border, at -1 and at the number of pixels, is white, and so is what lies beyond it.
    y = min(max(y, -(1 << 32)), ((image.shape[0] - 2) << 32) - 1) + (1 << 32)
    x = min(max(x, -(1 << 32)), ((image.shape[1] - 2) << 32) - 1) + (1 << 32)
    top, left = np.uint64(y >> 32), np.uint64(x >> 32)  # unsigned: numba would look for negative indices
    below, beside = (y >> 16) & 0xFFFF, (x >> 16) & 0xFFFF
    a, b = np.int64(image[top, left]), np.int64(image[top, left + np.uint64(1)])
    c, d = np.int64(image[top + np.uint64(1), left]), np.int64(image[top + np.uint64(1), left + np.uint64(1)])
    upper, lower = (a << 16) + beside * (b - a), (c << 16) + beside * (d - c)
    return ((upper << 16) + below * (lower - upper) + (1 << 31)) >> 32


@compiled
def change_rows(
    low: int,
    high: int,
    originals: Array,
    chosen: Array,
    numbers: Array,
    strengths: Array,
    first: Array,
    weights: Array,
    out: Array,
) -> None:
    """Fill rows low to high of changed images, the centres of originals[chosen], resized along each row.

    originals: uint8 [S, height + 2, width + 2], with a border; chosen [K, B]; numbers [K, B, NUMBERS];
    strengths [K, 4]; first, weights: see `filter_of`. out: uint8 [K, B, rows, rows], of which the first `size`
    columns are the result.
    """
    rows, (size, taps) = out.shape[2], weights.shape
    middle_y, middle_x = (originals.shape[1] - 3) / 2, (originals.shape[2] - 3) / 2
    for item in range(low, high):
        image, row = item // rows, item % rows
        k, i = image // out.shape[1], image % out.shape[1]
        a, b, c, d, right, down = change_of(numbers[k, i], strengths[k])
        x, y = -(rows - 1) / 2 - right, row - (rows - 1) / 2 - down
        at_x, at_y = fixed(middle_x + (a * x + b * y)), fixed(middle_y + (c * x + d * y))
        step_x, step_y = fixed(a), fixed(c)
        original, changed = originals[chosen[k, i]], out[k, i, row]
        for column in range(rows):
            changed[column] = interpolated(original, at_y + column * step_y, at_x + column * step_x)
        for column in range(size):  # in place: no new pixel depends on one before it
            total = 1 << (BITS - 1)
            for n in range(taps):
                total += weights[column, n] * changed[first[column] + n]
            changed[column] = total >> BITS


@compiled
def resize_columns(low: int, high: int, images: Array, first: Array, weights: Array, table: Array, out: Array) -> None:
    """Fill rows low to high of the images, resized along each column, with what the table has for their pixels.

    images: as `change_rows` leaves them; table [256]; out [K, B, size * size].
    """
    size, taps = weights.shape
    for item in range(low, high):
        image, row = item // size, item % size
        k, i = image // out.shape[1], image % out.shape[1]
        for column in range(size):
            total = 1 << (BITS - 1)
            for n in range(taps):
                total += weights[row, n] * images[k, i, first[row] + n, column]
            out[k, i, row * size + column] = table[total >> BITS]
