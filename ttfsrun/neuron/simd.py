"""Short vectors for numba: explicit SIMD, so that a kernel's inner loop is vectorised by construction.

A `Vector` holds 16 float32 or 8 float64 numbers, one neuron each, and stays in registers; a `Mask` holds
as many booleans. LLVM maps them to whatever the processor has (one AVX-512 register, two AVX2 or four NEON
registers). Every operation acts on each lane alone and is rounded as IEEE 754 says, so the width of the
hardware does not change a bit of the result, and a lane's result does not depend on its neighbours.

Inside `@njit`: `+ - * /`, `>`, `<`, `>=`, `==` on two vectors, `& | ~` on masks, and the functions below.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic, models, overload, register_model

LANES = {np.dtype(np.float32): 16, np.dtype(np.float64): 8}
WIDEST = max(LANES.values())


class Vector(types.Type):  # type: ignore[misc]
    """Numba type of a short vector of one scalar type."""

    def __init__(self, scalar: types.Float) -> None:
        self.scalar = scalar
        self.lanes = LANES[np.dtype(scalar.name)]
        super().__init__(name=f"Vector({scalar}, {self.lanes})")


class Mask(types.Type):  # type: ignore[misc]
    """Numba type of one boolean per lane."""

    def __init__(self, lanes: int) -> None:
        self.lanes = lanes
        super().__init__(name=f"Mask({lanes})")


@register_model(Vector)
class _VectorModel(models.PrimitiveModel):  # type: ignore[misc]
    def __init__(self, manager: Any, fe_type: Vector) -> None:
        element = manager.lookup(fe_type.scalar).get_value_type()
        super().__init__(manager, fe_type, ir.VectorType(element, fe_type.lanes))


@register_model(Mask)
class _MaskModel(models.PrimitiveModel):  # type: ignore[misc]
    def __init__(self, manager: Any, fe_type: Mask) -> None:
        super().__init__(manager, fe_type, ir.VectorType(ir.IntType(1), fe_type.lanes))


def _constant(vector: ir.VectorType, value: float) -> ir.Constant:
    return ir.Constant(vector, [value] * vector.count)


def _call(builder: ir.IRBuilder, name: str, *args: ir.Value) -> ir.Value:
    """Call LLVM's intrinsic `name` for the vector type of its arguments."""
    kind = args[0].type
    suffix = {"float": "f32", "double": "f64"}[str(kind.element)]
    signature = ir.FunctionType(kind, [kind] * len(args))
    function = cgutils.get_or_insert_function(builder.module, signature, f"llvm.{name}.v{kind.count}{suffix}")
    return builder.call(function, args)


def _elementwise(emit: Callable[..., ir.Value], arity: int) -> Any:
    """An intrinsic whose arguments and result are vectors of one type."""

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, args: Sequence[ir.Value]) -> ir.Value:
        return emit(builder, *args)

    if arity == 1:
        return intrinsic(lambda typing, a: (a(a), generate))
    if arity == 2:
        return intrinsic(lambda typing, a, b: (a(a, b), generate))
    return intrinsic(lambda typing, a, b, c: (a(a, b, c), generate))


def _comparison(symbol: str) -> Any:
    """An intrinsic from two vectors to a mask; false where a lane is NaN."""

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, args: Sequence[ir.Value]) -> ir.Value:
        return builder.fcmp_ordered(symbol, *args)

    return intrinsic(lambda typing, a, b: (Mask(a.lanes)(a, b), generate))


def _bind(python_operator: Callable[..., Any], kind: type, function: Any) -> None:
    """Make `python_operator` on two values of `kind` call the intrinsic `function`."""

    def typing(a, b):  # type: ignore[no-untyped-def]  # numba compares the bare signatures
        return (lambda a, b: function(a, b)) if isinstance(a, kind) and a == b else None

    overload(python_operator)(typing)


_bind(operator.add, Vector, _elementwise(ir.IRBuilder.fadd, 2))
_bind(operator.sub, Vector, _elementwise(ir.IRBuilder.fsub, 2))
_bind(operator.mul, Vector, _elementwise(ir.IRBuilder.fmul, 2))
_bind(operator.truediv, Vector, _elementwise(ir.IRBuilder.fdiv, 2))
_bind(operator.gt, Vector, _comparison(">"))
_bind(operator.lt, Vector, _comparison("<"))
_bind(operator.ge, Vector, _comparison(">="))
_bind(operator.eq, Vector, _comparison("=="))
_bind(operator.and_, Mask, _elementwise(ir.IRBuilder.and_, 2))
_bind(operator.or_, Mask, _elementwise(ir.IRBuilder.or_, 2))

_invert = _elementwise(ir.IRBuilder.not_, 1)


@overload(operator.invert)
def _invert_mask(a):  # type: ignore[no-untyped-def]
    return (lambda a: _invert(a)) if isinstance(a, Mask) else None


