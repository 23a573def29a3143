"""SIMD vectors: adjacent numbers that are held in vector registers, and used as one value.

    load(array, start, vectors)                  the numbers from element start on that fill `vectors` registers
    masked_load(array, start, vectors, count)    the first `count` of them, and zeros; nothing after them is read
    load_past_end(array, start, vectors)         like load; lanes past the end of the array hold what is there
    store(simd, array, start)                    back to memory
    masked_store(simd, array, start, count)      only the first `count`; nothing after them is written
    broadcast(x, array, vectors)                 x in every lane
    prefetch(array, start, vectors)              these numbers will be needed soon
    a + b, a - b, a * b, x * a                   lane by lane; with * and +, fused multiply-adds
    larger(a, b)                                 the larger number in each lane
    swapped(simd, k)                             lanes l and l XOR k exchanged; of one register, with a constant k
    first(simd)                                  the number in the first lane

Interpreted, such a value is a small NumPy array. Compiled, it is a few values of LLVM's vector type, each as wide as a
register. A sum of products in such a value is therefore in registers, without depending on an optimization of the loops
around it. `vectors` is a compile-time constant; arrays are contiguous, and indexed as one-dimensional.

`simd_rows.py` has blocks of such values, and `simd_transpose.py` transposes matrices.

A masked load or store is one instruction with AVX-512 and AVX2 (`MASKS`), and number by number elsewhere.
"""

import operator
from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.core.extending import models, register_model
from numba.core.typing.templates import AbstractTemplate, infer_global, signature
from numba.extending import lower_builtin

from .intrinsics import VECTOR_BYTES, lanes, widen, window
from .memory import LINE
from .types import Vector

MASKS = VECTOR_BYTES > 16
"""True if the vector unit has masked loads and stores."""


def load(array: Any, start: int, vectors: int) -> Vector:
    return window(array, start, vectors * lanes(array)).copy()


def masked_load(array: Any, start: int, vectors: int, count: int) -> Vector:
    simd = np.zeros(vectors * lanes(array), array.dtype)
    count = max(0, min(count, simd.size))
    simd[:count] = window(array, start, count) if count else 0
    return simd


def load_past_end(array: Any, start: int, vectors: int) -> Vector:
    """Like `load`; the caller knows that the memory after the array can be read, and does not use what is there."""
    return masked_load(array, start, vectors, array.size - start)


def store(simd: Vector, array: Any, start: int) -> None:
    window(array, start, simd.size)[:] = simd


def masked_store(simd: Vector, array: Any, start: int, count: int) -> None:
    count = max(0, min(count, simd.size))
    if count:
        window(array, start, count)[:] = simd[:count]


def broadcast(x: Any, array: Any, vectors: int) -> Vector:
    return np.full(vectors * lanes(array), x, array.dtype)


def larger(a: Vector, b: Vector) -> Vector:
    """The larger number in each lane; a where one of them is NaN."""
    return np.where(b > a, b, a)


def swapped(simd: Vector, k: int) -> Vector:
    """Lane l gets the number of lane l XOR k.

    Adding a vector's swapped copy to it for k = 1, 2, 4, ... in turn leaves the sum of all lanes in every lane.
    """
    exchanged: Vector = simd[np.arange(simd.size) ^ k]
    return exchanged


def first(simd: Vector) -> Any:
    return simd[0]


def prefetch(array: Any, start: int, vectors: int) -> None:
    """Load these numbers into the cache, if they exist; nothing else happens."""


class SimdVectors(types.Type):
    """The compiler's type of such a value: for each of its rows, `vectors` registers of numbers of that dtype."""

    def __init__(self, dtype: Any, vectors: int, rows: int = 1) -> None:
        self.dtype, self.vectors, self.rows = dtype, vectors, rows
        self.lanes = VECTOR_BYTES * 8 // dtype.bitwidth
        super().__init__(name=f"SimdVectors({dtype}, {vectors}, {rows})")


@register_model(SimdVectors)
class _Model(models.PrimitiveModel):
    def __init__(self, manager, simd):
        number = manager.lookup(simd.dtype).get_value_type()
        super().__init__(manager, simd, ir.ArrayType(ir.VectorType(number, simd.lanes), simd.rows * simd.vectors))


def _simd_of(array: Any, vectors: Any) -> Any:
    is_constant = isinstance(array, types.Array) and isinstance(vectors, types.IntegerLiteral)
    return SimdVectors(array.dtype, vectors.literal_value) if is_constant else None


def _is_row(simd: Any) -> bool:
    return isinstance(simd, SimdVectors) and simd.rows == 1


