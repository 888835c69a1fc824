"""Short vectors for numba: explicit SIMD, so that the inner loop of a kernel is always vectorised.

A `Vector` holds 16 numbers, float32 or float64, one per neuron, and stays in registers; a `Mask` holds 16 booleans.
`integers` adds what vectors of uint32 have beyond `+` and `*`, which drop what exceeds 32 bits.
LLVM maps them to the registers of the processor (16 float32 are one AVX-512 register, two AVX2 or four NEON
registers). Vectors from a `OneLane` array have one lane. Every operation acts on each lane alone and is rounded
according to IEEE 754, so neither the width of the registers nor the number of lanes changes a bit of the result, and a
lane's result does not depend on its neighbours.

Inside `@njit`: `+ - * /`, `>`, `<`, `>=`, `==` on two vectors, `& | ~` on masks, and the functions below.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic, models, overload, register_model

from ttfsrun.neuron.kernels.lanes import lane_count
from ttfsrun.neuron.kernels.llvm import call, count_of, number_of, spread, wide


class Vector(types.Type):  # type: ignore[misc]
    """Numba type of a short vector of one scalar type."""

    def __init__(self, scalar: types.Number, lanes: int) -> None:
        self.scalar, self.lanes = scalar, lanes
        super().__init__(name=f"Vector({scalar}, {lanes})")


class Mask(types.Type):  # type: ignore[misc]
    """Numba type of one boolean per lane."""

    def __init__(self, lanes: int) -> None:
        self.lanes = lanes
        super().__init__(name=f"Mask({lanes})")


@register_model(Vector)
class _VectorModel(models.PrimitiveModel):  # type: ignore[misc]
    def __init__(self, manager: Any, fe_type: Vector) -> None:
        element = manager.lookup(fe_type.scalar).get_value_type()
        super().__init__(manager, fe_type, wide(element, fe_type.lanes))


@register_model(Mask)
class _MaskModel(models.PrimitiveModel):  # type: ignore[misc]
    def __init__(self, manager: Any, fe_type: Mask) -> None:
        super().__init__(manager, fe_type, wide(ir.IntType(1), fe_type.lanes))


def emit_comparison(builder: ir.IRBuilder, symbol: str, a: ir.Value, b: ir.Value) -> ir.Value:
    """Emit the comparison of two vectors of floats, or of integers with a sign."""
    is_integer = isinstance(number_of(a.type), ir.IntType)
    return (builder.icmp_signed if is_integer else builder.fcmp_ordered)(symbol, a, b)


def elementwise(emit: Callable[..., ir.Value], arity: int) -> Any:
    """Return an intrinsic whose arguments and result are vectors of one type."""

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, args: Sequence[ir.Value]) -> ir.Value:
        return emit(builder, *args)

    if arity == 1:
        return intrinsic(lambda typing, a: (a(a), generate))
    if arity == 2:
        return intrinsic(lambda typing, a, b: (a(a, b), generate))
    return intrinsic(lambda typing, a, b, c: (a(a, b, c), generate))


def _comparison(symbol: str) -> Any:
    """Return an intrinsic that maps two vectors to a mask; false where a lane is NaN. Integers have signs."""

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, args: Sequence[ir.Value]) -> ir.Value:
        return emit_comparison(builder, symbol, *args)

    return intrinsic(lambda typing, a, b: (Mask(a.lanes)(a, b), generate))


def _arithmetic(name: str) -> Any:
    """Return an intrinsic of two vectors, by LLVM's instruction `name` for integers and f`name` for floats."""

    def emit(builder: ir.IRBuilder, a: ir.Value, b: ir.Value) -> ir.Value:
        is_integer = isinstance(number_of(a.type), ir.IntType)
        return getattr(builder, name if is_integer else f"f{name}")(a, b)

    return elementwise(emit, 2)


def bind(python_operator: Callable[..., Any], kind: type, function: Any) -> None:
    """Make `python_operator` on two values of `kind` call the intrinsic `function`."""

    def typing(a, b):  # type: ignore[no-untyped-def]  # numba compares the bare signatures
        return (lambda a, b: function(a, b)) if isinstance(a, kind) and a == b else None

    overload(python_operator)(typing)


