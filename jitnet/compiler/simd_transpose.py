"""Numbers of a matrix, transposed in vector registers (`simd.py`).

    transpose_square(source, r, c, target)    lanes × lanes numbers of `source`, transposed, to `target`
    transpose_part(source, r, c, target)      the same at the edges of `source`
    rank_n_update(block, M, A, i, k, first)   block + M[:, k : k+n]·A[i : i+lanes, k : k+n]ᵀ, term by term

Interpreted, these are loops.
"""

from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import lower_builtin

from .intrinsics import VECTOR_BYTES, lanes, widen
from .simd import SimdVectors, alignment, in_all_lanes, joined, masked_call, masks_for, registers_of, typed
from .simd_rows import rank_1_update, row_addresses
from .types import Matrix

TERMS_BYTES = 16
"""Bytes of a row of A in a step of `rank_n_update`: the part of a register within which shuffles are fastest."""


def transpose_square(source: Any, r: int, c: int, target: Any) -> None:
    """target[c + j, r + i] = source[r + i, c + j] for i and j from 0 to lanes − 1; both are matrices.

    A loop could only move single numbers, because either the loads or the stores are strided. In registers it takes
    log₂(lanes) steps, each of which interleaves the first half of the rows with the second. After these, every number
    is in its transposed position.
    """
    transpose_part(source, r, c, target)


def transpose_part(source: Any, r: int, c: int, target: Any) -> None:
    """The same where `source` may end: zeros are written after its last row, and nothing after its last column."""
    rows, columns = source.shape
    for j in range(c, min(c + lanes(source), columns)):
        for i in range(r, r + lanes(source)):
            target[j, i] = source[i, j] if i < rows else 0


