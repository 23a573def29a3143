"""Blocks of a matrix in vector registers: several rows of SIMD vectors (`simd.py`), used as one value.

    load_rows(M, i, rows, vectors, count)    M[i : i+rows, :count], and zeros up to `vectors` registers in each row
    store_rows(block, M, i, count)           back to memory, only the first `count` columns
    prefetch_rows(M, i, rows, vectors)       these numbers will be needed soon
    repeated(simd, rows)                     the same vector in every row
    rank_1_update(block, M, i, k, simd)      block + the outer product of M[i : i+rows, k] and simd, by fused
                                             multiply-adds (kernels are compiled with `contract`): each number of
                                             M is loaded right before its use
    a + b, a - b, a * b, x * a               elementwise

Below the last row of M, each of these uses the last row again, so a block at the bottom edge computes that row
repeatedly, with the same result, since all rows are loaded before one is stored. Rows are contiguous, except those of M
in `rank_1_update`, which reads single numbers. `rows` and `vectors` are compile-time constants. Interpreted, a block is
a small NumPy array.
"""

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import lower_builtin

from .intrinsics import VECTOR_BYTES, lanes, widen
from .simd import (
    SimdVectors,
    alignment,
    in_all_lanes,
    joined,
    masked_call,
    masks_for,
    prefetch_lines,
    registers_of,
    typed,
)
from .types import Matrix, Vector


def load_rows(M: Matrix, i: int, rows: int, vectors: int, count: int) -> Matrix:
    block = np.zeros((rows, vectors * lanes(M)), M.dtype)
    count = max(0, min(count, block.shape[1]))
    block[:, :count] = M[_row_numbers(M, i, rows), :count]
    return block


def store_rows(block: Matrix, M: Matrix, i: int, count: int) -> None:
    count = max(0, min(count, block.shape[1]))
    M[_row_numbers(M, i, len(block)), :count] = block[:, :count]


def prefetch_rows(M: Matrix, i: int, rows: int, vectors: int) -> None:
    """Load these numbers into the cache, if they exist; nothing else happens."""


def repeated(simd: Vector, rows: int) -> Matrix:
    return np.tile(simd, (rows, 1))


def rank_1_update(block: Matrix, M: Matrix, i: int, k: int, simd: Vector) -> Matrix:
    return block + np.outer(M[_row_numbers(M, i, len(block)), k], simd)


def _row_numbers(M: Matrix, i: int, rows: int) -> Vector:
    return np.minimum(np.arange(i, i + rows), len(M) - 1)


def _rows_of(array, rows, vectors):
    is_constant = isinstance(rows, types.IntegerLiteral) and isinstance(vectors, types.IntegerLiteral)
    if not (isinstance(array, types.Array) and is_constant):
        return None
    return SimdVectors(array.dtype, vectors.literal_value, rows.literal_value)


def _repeated_rows(simd, rows):
    is_row = isinstance(simd, SimdVectors) and simd.rows == 1 and isinstance(rows, types.IntegerLiteral)
    return SimdVectors(simd.dtype, simd.vectors, rows.literal_value) if is_row else None


typed(load_rows, lambda M, i, rows, vectors, count: _rows_of(M, rows, vectors))
typed(store_rows, lambda block, M, i, count: types.none if isinstance(block, SimdVectors) else None)
typed(prefetch_rows, lambda M, i, rows, vectors: types.none if _rows_of(M, rows, vectors) else None)
typed(repeated, _repeated_rows)
typed(rank_1_update, lambda block, M, i, k, simd: block if isinstance(block, SimdVectors) else None)


def row_addresses(context, builder, array_type, array, i, rows):
    """The address of the first number of each row, and the step to its next number in bytes."""
    memory = context.make_array(array_type)(context, builder, array)
    (m, _), (down, right) = (cgutils.unpack_tuple(builder, pair) for pair in (memory.shape, memory.strides))
    last = builder.sub(m, ir.Constant(m.type, 1))
    addresses = []
    for r in range(rows):
        at = builder.add(i, ir.Constant(i.type, r))
        at = builder.select(builder.icmp_signed("<", at, last), at, last)
        addresses.append(cgutils.pointer_add(builder, memory.data, builder.mul(at, down)))
    return addresses, right


def _registers_at(builder, addresses, vectors, register):
    """The address of each register of a block, row by row."""
    for address in addresses:
        for v in range(vectors):
            at = builder.gep(address, [ir.Constant(cgutils.intp_t, v * register.count)], inbounds=True)
            yield builder.bitcast(at, register.as_pointer())


@lower_builtin(load_rows, types.Array, types.Integer, types.Integer, types.Integer, types.Integer)
def _load_rows(context, builder, signature, arguments):
    block, array_type = signature.return_type, signature.args[0]
    M, i, _, _, count = arguments
    register = context.get_value_type(block).element
    widen(builder.function)
    addresses, _ = row_addresses(context, builder, array_type, M, i, block.rows)
    masks = masks_for(builder, ir.ArrayType(register, block.vectors), count) * block.rows
    nothing, align = ir.Constant(register, None), alignment(array_type)
    places = _registers_at(builder, addresses, block.vectors, register)
    loads = [
        masked_call(builder, "load", register, register, [at, align, mask, nothing])
        for at, mask in zip(places, masks, strict=True)
    ]
    return joined(builder, loads)


@lower_builtin(store_rows, SimdVectors, types.Array, types.Integer, types.Integer)
def _store_rows(context, builder, signature, arguments):
    block, array_type, *_ = signature.args
    simd, M, i, count = arguments
    register = simd.type.element
    addresses, _ = row_addresses(context, builder, array_type, M, i, block.rows)
    masks = masks_for(builder, ir.ArrayType(register, block.vectors), count) * block.rows
    align = alignment(array_type)
    places = _registers_at(builder, addresses, block.vectors, register)
    for value, at, mask in zip(registers_of(builder, simd), places, masks, strict=True):
        masked_call(builder, "store", register, ir.VoidType(), [value, at, align, mask])
    return context.get_dummy_value()


@lower_builtin(prefetch_rows, types.Array, types.Integer, types.Integer, types.Integer)
def _prefetch_rows(context, builder, signature, arguments):
    array_type, _, rows, vectors = signature.args
    M, i, _, _ = arguments
    addresses, _ = row_addresses(context, builder, array_type, M, i, rows.literal_value)
    for address in addresses:
        prefetch_lines(builder, address, vectors.literal_value * VECTOR_BYTES)
    return context.get_dummy_value()


@lower_builtin(repeated, SimdVectors, types.Integer)
def _repeated(context, builder, signature, arguments):
    return joined(builder, registers_of(builder, arguments[0]) * signature.return_type.rows)


@lower_builtin(rank_1_update, SimdVectors, types.Array, types.Integer, types.Integer, SimdVectors)
def _rank_1_update(context, builder, signature, arguments):
    block, array_type, *_ = signature.args
    sums, M, i, k, simd = arguments
    addresses, right = row_addresses(context, builder, array_type, M, i, block.rows)
    before, vectors = builder.mul(k, right), registers_of(builder, simd)
    sums = iter(registers_of(builder, sums))
    updated = []
    for address in addresses:
        x = builder.load(cgutils.pointer_add(builder, address, before))
        x = in_all_lanes(builder, x, simd.type.element)
        updated += [builder.fadd(next(sums), builder.fmul(x, y)) for y in vectors]
    return joined(builder, updated)