bind(operator.add, Vector, _arithmetic("add"))
bind(operator.sub, Vector, _arithmetic("sub"))
bind(operator.mul, Vector, _arithmetic("mul"))
bind(operator.truediv, Vector, elementwise(ir.IRBuilder.fdiv, 2))
bind(operator.gt, Vector, _comparison(">"))
bind(operator.lt, Vector, _comparison("<"))
bind(operator.ge, Vector, _comparison(">="))
bind(operator.eq, Vector, _comparison("=="))
bind(operator.and_, Mask, elementwise(ir.IRBuilder.and_, 2))
bind(operator.or_, Mask, elementwise(ir.IRBuilder.or_, 2))

_invert = elementwise(ir.IRBuilder.not_, 1)


@overload(operator.invert)
def _invert_mask(a):  # type: ignore[no-untyped-def]
    return (lambda a: _invert(a)) if isinstance(a, Mask) else None


#: fma(a, b, c): a b + c, rounded once.
fma = elementwise(lambda builder, a, b, c: call(builder, "fma", a, b, c), 3)
#: sqrt(a): correctly rounded.
sqrt = elementwise(lambda builder, a: call(builder, "sqrt", a), 1)
#: fabs(a).
fabs = elementwise(lambda builder, a: call(builder, "fabs", a), 1)


def emit_minimum(builder: ir.IRBuilder, a: ir.Value, b: ir.Value) -> ir.Value:
    """Emit the minimum of two vectors; b where a is NaN."""
    return builder.select(emit_comparison(builder, "<", a, b), a, b)


def emit_maximum(builder: ir.IRBuilder, a: ir.Value, b: ir.Value) -> ir.Value:
    """Emit the maximum of two vectors; b where a is NaN."""
    return builder.select(emit_comparison(builder, ">", a, b), a, b)


#: minimum(a, b): b where a is NaN.
minimum = elementwise(emit_minimum, 2)
#: maximum(a, b): b where a is NaN.
maximum = elementwise(emit_maximum, 2)


def _vector_of(like: types.Type, lanes_of: types.Type) -> Vector:
    """Return the vector type with the scalar type of `like` (a vector or an array) and the lanes of another type."""
    return Vector(like.scalar if isinstance(like, Vector) else like.dtype, lane_count(lanes_of))


def pointer_to(context: Any, builder: ir.IRBuilder, array_type: Any, array: ir.Value, index: ir.Value) -> ir.Value:
    """Return the address of the vector that starts at a flat index into a C-contiguous array."""
    data = context.make_array(array_type)(context, builder, array).data
    vector = context.get_value_type(_vector_of(array_type, array_type))
    return builder.bitcast(builder.gep(data, [index]), vector.as_pointer())


@intrinsic
def item(typing: Any, array: types.Array, index: types.Integer) -> Any:
    """Return the number at flat `index` of a C-contiguous array, without the check of `array[index]` for index < 0."""

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, args: Sequence[ir.Value]) -> ir.Value:
        data = context.make_array(signature.args[0])(context, builder, args[0]).data
        return builder.load(builder.gep(data, [args[1]]))

    return array.dtype(array, types.intp), generate


@intrinsic
def vload(typing: Any, array: types.Array, index: types.Integer) -> Any:
    """Return the vector that starts at flat `index` of a C-contiguous array."""
    vector = _vector_of(array, array)

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, args: Sequence[ir.Value]) -> ir.Value:
        pointer = pointer_to(context, builder, signature.args[0], *args)
        return builder.load(pointer, align=signature.args[0].dtype.bitwidth // 8)

    return vector(array, types.intp), generate


@intrinsic
def vstore(typing: Any, array: types.Array, index: types.Integer, value: Vector) -> Any:
    """Write a vector at flat `index` of a C-contiguous array."""

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, args: Sequence[ir.Value]) -> ir.Value:
        pointer = pointer_to(context, builder, signature.args[0], args[0], args[1])
        builder.store(args[2], pointer, align=signature.args[0].dtype.bitwidth // 8)
        return context.get_dummy_value()

    return types.none(array, types.intp, value), generate


@intrinsic
def splat(typing: Any, like: types.Type, value: types.Number) -> Any:
    """Return a vector with `value` in every lane, of the scalar type of `like` (a vector or an array)."""
    vector = _vector_of(like, like)

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, args: Sequence[ir.Value]) -> ir.Value:
        kind = context.get_value_type(vector)
        number = context.cast(builder, args[1], signature.args[1], vector.scalar)
        return spread(builder, kind, number)

    return vector(like, value), generate