#: fma(a, b, c): a b + c, rounded once.
fma = _elementwise(lambda builder, a, b, c: _call(builder, "fma", a, b, c), 3)
#: sqrt(a): correctly rounded.
sqrt = _elementwise(lambda builder, a: _call(builder, "sqrt", a), 1)
#: fabs(a).
fabs = _elementwise(lambda builder, a: _call(builder, "fabs", a), 1)


def _emit_minimum(builder: ir.IRBuilder, a: ir.Value, b: ir.Value) -> ir.Value:
    return builder.select(builder.fcmp_ordered("<", a, b), a, b)


def _emit_maximum(builder: ir.IRBuilder, a: ir.Value, b: ir.Value) -> ir.Value:
    return builder.select(builder.fcmp_ordered(">", a, b), a, b)


#: minimum(a, b): b where a is NaN.
minimum = _elementwise(_emit_minimum, 2)
#: maximum(a, b): b where a is NaN.
maximum = _elementwise(_emit_maximum, 2)


def _pointer(context: Any, builder: ir.IRBuilder, array_type: Any, array: ir.Value, index: ir.Value) -> ir.Value:
    """Address of the vector that starts at a flat index into a C-contiguous array."""
    data = context.make_array(array_type)(context, builder, array).data
    vector = context.get_value_type(Vector(array_type.dtype))
    return builder.bitcast(builder.gep(data, [index]), vector.as_pointer())


@intrinsic
def item(typing: Any, array: types.Array, index: types.Integer) -> Any:
    """The number at flat `index` of a C-contiguous array: without the test for a negative index of `array[index]`."""

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, args: Sequence[ir.Value]) -> ir.Value:
        data = context.make_array(signature.args[0])(context, builder, args[0]).data
        return builder.load(builder.gep(data, [args[1]]))

    return array.dtype(array, types.intp), generate


@intrinsic
def load(typing: Any, array: types.Array, index: types.Integer) -> Any:
    """The vector that starts at flat `index` of a C-contiguous array."""
    vector = Vector(array.dtype)

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, args: Sequence[ir.Value]) -> ir.Value:
        pointer = _pointer(context, builder, signature.args[0], *args)
        return builder.load(pointer, align=signature.args[0].dtype.bitwidth // 8)

    return vector(array, types.intp), generate


@intrinsic
def store(typing: Any, array: types.Array, index: types.Integer, value: Vector) -> Any:
    """Write a vector at flat `index` of a C-contiguous array."""

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, args: Sequence[ir.Value]) -> ir.Value:
        pointer = _pointer(context, builder, signature.args[0], args[0], args[1])
        builder.store(args[2], pointer, align=signature.args[0].dtype.bitwidth // 8)
        return context.get_dummy_value()

    return types.none(array, types.intp, value), generate


@intrinsic
def splat(typing: Any, like: types.Type, value: types.Number) -> Any:
    """The number `value` in every lane, as a vector for the scalars of `like` (a vector or an array)."""
    scalar = like.scalar if isinstance(like, Vector) else like.dtype
    vector = Vector(scalar)

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, args: Sequence[ir.Value]) -> ir.Value:
        kind = context.get_value_type(vector)
        number = context.cast(builder, args[1], signature.args[1], scalar)
        first = builder.insert_element(ir.Constant(kind, ir.Undefined), number, ir.IntType(32)(0))
        lanes = ir.Constant(ir.VectorType(ir.IntType(32), kind.count), [0] * kind.count)
        return builder.shuffle_vector(first, ir.Constant(kind, ir.Undefined), lanes)

    return vector(like, value), generate


@intrinsic
def select(typing: Any, mask: Mask, a: Vector, b: Vector) -> Any:
    """a where the mask is set, else b."""

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, args: Sequence[ir.Value]) -> ir.Value:
        return builder.select(*args)

    return a(mask, a, b), generate


@intrinsic
def any_lane(typing: Any, mask: Mask) -> Any:
    """Whether any lane is set."""

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, args: Sequence[ir.Value]) -> ir.Value:
        bits = ir.IntType(args[0].type.count)
        return builder.icmp_unsigned("!=", builder.bitcast(args[0], bits), bits(0))

    return types.boolean(mask), generate


def _fold(combine: Callable[..., ir.Value]) -> Any:
    """An intrinsic that combines all lanes pairwise, in one fixed order."""

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, args: Sequence[ir.Value]) -> ir.Value:
        value = args[0]
        while value.type.count > 1:
            half = value.type.count // 2
            index = ir.VectorType(ir.IntType(32), half)
            undefined = ir.Constant(value.type, ir.Undefined)
            low = builder.shuffle_vector(value, undefined, ir.Constant(index, list(range(half))))
            high = builder.shuffle_vector(value, undefined, ir.Constant(index, list(range(half, 2 * half))))
            value = combine(builder, low, high)
        return builder.extract_element(value, ir.IntType(32)(0))

    return intrinsic(lambda typing, a: (a.scalar(a), generate))


