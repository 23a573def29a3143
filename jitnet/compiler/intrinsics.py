"""The vector unit of this machine, and operations that LLVM has and Python cannot express.

Each is one small function with a plain-Python version, so a kernel that uses them is still an ordinary Python function:
interpreted, it runs the plain-Python version.

    lanes(array)                        the number of array elements that fill one vector register
    stack_array(size, like)             scratch memory on the stack: no allocation, and tiles that are small enough
                                        end up in registers
    heap_array(size, like)              the same for large sizes, since a thread's stack can be as small as 64 KB; empty
                                        if there is no memory
    free_array(array)                   frees the memory of heap_array, which the kernel must do
    window(array, start, count)         a view of the array's memory from element `start` on, without Python's rules
                                        for negative and too large indices, which cost ten instructions per row
    submatrix(matrix, i0, i1, j0, j1)   matrix[i0:i1, j0:j1], again without these rules
    matrix_in(vector, rows, columns)    a view of a vector's first numbers as a matrix
    wide(array)                         a hint: use the widest vectors in this function
    rolled()                            a hint: do not unroll this loop
    quotient(a, b)                      a/b without the CPU's divider, where that is faster
"""

import platform
from typing import Any

import llvmlite.binding
import numba
import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.core.typing.templates import AbstractTemplate, infer_global, signature
from numba.extending import lower_builtin, type_callable

from .memory import LINE
from .types import Matrix, Vector


def _vector_unit() -> tuple[int, int]:
    """(bytes in a vector register, number of vector registers) of the machine that Numba compiles for."""
    chosen = numba.config.CPU_FEATURES
    features = llvmlite.binding.get_host_cpu_features().flatten() if chosen is None else chosen
    has = {feature[1:] for feature in features.split(",") if feature.startswith("+")}
    if "avx512f" in has:
        return 64, 32
    if "avx2" in has and "fma" in has:
        return 32, 16
    if platform.machine().lower() in ("arm64", "aarch64"):
        return 16, 32
    return 16, 16


VECTOR_BYTES, REGISTERS = _vector_unit()

IS_AMD = llvmlite.binding.get_host_cpu_name().startswith(("znver", "bdver", "btver"))
"""Whether this is a CPU of AMD, also if Numba compiles for another one: its caches and its divider stay the same."""


def lanes(array: Any) -> int:
    """The number of elements of this array's dtype that fill one vector register; a compile-time constant."""
    return VECTOR_BYTES // int(array.itemsize)


@type_callable(lanes)
def _type_of_lanes(context):
    return lambda array: types.intp


@lower_builtin(lanes, types.Array)
def _lanes(context, builder, signature, arguments):
    return context.get_constant(types.intp, _lanes_of(signature.args[0]))


