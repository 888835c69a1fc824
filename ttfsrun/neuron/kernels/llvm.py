"""Vectors in LLVM's terms; of one lane, a number."""

from __future__ import annotations

from llvmlite import ir
from numba.core import cgutils


def wide(number: ir.Type, count: int) -> ir.Type:
    """Return LLVM's type of a vector of so many numbers; of one, that of the number."""
    return ir.VectorType(number, count) if count > 1 else number


def number_of(kind: ir.Type) -> ir.Type:
    """Return the type of the numbers of LLVM's type of a vector, see `wide`."""
    return kind.element if isinstance(kind, ir.VectorType) else kind


def count_of(kind: ir.Type) -> int:
    """Return how many numbers LLVM's type of a vector has, see `wide`."""
    return int(kind.count) if isinstance(kind, ir.VectorType) else 1


def constant(kind: ir.Type, value: float) -> ir.Constant:
    """Return a vector with the same number in every lane."""
    return ir.Constant(kind, [value] * kind.count if isinstance(kind, ir.VectorType) else value)


def spread(builder: ir.IRBuilder, kind: ir.Type, number: ir.Value) -> ir.Value:
    """Emit a vector with a number in every lane."""
    if count_of(kind) == 1:
        return number
    undefined, zero = ir.Constant(kind, ir.Undefined), ir.IntType(32)(0)
    lanes = ir.Constant(ir.VectorType(zero.type, kind.count), [0] * kind.count)
    return builder.shuffle_vector(builder.insert_element(undefined, number, zero), undefined, lanes)


def call(builder: ir.IRBuilder, name: str, *args: ir.Value) -> ir.Value:
    """Call LLVM's intrinsic `name` for the vector type of its arguments."""
    kind = args[0].type
    suffix = {"float": "f32", "double": "f64"}[str(number_of(kind))]
    vector = f"v{kind.count}" if isinstance(kind, ir.VectorType) else ""
    signature = ir.FunctionType(kind, [kind] * len(args))
    function = cgutils.get_or_insert_function(builder.module, signature, f"llvm.{name}.{vector}{suffix}")
    return builder.call(function, args)
