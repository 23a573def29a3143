"""float4: loads and stores of 128 bits, which Python cannot express.

    by_rows(A)              is A in row-major order? A compile-time constant
    is_float4_aligned(A)    does each row (or column, in column-major order) start at a multiple of 16 bytes?
    load4(A, r, c)          the float4 at A[r, c], along memory; A[r, c] must be at a multiple of 16 bytes
    store4(A, r, c, v)      store a float4 there

Each has a plain-Python version, which the simulator runs.
"""

from typing import Any

from llvmlite import ir

from .device import SIMULATED

Float4 = tuple[Any, Any, Any, Any]

if SIMULATED:

    def by_rows(A: Any) -> bool:
        return bool(A.flags.c_contiguous)

    def is_float4_aligned(A: Any) -> bool:
        return bool((A.ctypes.data | A.strides[0 if by_rows(A) else 1]) % 16 == 0)

    def load4(A: Any, r: int, c: int) -> Float4:
        if by_rows(A):
            return A[r, c], A[r, c + 1], A[r, c + 2], A[r, c + 3]
        return A[r, c], A[r + 1, c], A[r + 2, c], A[r + 3, c]

    def store4(A: Any, r: int, c: int, v: Float4) -> None:
        A[r, c], A[r, c + 1], A[r, c + 2], A[r, c + 3] = v

else:
    from numba.cuda import types
    from numba.cuda.extending import intrinsic

    def _address(context, builder, A, arguments):
        """The address of A[r, c], as a pointer to a float4. Negative indices do not count from the end."""
        matrix, r, c = arguments[:3]
        array = context.make_array(A)(context, builder, matrix)
        row, column = (builder.extract_value(array.strides, axis) for axis in range(2))
        size = context.get_constant(types.intp, 4)
        row, column = (row, size) if A.layout == "C" else (size, column)
        offset = builder.add(builder.mul(r, row), builder.mul(c, column))
        first = builder.gep(builder.bitcast(array.data, ir.IntType(8).as_pointer()), [offset])
        return builder.bitcast(first, ir.VectorType(ir.FloatType(), 4).as_pointer())

    @intrinsic
    def by_rows(typing_context, A):
        def code(context, builder, signature, arguments):
            return context.get_constant(types.boolean, A.layout == "C")

        return types.boolean(A), code

    @intrinsic
    def is_float4_aligned(typing_context, A):
        def code(context, builder, signature, arguments):
            array = context.make_array(A)(context, builder, arguments[0])
            stride = builder.extract_value(array.strides, 0 if A.layout == "C" else 1)
            bits = builder.or_(builder.ptrtoint(array.data, ir.IntType(64)), stride)
            rest = builder.and_(bits, ir.Constant(ir.IntType(64), 15))
            return builder.icmp_unsigned("==", rest, ir.Constant(ir.IntType(64), 0))

        return types.boolean(A), code

    @intrinsic
    def load4(typing_context, A, r, c):
        def code(context, builder, signature, arguments):
            v = builder.load(_address(context, builder, A, arguments), align=16)
            numbers = [builder.extract_element(v, ir.Constant(ir.IntType(32), l)) for l in range(4)]
            return context.make_tuple(builder, signature.return_type, numbers)

        return types.UniTuple(types.float32, 4)(A, types.int64, types.int64), code

    @intrinsic
    def store4(typing_context, A, r, c, v):
        def code(context, builder, signature, arguments):
            vector = ir.Constant(ir.VectorType(ir.FloatType(), 4), ir.Undefined)
            for l in range(4):
                number = builder.extract_value(arguments[3], l)
                vector = builder.insert_element(vector, number, ir.Constant(ir.IntType(32), l))
            builder.store(vector, _address(context, builder, A, arguments), align=16)
            return context.get_dummy_value()

        return types.void(A, types.int64, types.int64, types.UniTuple(types.float32, 4)), code