def _is_register(simd: Any) -> bool:
    return _is_row(simd) and simd.vectors == 1


def typed(function, result):
    """Tell Numba the type of a function's result, given the types of its arguments."""

    class Template(AbstractTemplate):
        key = function
        prefer_literal = True

        def generic(self, arguments, keywords):
            of = result(*arguments)
            return of and signature(of, *arguments)

    infer_global(function)(Template)


typed(load, lambda array, start, vectors: _simd_of(array, vectors))
typed(load_past_end, lambda array, start, vectors: _simd_of(array, vectors))
typed(masked_load, lambda array, start, vectors, count: _simd_of(array, vectors))
typed(store, lambda simd, array, start: types.none if _is_row(simd) else None)
typed(masked_store, lambda simd, array, start, count: types.none if _is_row(simd) else None)
typed(prefetch, lambda array, start, vectors: types.none if _simd_of(array, vectors) else None)
typed(broadcast, lambda x, array, vectors: _simd_of(array, vectors))
typed(larger, lambda a, b: a if isinstance(a, SimdVectors) and a == b else None)
typed(swapped, lambda simd, k: simd if _is_register(simd) and isinstance(k, types.IntegerLiteral) else None)
typed(first, lambda simd: simd.dtype if isinstance(simd, SimdVectors) else None)


def registers_of(builder, simd):
    return [builder.extract_value(simd, r) for r in range(simd.type.count)]


def joined(builder, registers):
    simd = ir.Constant(ir.ArrayType(registers[0].type, len(registers)), ir.Undefined)
    for r, register in enumerate(registers):
        simd = builder.insert_value(simd, register, r)
    return simd


