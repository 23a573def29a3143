"""The transpose of lanes × lanes numbers of a matrix, in vector registers (`simd.py`); interpreted, a loop."""

from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import lower_builtin

from .intrinsics import VECTOR_BYTES, lanes, widen
from .simd import alignment, in_all_lanes, masked_call, masks_for, typed


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


typed(transpose_square, lambda source, *others: types.none if isinstance(source, types.Array) else None)
typed(transpose_part, lambda source, *others: types.none if isinstance(source, types.Array) else None)


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
    n = len(rows)
    interleaved = [i // 2 + n * (i % 2) for i in range(2 * n)]  # 0, n, 1, n + 1, ...
    low, high = (ir.Constant(ir.VectorType(ir.IntType(32), n), half) for half in (interleaved[:n], interleaved[n:]))
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
