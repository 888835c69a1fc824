"""Sorting networks of vectors that stay in registers: each lane is sorted by itself."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from ttfsrun.neuron.kernels.simd import emit_maximum, emit_minimum, pointer_to

Pairs = Sequence[tuple[int, int]]


def bitonic_merge(size: int) -> Iterator[tuple[int, int]]:
    """Yield what to compare to sort a bitonic sequence whose length is a power of two."""
    distance = size // 2
    while distance > 0:
        yield from ((i, i + distance) for i in range(size) if not i & distance)
        distance //= 2


def odd_even_sort(size: int) -> Iterator[tuple[int, int]]:
    """Yield what to compare to sort any sequence whose length is a power of two (Batcher 1968)."""
    run = 1
    while run < size:
        distance = run
        while distance > 0:
            for start in range(distance % run, size - distance, 2 * distance):
                for i in range(start, min(start + distance, size - distance)):
                    if i // (2 * run) == (i + distance) // (2 * run):
                        yield i, i + distance
            distance //= 2
        run *= 2


def _network(size: int, pairs: Pairs) -> Any:
    """Return an intrinsic that compares and exchanges `size` vectors of an array, `stride` apart from flat index at."""

    def typing(typing_context: Any, array: types.Array, at: types.Integer, stride: types.Integer) -> Any:
        def generate(context: Any, builder: ir.IRBuilder, signature: Any, args: Sequence[ir.Value]) -> ir.Value:
            data, at, stride = args
            kind = signature.args[0]
            places = [builder.add(at, builder.mul(stride, stride.type(i))) for i in range(size)]
            pointers = [pointer_to(context, builder, kind, data, place) for place in places]
            align = kind.dtype.bitwidth // 8
            vectors = [builder.load(pointer, align=align) for pointer in pointers]
            for low, high in pairs:
                a, b = vectors[low], vectors[high]
                vectors[low], vectors[high] = emit_minimum(builder, a, b), emit_maximum(builder, a, b)
            for vector, pointer in zip(vectors, pointers, strict=True):
                builder.store(vector, pointer, align=align)
            return context.get_dummy_value()

        return types.none(array, types.intp, types.intp), generate

    return intrinsic(typing)


#: sort_eight(array, at, stride): sort 8 vectors.
sort_eight = _network(8, list(odd_even_sort(8)))
#: sort_sixteen(array, at, stride): sort 16 vectors.
sort_sixteen = _network(16, list(odd_even_sort(16)))
#: merge_sixteen(array, at, stride): sort 16 vectors that are bitonic in each lane.
merge_sixteen = _network(16, list(bitonic_merge(16)))
