"""Elementary functions of short vectors, exact to about one unit in the last place: exp, log, and series near zero."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from ttfsrun.neuron.kernels.llvm import call, constant, count_of, number_of, wide
from ttfsrun.neuron.kernels.simd import Vector, elementwise, emit_maximum, emit_minimum


def polynomial(builder: ir.IRBuilder, x: ir.Value, coefficients: Sequence[float]) -> ir.Value:
    """Emit sum_k coefficients[k] x^k by Estrin's scheme: terms are combined pairwise, so that few depend on another.

    The first two terms, the largest where |x| < 1, are added last, each with one rounding.
    """
    first, second, *terms = (constant(x.type, coefficient) for coefficient in coefficients)
    power = x
    while len(terms) > 1:
        last = terms[-1:] if len(terms) % 2 else []
        terms = [
            call(builder, "fma", high, power, low) for low, high in zip(terms[::2], terms[1::2], strict=False)
        ] + last
        power = builder.fmul(power, power)
    return call(builder, "fma", call(builder, "fma", terms[0], x, second), x, first)


def _is_single(vector: ir.Type) -> bool:
    return str(number_of(vector)) == "float"


def _layout(vector: ir.Type) -> tuple[ir.Type, int, int]:
    """Return the integer vector type of the same size, the bits of the mantissa, and the exponent bias (IEEE 754)."""
    bits, mantissa, bias = (32, 23, 127) if _is_single(vector) else (64, 52, 1023)
    return wide(ir.IntType(bits), count_of(vector)), mantissa, bias


def _shift(vector: ir.Type) -> float:
    """Return a number that, added to a small one, leaves the nearest integer in the low bits, on every processor."""
    return 1.5 * 2.0 ** _layout(vector)[1]


def _emit_exp(builder: ir.IRBuilder, x: ir.Value) -> ir.Value:
    """Emit exp(x) = 2^n e^r, |r| <= log(2) / 2, by Taylor's series to the last bit; 0 and inf beyond normal numbers."""
    kind = x.type
    integers, mantissa, bias = _layout(kind)
    low, high, degree = (-87.0, 88.0, 8) if _is_single(kind) else (-708.0, 709.0, 14)
    # log(2) in two parts: n times the first is exact for every n in range.
    log2_high = float(np.float32(355 / 512)) if _is_single(kind) else 6.93147180369123816490e-01
    log2_low = math.log(2) - log2_high if _is_single(kind) else 1.90821492927058770002e-10
    shift = constant(kind, _shift(kind))
    inside = emit_maximum(builder, emit_minimum(builder, x, constant(kind, high)), constant(kind, low))
    shifted = call(builder, "fma", inside, constant(kind, 1 / math.log(2)), shift)
    n = builder.fsub(shifted, shift)
    r = call(builder, "fma", n, constant(kind, -log2_high), inside)
    r = call(builder, "fma", n, constant(kind, -log2_low), r)
    series = polynomial(builder, r, [1 / math.factorial(k) for k in range(degree)])
    exponent = builder.add(builder.bitcast(shifted, integers), constant(integers, bias))
    power = builder.bitcast(builder.shl(exponent, constant(integers, mantissa)), kind)
    result = builder.fmul(series, power)
    result = builder.select(builder.fcmp_ordered("<", x, constant(kind, low)), constant(kind, 0.0), result)
    return builder.select(builder.fcmp_ordered(">", x, constant(kind, high)), constant(kind, math.inf), result)


def _emit_log(builder: ir.IRBuilder, x: ir.Value) -> ir.Value:
    """Emit log(2^n m) = n log(2) + 2 artanh((m - 1) / (m + 1)), m in [sqrt(1/2), sqrt(2)); x > 0 and normal."""
    kind = x.type
    integers, mantissa, _ = _layout(kind)
    terms = 5 if _is_single(kind) else 12
    dtype, integer = (np.float32, np.int32) if _is_single(kind) else (np.float64, np.int64)

    def bits_of(value: float) -> ir.Constant:
        return constant(integers, int(np.array(value, dtype).view(integer)))

    bits = builder.bitcast(x, integers)
    # The bits of 1/sqrt(2) as an offset put the mantissa between sqrt(1/2) and sqrt(2).
    n = builder.ashr(builder.sub(bits, bits_of(math.sqrt(0.5))), constant(integers, mantissa))
    m = builder.bitcast(builder.sub(bits, builder.shl(n, constant(integers, mantissa))), kind)
    shifted = builder.bitcast(builder.add(n, bits_of(_shift(kind))), kind)
    count = builder.fsub(shifted, constant(kind, _shift(kind)))
    one = constant(kind, 1.0)
    f = builder.fdiv(builder.fsub(m, one), builder.fadd(m, one))
    series = polynomial(builder, builder.fmul(f, f), [2 / (2 * k + 1) for k in range(terms)])
    return call(builder, "fma", count, constant(kind, math.log(2)), builder.fmul(f, series))


def _emit_series(builder: ir.IRBuilder, z: ir.Value, skipped: int, terms: int) -> ir.Value:
    """Emit sum_k (-z)^k / (k + skipped)!"""
    return polynomial(builder, z, [(-1.0) ** k / math.factorial(k + skipped) for k in range(terms)])


def _series(skipped: int, single: int, double: int) -> Any:
    """Return an intrinsic of the series with so many terms for vectors of float32 and of float64."""
    return elementwise(
        lambda builder, z: _emit_series(builder, z, skipped, single if _is_single(z.type) else double), 1
    )


def _near_series(skipped: int, single: int, double: int) -> Any:
    """Return an intrinsic (storage, z) of the series, with as many terms as the type of the array `storage` needs."""

    def typing(typing_context: Any, storage: types.Array, z: Vector) -> Any:
        terms = single if storage.dtype == types.float32 else double

        def generate(context: Any, builder: ir.IRBuilder, signature: Any, args: Sequence[ir.Value]) -> ir.Value:
            return _emit_series(builder, args[1], skipped, terms)

        return z(storage, z), generate

    return intrinsic(typing)


# Of vectors, or of a number, as if it were a vector of one lane.
#: exp(a), within one unit in the last place; 0 and inf where the result is not a normal number.
exp = elementwise(_emit_exp, 1)
#: log(a) for a > 0; any finite number elsewhere.
log = elementwise(_emit_log, 1)

#: (1 - exp(-z)) / z for |z| <= 0.5.
rise_series = _series(1, 9, 16)
#: (1 - (1 - exp(-z)) / z) / z for |z| <= 0.5.
second_rise_series = _series(2, 8, 15)

NEAR = 0.125  # largest argument of the short series
#: near_decay(storage, z): exp(-z) for 0 <= z <= NEAR, to 1e-9 or to rounding.
near_decay = _near_series(0, 7, 11)
#: near_rise(storage, z): (1 - exp(-z)) / z for 0 <= z <= NEAR, likewise.
near_rise = _near_series(1, 6, 10)