def alignment(array_type):
    """The guaranteed alignment of any element: its size."""
    return ir.Constant(ir.IntType(32), array_type.dtype.bitwidth // 8)


def _register_addresses(context, builder, array_type, array, start, simd):
    """The address of each register of a value, and the guaranteed alignment."""
    widen(builder.function)
    memory = context.make_array(array_type)(context, builder, array)
    step = simd.element.count
    starts = [builder.add(start, ir.Constant(start.type, r * step)) for r in range(simd.count)]
    addresses = [builder.gep(memory.data, [at], inbounds=True) for at in starts]
    return [builder.bitcast(address, simd.element.as_pointer()) for address in addresses], alignment(array_type)


def masks_for(builder, simd, count):
    """For each register of a value, the mask that keeps what belongs to the first `count` numbers."""
    lane_numbers = ir.VectorType(ir.IntType(32), simd.element.count)
    most = ir.Constant(count.type, simd.count * lane_numbers.count)
    at_most = builder.select(builder.icmp_signed("<", count, most), count, most)
    limit = in_all_lanes(builder, builder.trunc(at_most, lane_numbers.element), lane_numbers)
    numbered = [list(range(r * lane_numbers.count, (r + 1) * lane_numbers.count)) for r in range(simd.count)]
    return [builder.icmp_signed("<", ir.Constant(lane_numbers, numbers), limit) for numbers in numbered]


def in_all_lanes(builder, x, vector):
    one = builder.insert_element(ir.Constant(vector, ir.Undefined), x, ir.Constant(ir.IntType(32), 0))
    return builder.shuffle_vector(one, one, ir.Constant(ir.VectorType(ir.IntType(32), vector.count), None))


def masked_call(builder, name, register, result, arguments):
    """Call LLVM's masked load or store for one register."""
    kind = ir.FunctionType(result, [argument.type for argument in arguments])
    bits = "f32" if isinstance(register.element, ir.FloatType) else "f64"
    full = f"llvm.masked.{name}.v{register.count}{bits}.p0"
    known = builder.module.globals.get(full)
    return builder.call(known or ir.Function(builder.module, kind, full), arguments)


@lower_builtin(load, types.Array, types.Integer, types.Integer)
@lower_builtin(load_past_end, types.Array, types.Integer, types.Integer)
def _load(context, builder, signature, arguments):
    simd = context.get_value_type(signature.return_type)
    array, start, _ = arguments
    addresses, align = _register_addresses(context, builder, signature.args[0], array, start, simd)
    return joined(builder, [builder.load(address, align=align.constant) for address in addresses])


@lower_builtin(masked_load, types.Array, types.Integer, types.Integer, types.Integer)
def _masked_load(context, builder, signature, arguments):
    simd, array_type = context.get_value_type(signature.return_type), signature.args[0]
    array, start, _, count = arguments
    addresses, align = _register_addresses(context, builder, array_type, array, start, simd)
    nothing = ir.Constant(simd.element, None)
    loads = [
        masked_call(builder, "load", simd.element, simd.element, [address, align, mask, nothing])
        for address, mask in zip(addresses, masks_for(builder, simd, count), strict=True)
    ]
    return joined(builder, loads)


@lower_builtin(store, SimdVectors, types.Array, types.Integer)
def _store(context, builder, signature, arguments):
    simd, array, start = arguments
    addresses, align = _register_addresses(context, builder, signature.args[1], array, start, simd.type)
    for register, address in zip(registers_of(builder, simd), addresses, strict=True):
        builder.store(register, address, align=align.constant)
    return context.get_dummy_value()


@lower_builtin(masked_store, SimdVectors, types.Array, types.Integer, types.Integer)
def _masked_store(context, builder, signature, arguments):
    simd, array, start, count = arguments
    array_type = signature.args[1]
    addresses, align = _register_addresses(context, builder, array_type, array, start, simd.type)
    registers, masks = registers_of(builder, simd), masks_for(builder, simd.type, count)
    for register, address, mask in zip(registers, addresses, masks, strict=True):
        masked_call(builder, "store", register.type, ir.VoidType(), [register, address, align, mask])
    return context.get_dummy_value()


def prefetch_lines(builder, address, size):
    """Prefetch `size` bytes."""
    byte, word = ir.IntType(8).as_pointer(), ir.IntType(32)
    kind = ir.FunctionType(ir.VoidType(), [byte, word, word, word])
    known = builder.module.globals.get("llvm.prefetch.p0")
    function = known or ir.Function(builder.module, kind, "llvm.prefetch.p0")
    to_read, keep, data = (ir.Constant(word, value) for value in (0, 2, 1))
    for line in range(0, size, LINE):
        at = cgutils.pointer_add(builder, address, ir.Constant(cgutils.intp_t, line), byte)
        builder.call(function, [at, to_read, keep, data])


@lower_builtin(prefetch, types.Array, types.Integer, types.Integer)
def _prefetch(context, builder, signature, arguments):
    array_type, _, vectors = signature.args
    array, start, _ = arguments
    memory = context.make_array(array_type)(context, builder, array)
    prefetch_lines(builder, builder.gep(memory.data, [start]), vectors.literal_value * VECTOR_BYTES)
    return context.get_dummy_value()


@lower_builtin(broadcast, types.Float, types.Array, types.Integer)
def _broadcast(context, builder, signature, arguments):
    widen(builder.function)
    simd = context.get_value_type(signature.return_type)
    return joined(builder, [in_all_lanes(builder, arguments[0], simd.element)] * simd.count)


@lower_builtin(larger, SimdVectors, SimdVectors)
def _larger(context, builder, signature, arguments):
    pairs = zip(*(registers_of(builder, simd) for simd in arguments), strict=True)
    return joined(builder, [builder.select(builder.fcmp_ordered(">", b, a), b, a) for a, b in pairs])


@lower_builtin(swapped, SimdVectors, types.Integer)
def _swapped(context, builder, signature, arguments):
    [register], k = registers_of(builder, arguments[0]), signature.args[1].literal_value
    count = register.type.count
    # k ≥ count occurs only in branches that never run, such as `if size > 8` with 8 lanes; % keeps the indices valid
    places = ir.Constant(ir.VectorType(ir.IntType(32), count), [(l ^ k) % count for l in range(count)])
    return joined(builder, [builder.shuffle_vector(register, register, places)])


@lower_builtin(first, SimdVectors)
def _first(context, builder, signature, arguments):
    return builder.extract_element(builder.extract_value(arguments[0], 0), ir.Constant(ir.IntType(32), 0))


def _arithmetic(function, instruction):
    """a ∘ b for two values, or for a number and a value."""

    class Template(AbstractTemplate):
        key = function

        def generic(self, arguments, keywords):
            found = [a for a in arguments if isinstance(a, SimdVectors)]
            fits = found and all(a in (found[0], found[0].dtype) for a in arguments)
            return signature(found[0], *arguments) if fits else None

    infer_global(function)(Template)

    def lower(context, builder, signature, arguments):
        simd = context.get_value_type(signature.return_type)
        a, b = (
            registers_of(builder, x) if x.type == simd else [in_all_lanes(builder, x, simd.element)] * simd.count
            for x in arguments
        )
        return joined(builder, [getattr(builder, instruction)(*pair) for pair in zip(a, b, strict=True)])

    for kinds in ((SimdVectors, SimdVectors), (types.Float, SimdVectors), (SimdVectors, types.Float)):
        lower_builtin(function, *kinds)(lower)


_arithmetic(operator.add, "fadd")
_arithmetic(operator.sub, "fsub")
_arithmetic(operator.mul, "fmul")