#: The sum of all lanes, as a scalar.
sum_lanes = _fold(ir.IRBuilder.fadd)
#: The largest lane, as a scalar.
max_lane = _fold(_emit_maximum)


def _horner(builder: ir.IRBuilder, x: ir.Value, coefficients: Sequence[float]) -> ir.Value:
    """sum_k coefficients[k] x^k."""
    result = _constant(x.type, coefficients[-1])
    for coefficient in reversed(coefficients[:-1]):
        result = _call(builder, "fma", result, x, _constant(x.type, coefficient))
    return result


def _is_single(vector: ir.VectorType) -> bool:
    return str(vector.element) == "float"


def _layout(vector: ir.VectorType) -> tuple[ir.VectorType, int, int]:
    """Integer vector of the same size, bits of the mantissa, exponent bias (IEEE 754)."""
    bits, mantissa, bias = (32, 23, 127) if _is_single(vector) else (64, 52, 1023)
    return ir.VectorType(ir.IntType(bits), vector.count), mantissa, bias


def _emit_exp(builder: ir.IRBuilder, x: ir.Value) -> ir.Value:
    """2^n e^r with |r| <= log(2) / 2: Taylor's series to the last bit; 0 and inf beyond the normal numbers."""
    kind = x.type
    integers, mantissa, bias = _layout(kind)
    low, high, degree = (-87.0, 88.0, 8) if _is_single(kind) else (-708.0, 709.0, 14)
    # log(2) in two parts: n times the first is exact for every n in range.
    log2_high = float(np.float32(355 / 512)) if _is_single(kind) else 6.93147180369123816490e-01
    log2_low = math.log(2) - log2_high if _is_single(kind) else 1.90821492927058770002e-10
    inside = _emit_maximum(builder, _emit_minimum(builder, x, _constant(kind, high)), _constant(kind, low))
    n = _call(builder, "rint", builder.fmul(inside, _constant(kind, 1 / math.log(2))))
    r = _call(builder, "fma", n, _constant(kind, -log2_high), inside)
    r = _call(builder, "fma", n, _constant(kind, -log2_low), r)
    series = _horner(builder, r, [1 / math.factorial(k) for k in range(degree)])
    exponent = builder.add(builder.fptosi(n, integers), _constant(integers, bias))
    power = builder.bitcast(builder.shl(exponent, _constant(integers, mantissa)), kind)
    result = builder.fmul(series, power)
    result = builder.select(builder.fcmp_ordered("<", x, _constant(kind, low)), _constant(kind, 0.0), result)
    return builder.select(builder.fcmp_ordered(">", x, _constant(kind, high)), _constant(kind, math.inf), result)


def _emit_log(builder: ir.IRBuilder, x: ir.Value) -> ir.Value:
    """log(2^n m) = n log(2) + 2 artanh((m - 1) / (m + 1)), m in [sqrt(1/2), sqrt(2)); x > 0 and normal."""
    kind = x.type
    integers, mantissa, _ = _layout(kind)
    terms = 5 if _is_single(kind) else 12
    bits = builder.bitcast(x, integers)
    # The bits of 1/sqrt(2) as an offset put the mantissa between sqrt(1/2) and sqrt(2).
    dtype, integer = (np.float32, np.int32) if _is_single(kind) else (np.float64, np.int64)
    offset = int(np.array(math.sqrt(0.5), dtype).view(integer))
    shifted = builder.sub(bits, _constant(integers, offset))
    n = builder.ashr(shifted, _constant(integers, mantissa))
    m = builder.bitcast(builder.sub(bits, builder.shl(n, _constant(integers, mantissa))), kind)
    one = _constant(kind, 1.0)
    f = builder.fdiv(builder.fsub(m, one), builder.fadd(m, one))
    series = _horner(builder, builder.fmul(f, f), [2 / (2 * k + 1) for k in range(terms)])
    return _call(builder, "fma", builder.sitofp(n, kind), _constant(kind, math.log(2)), builder.fmul(f, series))


def _emit_decay_series(builder: ir.IRBuilder, z: ir.Value) -> ir.Value:
    degree = 9 if _is_single(z.type) else 16
    return _horner(builder, z, [(-1.0) ** k / math.factorial(k + 1) for k in range(degree)])


#: exp(a), within one unit in the last place; 0 and inf where the result is not a normal number.
exp = _elementwise(_emit_exp, 1)
#: log(a) for a > 0; any finite number elsewhere.
log = _elementwise(_emit_log, 1)
#: (1 - exp(-z)) / z by its series, for |z| <= 0.5.
decay_series = _elementwise(_emit_decay_series, 1)
