"""Vectors of 32-bit integers for numba: unsigned ones for random numbers, and signed ones, which are indices."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from ttfsrun.neuron.kernels.lanes import lane_count
from ttfsrun.neuron.kernels.llvm import constant, count_of, spread, wide
from ttfsrun.neuron.kernels.simd import Vector, bind, elementwise

_WORD = ir.IntType(32)

bind(operator.xor, Vector, elementwise(ir.IRBuilder.xor, 2))
bind(operator.and_, Vector, elementwise(ir.IRBuilder.and_, 2))


def _emit_high_product(builder: ir.IRBuilder, a: ir.Value, b: ir.Value) -> ir.Value:
    """Emit the high halves of the 64-bit products of two vectors."""
    double = wide(ir.IntType(64), count_of(a.type))
    product = builder.mul(builder.zext(a, double), builder.zext(b, double))
    return builder.trunc(builder.lshr(product, constant(double, 32)), a.type)


#: high_product(a, b): the high 32 bits of each product; `a * b` has the low ones.
high_product = elementwise(_emit_high_product, 2)


@intrinsic
def splat_word(typing: Any, like: types.Type, value: types.Integer) -> Any:
    """Return a vector with the low 32 bits of `value` in each lane, with as many lanes as `like`."""

    lanes = lane_count(like)

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, args: Sequence[ir.Value]) -> ir.Value:
        word = context.cast(builder, args[1], signature.args[1], types.uint32)
        return spread(builder, wide(_WORD, lanes), word)

    return Vector(types.uint32, lanes)(like, value), generate


@intrinsic
def lane_numbers(typing: Any, like: types.Type) -> Any:
    """Return the vector 0, 1, 2, ..., with as many lanes as `like`."""

    lanes = lane_count(like)

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, args: Sequence[ir.Value]) -> ir.Value:
        return ir.Constant(wide(_WORD, lanes), list(range(lanes)) if lanes > 1 else 0)

    return Vector(types.uint32, lanes)(like), generate


@intrinsic
def lane_indices(typing: Any, like: types.Type) -> Any:
    """Return the same as int32."""
    lanes = lane_count(like)

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, args: Sequence[ir.Value]) -> ir.Value:
        return ir.Constant(wide(_WORD, lanes), list(range(lanes)) if lanes > 1 else 0)

    return Vector(types.int32, lanes)(like), generate


@intrinsic
def to_float64(typing: Any, words: Vector) -> Any:
    """Return the same numbers as float64, exactly."""

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, args: Sequence[ir.Value]) -> ir.Value:
        return builder.uitofp(args[0], wide(ir.DoubleType(), count_of(args[0].type)))

    return Vector(types.float64, words.lanes)(words), generate


@intrinsic
def to_int64(typing: Any, words: Vector) -> Any:
    """Return the same numbers as int64."""

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, args: Sequence[ir.Value]) -> ir.Value:
        return builder.zext(args[0], wide(ir.IntType(64), count_of(args[0].type)))

    return Vector(types.int64, words.lanes)(words), generate


@intrinsic
def interleave(typing: Any, a: Vector, b: Vector, c: Vector, d: Vector) -> Any:
    """Return a0 b0 c0 d0 a1 b1 c1 d1 ... as four vectors."""
    result = types.UniTuple(a, 4)

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, args: Sequence[ir.Value]) -> ir.Value:
        lanes = count_of(args[0].type)
        if lanes == 1:
            return context.make_tuple(builder, result, args)

        def shuffled(low: ir.Value, high: ir.Value, chosen: Sequence[int]) -> ir.Value:
            return builder.shuffle_vector(low, high, ir.Constant(ir.VectorType(_WORD, len(chosen)), list(chosen)))

        ab, cd = (shuffled(low, high, range(2 * lanes)) for low, high in (args[:2], args[2:]))
        order = [lane + vector * lanes for lane in range(lanes) for vector in range(4)]
        parts = [shuffled(ab, cd, order[at : at + lanes]) for at in range(0, 4 * lanes, lanes)]
        return context.make_tuple(builder, result, parts)

    return result(a, b, c, d), generate


@intrinsic
def lane(typing: Any, vector: Vector, index: types.Integer) -> Any:
    """Return one lane as a scalar."""

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, args: Sequence[ir.Value]) -> ir.Value:
        if count_of(args[0].type) == 1:
            return args[0]
        return builder.extract_element(args[0], builder.trunc(args[1], _WORD))

    return vector.scalar(vector, types.intp), generate


@intrinsic
def to_int32(typing: Any, numbers: Vector) -> Any:
    """Return the integral parts of floats between 0 and 2^31."""
    lanes = numbers.lanes

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, args: Sequence[ir.Value]) -> ir.Value:
        return builder.fptosi(args[0], wide(_WORD, lanes))

    return Vector(types.int32, lanes)(numbers), generate


@intrinsic
def order_keys(typing: Any, times: Vector) -> Any:
    """Return signed integers that sort like times, which must not be NaN; 0 and -0 are equal."""
    bits = times.scalar.bitwidth
    result = Vector(types.Integer.from_bitwidth(bits, signed=True), times.lanes)

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, args: Sequence[ir.Value]) -> ir.Value:
        kind = context.get_value_type(result)
        (time,) = args
        word = builder.bitcast(builder.fadd(time, constant(time.type, 0.0)), kind)  # -0 + 0 is 0
        # The bits of negative numbers sort the other way round.
        negative = builder.ashr(word, constant(kind, bits - 1))
        return builder.xor(word, builder.and_(negative, constant(kind, 2 ** (bits - 1) - 1)))

    return result(times), generate


def _emit_gather(builder: ir.IRBuilder, data: ir.Value, offsets: Sequence[ir.Value]) -> ir.Value:
    """Emit the vector of the numbers at offsets from an address, one for each lane."""
    numbers = [builder.load(builder.gep(data, [offset])) for offset in offsets]
    if len(numbers) == 1:
        return numbers[0]
    result = ir.Constant(wide(numbers[0].type, len(numbers)), ir.Undefined)
    for lane, number in enumerate(numbers):
        result = builder.insert_element(result, number, _WORD(lane))
    return result


@intrinsic
def set_item(typing: Any, array: types.Array, index: types.Integer, value: types.Integer) -> Any:
    """Write an integer to flat `index` of a C-contiguous array."""

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, args: Sequence[ir.Value]) -> ir.Value:
        kind = signature.args[0]
        data = context.make_array(kind)(context, builder, args[0]).data
        builder.store(context.cast(builder, args[2], value, kind.dtype), builder.gep(data, [args[1]]))
        return context.get_dummy_value()

    return types.none(array, types.intp, value), generate


@intrinsic
def vgather(typing: Any, array: types.Array, at: types.Integer, index: Vector) -> Any:
    """Return the numbers at `at` + index of a C-contiguous array."""

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, args: Sequence[ir.Value]) -> ir.Value:
        data = context.make_array(signature.args[0])(context, builder, args[0]).data
        _, at, index = args
        lanes = count_of(index.type)
        chosen = [builder.extract_element(index, _WORD(i)) for i in range(lanes)] if lanes > 1 else [index]
        return _emit_gather(builder, data, [builder.add(at, builder.sext(each, at.type)) for each in chosen])

    return Vector(array.dtype, index.lanes)(array, types.intp, index), generate


@intrinsic
def vgather_own(
    typing: Any,
    array: types.Array,
    at: types.Integer,
    stride: types.Integer,
    words: types.Array,
    first: types.Integer,
    mask: types.Integer,
) -> Any:
    """Return, for each lane, its number of the vector that starts at flat index `at` + stride i of an array.

    i is the lane's word at flat index `first` of an array of int32, without the bits that are not in `mask`.
    """
    lanes = lane_count(words)

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, args: Sequence[ir.Value]) -> ir.Value:
        data, keys = (context.make_array(signature.args[i])(context, builder, args[i]).data for i in (0, 3))
        _, at, stride, _, first, mask = args
        offsets = []
        for i in range(lanes):
            word = builder.load(builder.gep(keys, [builder.add(first, first.type(i))]))
            index = builder.and_(builder.sext(word, at.type), mask)
            offsets.append(builder.add(builder.add(at, at.type(i)), builder.mul(index, stride)))
        return _emit_gather(builder, data, offsets)

    return Vector(array.dtype, lanes)(array, types.intp, types.intp, words, types.intp, types.intp), generate