def _lanes_of(array_type: Any) -> int:
    return int(VECTOR_BYTES // (array_type.dtype.bitwidth // 8))


def stack_array(size: int, like: Any) -> Vector:
    """`size` bytes, which must be a constant, as an array of the dtype of `like`; cache-aligned, not initialized."""
    return np.empty(size // like.itemsize, like.dtype)


@infer_global(stack_array)
class _TypeOfStackArray(AbstractTemplate):
    prefer_literal = True

    def generic(self, arguments, keywords):
        size, like = arguments
        is_constant = isinstance(size, types.IntegerLiteral)
        return signature(types.Array(like.dtype, 1, "C"), size, like) if is_constant else None


@lower_builtin(stack_array, types.IntegerLiteral, types.Array)
def _stack_array(context, builder, signature, arguments):
    """LLVM's `alloca`, in the entry block of the function, so that a loop allocates once."""
    vector, size = signature.return_type, signature.args[0].literal_value
    with builder.goto_entry_block():
        memory = builder.alloca(ir.ArrayType(ir.IntType(8), size))
        memory.align = LINE
    widen(builder.function)
    pointer = builder.bitcast(memory, context.get_value_type(vector.dtype).as_pointer())
    count = context.get_constant(types.intp, size // (vector.dtype.bitwidth // 8))
    return _array_at(context, builder, vector, pointer, count)


def heap_array(size: int, like: Any) -> Vector:
    """`size` bytes as an array of the dtype of `like`; cache-aligned, not initialized. Empty if there is no memory."""
    return np.empty(size // like.itemsize, like.dtype)


def free_array(array: Vector) -> None:
    """Free the memory of `heap_array`; does nothing for an empty array."""


@type_callable(heap_array)
def _type_of_heap_array(context):
    return lambda size, like: types.Array(like.dtype, 1, "C")


@type_callable(free_array)
def _type_of_free_array(context):
    return lambda array: types.none


@lower_builtin(heap_array, types.Integer, types.Array)
def _heap_array(context, builder, signature, arguments):
    """Numba's malloc. The word before the array stores the address that it returned, for `free_array`."""
    vector, size = signature.return_type, builder.sext(arguments[0], cgutils.intp_t)
    address_of_dtype = context.get_value_type(vector.dtype).as_pointer()
    malloc = _function(builder, "NRT_Allocate", cgutils.voidptr_t, cgutils.intp_t)
    memory = cgutils.alloca_once_value(builder, cgutils.intp_t(0))
    with builder.if_then(builder.icmp_signed(">", size, size.type(0))):
        taken = builder.ptrtoint(builder.call(malloc, [builder.add(size, size.type(LINE))]), cgutils.intp_t)
        builder.store(taken, memory)
    taken = builder.load(memory)
    is_there = builder.icmp_unsigned("!=", taken, taken.type(0))
    line = builder.and_(builder.add(taken, taken.type(LINE)), taken.type(-LINE))
    with builder.if_then(is_there):
        before = builder.inttoptr(builder.sub(line, line.type(8)), cgutils.intp_t.as_pointer())
        builder.store(taken, before)
    size = builder.select(is_there, size, size.type(0))
    count = builder.udiv(size, size.type(vector.dtype.bitwidth // 8))
    return _array_at(context, builder, vector, builder.inttoptr(line, address_of_dtype), count)


@lower_builtin(free_array, types.Array)
def _free_array(context, builder, signature, arguments):
    array = context.make_array(signature.args[0])(context, builder, arguments[0])
    with builder.if_then(builder.icmp_signed(">", array.nitems, array.nitems.type(0))):
        line = builder.ptrtoint(array.data, cgutils.intp_t)
        before = builder.inttoptr(builder.sub(line, line.type(8)), cgutils.intp_t.as_pointer())
        free = _function(builder, "NRT_Free", ir.VoidType(), cgutils.voidptr_t)
        builder.call(free, [builder.inttoptr(builder.load(before), cgutils.voidptr_t)])
    return context.get_dummy_value()


def _function(builder, name, result, argument):
    return cgutils.get_or_insert_function(builder.module, ir.FunctionType(result, [argument]), name)


def _array_at(context, builder, array_type, pointer, count):
    """A contiguous vector of `count` numbers at that address, without reference counting."""
    return _view(context, builder, array_type, pointer, [count], [_itemsize(context, array_type)])


def _view(context, builder, array_type, pointer, shape, strides):
    """An array at that address, without reference counting; `strides` are in bytes, as in NumPy."""
    from numba.np.arrayobj import populate_array  # here, because importing it takes 30 ms

    array, itemsize = context.make_array(array_type)(context, builder), _itemsize(context, array_type)
    populate_array(array, pointer, shape=shape, strides=strides, itemsize=itemsize, meminfo=None)
    return array._getvalue()


def _itemsize(context, array_type):
    return context.get_constant(types.intp, array_type.dtype.bitwidth // 8)


def wide(array: Any) -> None:
    """Hint: the loops of the calling function benefit from the widest vectors."""


@type_callable(wide)
def _type_of_wide(context):
    return lambda array: types.none


@lower_builtin(wide, types.Array)
def _wide(context, builder, signature, arguments):
    widen(builder.function)
    return context.get_dummy_value()


def widen(function):
    """On Intel's server chips, LLVM uses 256-bit vectors unless the function asks for more."""
    if VECTOR_BYTES == 64:
        # llvmlite rejects this attribute, which is not in its list of names, so it is added to the underlying set
        set.add(function.attributes, '"prefer-vector-width"="512"')


def rolled() -> None:
    """Hint: the loop around this call is not unrolled."""


@type_callable(rolled)
def _type_of_rolled(context):
    return lambda: types.none


@lower_builtin(rolled)
def _rolled(context, builder, signature, arguments):
    """An empty instruction. Being convergent, it must not depend on conditions that are not in the source, such as
    those of the remainder of an unrolled loop."""
    nothing = ir.InlineAsm(ir.FunctionType(ir.VoidType(), []), "", "", side_effect=True)
    builder.call(nothing, [], attrs=("convergent",))
    return context.get_dummy_value()


def quotient(a: float, b: float) -> float:
    """a/b for b > 0, where a, b and a/b are normal numbers; in float32 with Intel's AVX-512, b is at most 2¹²⁵, and the
    error at most two units in the last place.

    There, LLVM computes r ≈ 1/b, the CPU's estimate with 14 bits, q = a·r, and q + r·(a − b·q), one step of Newton's
    method: four instructions of the multiply-add units, while the divider computes a root. It is for loops over whole
    SIMD vectors; what remains after them would begin with an estimate of 12 bits, and end with other bits. AMD's cores
    divide: the divider of Zen 4 overlaps a root and a quotient, and that is faster.
    """
    return a / b


@type_callable(quotient)
def _type_of_quotient(context):
    return lambda a, b: a if a == b and isinstance(a, types.Float) else None


@lower_builtin(quotient, types.Float, types.Float)
def _quotient(context, builder, signature, arguments):
    a, b = arguments
    if signature.return_type != types.float32 or VECTOR_BYTES < 64 or IS_AMD:
        return builder.fdiv(a, b)
    set.add(builder.function.attributes, '"reciprocal-estimates"="divf,vec-divf"')
    largest = b.type(2.0**125)  # the estimate for larger numbers would be 0; for ∞, b·q would be ∞·0
    b = builder.select(builder.fcmp_ordered("<", largest, b), largest, b)
    return builder.fdiv(a, b, flags=("arcp", "ninf", "contract"))


def window(array: Any, start: int, count: int) -> Vector:
    """The `count` numbers from element `start` on of a contiguous array, taken as one-dimensional.

    Interpreted, numbers outside of the array are an IndexError; compiled, there is no check.
    """
    if start < 0 or start + count > array.size:
        raise IndexError(f"elements {start} to {start + count} of an array of {array.size}")
    return array.reshape(-1)[start : start + count]  # type: ignore[no-any-return]


@type_callable(window)
def _type_of_window(context):
    return lambda array, start, count: types.Array(array.dtype, 1, "C")


@lower_builtin(window, types.Array, types.Integer, types.Integer)
def _window(context, builder, signature, arguments):
    array, start, count = arguments
    memory = context.make_array(signature.args[0])(context, builder, array)
    pointer = builder.gep(memory.data, [start], inbounds=True)
    return _array_at(context, builder, signature.return_type, pointer, count)


def submatrix(matrix: Matrix, i0: int, i1: int, j0: int, j1: int) -> Matrix:
    """matrix[i0:i1, j0:j1].

    Interpreted, rows or columns outside of the matrix are an IndexError; compiled, there is no check. The compiler has
    one type for the parts of all matrices, contiguous or transposed.
    """
    if not (0 <= i0 <= i1 <= matrix.shape[0] and 0 <= j0 <= j1 <= matrix.shape[1]):
        raise IndexError(f"[{i0}:{i1}, {j0}:{j1}] of a matrix of {matrix.shape}")
    return matrix[i0:i1, j0:j1]


@type_callable(submatrix)
def _type_of_submatrix(context):
    return lambda matrix, i0, i1, j0, j1: types.Array(matrix.dtype, 2, "A")


@lower_builtin(submatrix, types.Array, types.Integer, types.Integer, types.Integer, types.Integer)
def _submatrix(context, builder, signature, arguments):
    matrix, i0, i1, j0, j1 = arguments
    memory = context.make_array(signature.args[0])(context, builder, matrix)
    strides = cgutils.unpack_tuple(builder, memory.strides)
    bytes_before = builder.add(builder.mul(i0, strides[0]), builder.mul(j0, strides[1]))
    pointer = cgutils.pointer_add(builder, memory.data, bytes_before)
    shape = [builder.sub(i1, i0), builder.sub(j1, j0)]
    return _view(context, builder, signature.return_type, pointer, shape, strides)


def matrix_in(vector: Vector, rows: int, columns: int) -> Matrix:
    """The first rows · columns numbers of a vector as a matrix."""
    return vector[: rows * columns].reshape(rows, columns)


@type_callable(matrix_in)
def _type_of_matrix_in(context):
    return lambda vector, rows, columns: types.Array(vector.dtype, 2, "A")  # the type of any view of a matrix


@lower_builtin(matrix_in, types.Array, types.Integer, types.Integer)
def _matrix_in(context, builder, signature, arguments):
    vector, rows, columns = arguments
    memory = context.make_array(signature.args[0])(context, builder, vector)
    itemsize = _itemsize(context, signature.return_type)
    strides = [builder.mul(columns, itemsize), itemsize]
    return _view(context, builder, signature.return_type, memory.data, [rows, columns], strides)