@intrinsic
def cast(typing: Any, like: types.Type, vector: Vector) -> Any:
    """Return `vector` in the scalar type of `like` (a vector or an array), rounded if that type is narrower."""
    target = _vector_of(like, vector)

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, args: Sequence[ir.Value]) -> ir.Value:
        kind = context.get_value_type(target)
        if target == vector:
            return args[1]
        return (builder.fpext if target.scalar.bitwidth > vector.scalar.bitwidth else builder.fptrunc)(args[1], kind)

    return target(like, vector), generate


@intrinsic
def select(typing: Any, mask: Mask, a: Vector, b: Vector) -> Any:
    """Return a where the mask is set, else b."""

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, args: Sequence[ir.Value]) -> ir.Value:
        return builder.select(*args)

    return a(mask, a, b), generate


@intrinsic
def any_lane(typing: Any, mask: Mask) -> Any:
    """Return whether any lane is set."""

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, args: Sequence[ir.Value]) -> ir.Value:
        bits = ir.IntType(count_of(args[0].type))
        return builder.icmp_unsigned("!=", builder.bitcast(args[0], bits), bits(0))

    return types.boolean(mask), generate


def _fold(combine: Callable[..., ir.Value]) -> Any:
    """Return an intrinsic that combines all lanes pairwise, in one fixed order."""

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, args: Sequence[ir.Value]) -> ir.Value:
        value = args[0]
        if count_of(value.type) == 1:
            return value
        while value.type.count > 1:
            half = value.type.count // 2
            index = ir.VectorType(ir.IntType(32), half)
            undefined = ir.Constant(value.type, ir.Undefined)
            low = builder.shuffle_vector(value, undefined, ir.Constant(index, list(range(half))))
            high = builder.shuffle_vector(value, undefined, ir.Constant(index, list(range(half, 2 * half))))
            value = combine(builder, low, high)
        return builder.extract_element(value, ir.IntType(32)(0))

    return intrinsic(lambda typing, a: (a.scalar(a), generate))


#: The largest lane, as a scalar.
max_lane = _fold(emit_maximum)


@intrinsic
def sums_of_lanes(typing: Any, array: types.Array, index: types.Integer) -> Any:
    """Return the sum over all lanes of each of as many vectors, which start at flat `index` of an array, in one vector.

    Halves of lanes are added until one is left: lane 0 to lane 8, 1 to 9, and so on, then 0 to 4.
    """
    vector = _vector_of(array, array)
    lanes = vector.lanes

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, args: Sequence[ir.Value]) -> ir.Value:
        first = pointer_to(context, builder, signature.args[0], *args)
        align = signature.args[0].dtype.bitwidth // 8
        vectors = [builder.load(builder.gep(first, [ir.IntType(64)(i)]), align=align) for i in range(lanes)]
        half = lanes // 2
        while half > 0:  # each vector holds parts of `2 half` lanes
            low = [lane for lane in range(2 * lanes) if lane % (2 * half) < half]
            index = ir.VectorType(ir.IntType(32), lanes)
            vectors = [
                builder.fadd(
                    builder.shuffle_vector(a, b, ir.Constant(index, low)),
                    builder.shuffle_vector(a, b, ir.Constant(index, [lane + half for lane in low])),
                )
                for a, b in zip(vectors[::2], vectors[1::2], strict=True)
            ]
            half //= 2
        return vectors[0]

    return vector(array, types.intp), generate