def rank_n_update(block: Matrix, M: Matrix, A: Matrix, i: int, k: int, first: int) -> Matrix:
    """The outer products of M[:, k + t] and A[i : i+lanes, k + t] are added for t = first, ..., n − 1 in turn.

    A vector of numbers of a column of A would take as many loads as it has lanes. Here each load takes n numbers of a
    row, TERMS_BYTES in all, which are then transposed. Rows of A are contiguous; A must have as many from i on as a row
    of `block` has lanes, and n numbers from k on.
    """
    for t in range(k + first, k + TERMS_BYTES // A.itemsize):
        block = rank_1_update(block, M, 0, t, A[i : i + block.shape[1], t])
    return block


typed(transpose_square, lambda source, *others: types.none if isinstance(source, types.Array) else None)
typed(transpose_part, lambda source, *others: types.none if isinstance(source, types.Array) else None)

typed(rank_n_update, lambda block, *others: block if isinstance(block, SimdVectors) else None)


def _row_places(context, builder, array_type, array, r, c):
    """The address of element c in one row per lane, from row r on; the register type, and the guaranteed alignment."""
    number = context.get_value_type(array_type.dtype)
    register = ir.VectorType(number, VECTOR_BYTES * 8 // array_type.dtype.bitwidth)
    memory = context.make_array(array_type)(context, builder, array)
    first = builder.bitcast(builder.gep(memory.data, [c]), ir.IntType(8).as_pointer())
    stride = builder.extract_value(memory.strides, 0)
    steps = [builder.mul(builder.add(r, ir.Constant(r.type, i)), stride) for i in range(register.count)]
    addresses = [builder.bitcast(builder.gep(first, [step]), register.as_pointer()) for step in steps]
    return addresses, register, alignment(array_type)


def _interleaved(builder, rows):
    """Squares of n × n numbers next to one another, in n rows, each transposed."""
    n, count = len(rows), rows[0].type.count
    places = [
        at + i // 2 + count * (i % 2) for at in range(0, count, n) for i in range(n)
    ]  # 0, count, 1, count + 1, ...
    low, high = (
        ir.Constant(ir.VectorType(ir.IntType(32), count), [place + shift for place in places]) for shift in (0, n // 2)
    )
    for _ in range(n.bit_length() - 1):
        pairs = list(zip(rows[: n // 2], rows[n // 2 :], strict=True))
        rows = [builder.shuffle_vector(a, b, half) for a, b in pairs for half in (low, high)]
    return rows


@lower_builtin(transpose_square, types.Array, types.Integer, types.Integer, types.Array)
def _transpose_square(context, builder, signature, arguments):
    widen(builder.function)
    source, r, c, target = arguments
    sources, _, align = _row_places(context, builder, signature.args[0], source, r, c)
    targets, _, _ = _row_places(context, builder, signature.args[3], target, c, r)
    rows = [builder.load(address, align=align.constant) for address in sources]
    for row, address in zip(_interleaved(builder, rows), targets, strict=True):
        builder.store(row, address, align=align.constant)
    return context.get_dummy_value()


@lower_builtin(transpose_part, types.Array, types.Integer, types.Integer, types.Array)
def _transpose_part(context, builder, signature, arguments):
    widen(builder.function)
    source, r, c, target = arguments
    sources, register, align = _row_places(context, builder, signature.args[0], source, r, c)
    targets, _, _ = _row_places(context, builder, signature.args[3], target, c, r)
    shape = context.make_array(signature.args[0])(context, builder, source).shape
    count, columns = (builder.sub(builder.extract_value(shape, axis), at) for axis, at in enumerate((r, c)))
    (mask,) = masks_for(builder, ir.ArrayType(register, 1), columns)
    nothing, none = ir.Constant(register, None), ir.Constant(mask.type, None)

    def reaches(count, i):
        return builder.icmp_signed(">", count, ir.Constant(count.type, i))

    rows = []
    for i, address in enumerate(sources):
        these = builder.select(reaches(count, i), mask, none)
        rows.append(masked_call(builder, "load", register, register, [address, align, these, nothing]))
    for j, (row, address) in enumerate(zip(_interleaved(builder, rows), targets, strict=True)):
        these = in_all_lanes(builder, reaches(columns, j), mask.type)
        masked_call(builder, "store", register, ir.VoidType(), [row, address, align, these])
    return context.get_dummy_value()


@lower_builtin(rank_n_update, SimdVectors, types.Array, types.Array, types.Integer, types.Integer, types.Integer)
def _rank_n_update(context, builder, signature, arguments):
    block, M_type, A_type, *_ = signature.args
    sums, M, A, i, k, first = arguments
    register, n = sums.type.element, TERMS_BYTES * 8 // block.dtype.bitwidth
    sums, columns = registers_of(builder, sums), []
    few = ir.VectorType(register.element, n).as_pointer()
    [row], _ = row_addresses(context, builder, A_type, A, i, 1)
    stride = builder.extract_value(context.make_array(A_type)(context, builder, A).strides, 0)
    row = cgutils.pointer_add(builder, row, builder.mul(k, ir.Constant(k.type, block.dtype.bitwidth // 8)))
    for _ in range(block.vectors):
        squares = []  # the rows n·s to n·s + n − 1 of A, for each s
        for _ in range(register.count // n):
            steps = [builder.mul(stride, ir.Constant(stride.type, r)) for r in range(n + 1)]
            *square, row = (cgutils.pointer_add(builder, row, step) for step in steps)
            squares.append([builder.bitcast(place, few) for place in square])
            row = _in_a_register(builder, row)
        side_by_side = [_joined_parts(builder, places, block.dtype) for places in zip(*squares, strict=True)]
        columns.append(_interleaved(builder, side_by_side))
    factors, right = row_addresses(context, builder, M_type, M, ir.Constant(i.type, 0), block.rows)
    for t in range(n):
        before = builder.mul(builder.add(k, ir.Constant(k.type, t)), right)
        is_new = builder.icmp_signed(">=", ir.Constant(first.type, t), first)
        for r, factor in enumerate(factors):
            x = in_all_lanes(builder, builder.load(cgutils.pointer_add(builder, factor, before)), register)
            for v, column in enumerate(columns):
                at = r * block.vectors + v
                sums[at] = builder.select(is_new, builder.fadd(sums[at], builder.fmul(x, column[t])), sums[at])
    return joined(builder, sums)


def _in_a_register(builder, x):
    """x, of which LLVM no longer knows how it was computed. Otherwise it would compute the distances of all rows before
    the loop, which are far too many for the registers, and load one of them again for each number."""
    return builder.asm(ir.FunctionType(x.type, [x.type]), "", "=r,0", [x], side_effect=False)


def _joined_parts(builder, places, dtype):
    """The short vectors at these places, in one."""
    parts = [builder.load(place, align=dtype.bitwidth // 8) for place in places]
    while len(parts) > 1:
        count = 2 * parts[0].type.count
        order = ir.Constant(ir.VectorType(ir.IntType(32), count), list(range(count)))
        parts = [builder.shuffle_vector(a, b, order) for a, b in zip(parts[::2], parts[1::2], strict=True)]
    return parts[0]
