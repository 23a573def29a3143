"""A product on tensor cores. The arithmetic is not float32, so no backend trains with this rung.

Tensor cores multiply TF32 numbers: float32 with 10 bits of mantissa instead of 23, rounded before the product; the sums
are float32. The relative error of a term is about 1e-3, and about 1e-7 in the other rungs. For one instruction, the
lanes of a warp provide 16 × 8 numbers of A and 8 × 8 of B, and receive 16 × 8 sums (PTX ISA, "mma.m16n8k8").

The simulator has no warps. There the lanes exchange their numbers in shared memory, in the order that the PTX ISA
defines.
"""

import numpy as np
from llvmlite import ir
from numba import float32, int32

from ...compiler.cuda.device import ALIGNMENT, SIMULATED, WARP, cuda, thread
from ...compiler.types import Matrix
from .matmul import product_rung
from .tiles import copy_float4, corner

TF32 = 2.0**-10
"""Relative spacing of the numbers that are multiplied."""

if SIMULATED:

    def tf32(x):
        """The bits of x rounded to TF32."""
        return ((np.float32(x).view(np.uint32) + np.uint32(0x1000)) & np.uint32(0xFFFFE000)).view(np.int32)

    def multiply_add(a, b, c):
        """c + a·b for a warp; each lane has 4, 2 and 4 of their numbers. Lane 4g + t has A[g, t] and B[t, g] first."""
        given = cuda.shared.array((THREADS, 6), int32)
        first, lane = cuda.threadIdx.x // WARP * WARP, cuda.threadIdx.x % WARP
        given[first + lane] = [*a, *b]
        cuda.syncthreads()
        numbers = given[first : first + WARP].copy().view(np.float32)
        cuda.syncthreads()
        A = [[numbers[4 * (i % 8) + k % 4, i // 8 + k // 4 * 2] for k in range(8)] for i in range(16)]
        B = [[numbers[4 * j + k % 4, 4 + k // 4] for j in range(8)] for k in range(8)]
        places = [(lane // 4 + h // 2 * 8, lane % 4 * 2 + h % 2) for h in range(4)]
        return tuple(c[h] + sum(A[i][k] * B[k][j] for k in range(8)) for h, (i, j) in enumerate(places))

else:
    from numba.cuda import types
    from numba.cuda.extending import intrinsic

    @intrinsic
    def tf32(typing_context, x):
        def code(context, builder, signature, arguments):
            function = ir.FunctionType(ir.IntType(32), [ir.FloatType()])
            return builder.call(ir.InlineAsm(function, "cvt.rna.tf32.f32 $0, $1;", "=r,f"), arguments)

        return types.int32(types.float32), code

    @intrinsic
    def multiply_add(typing_context, a, b, c):
        def code(context, builder, signature, arguments):
            numbers = [
                builder.extract_value(argument, l)
                for argument, count in zip(arguments, (4, 2, 4), strict=True)
                for l in range(count)
            ]
            result = ir.LiteralStructType([ir.FloatType()] * 4)
            function = ir.FunctionType(result, [number.type for number in numbers])
            assembly = (
                "mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 "
                "{$0, $1, $2, $3}, {$4, $5, $6, $7}, {$8, $9}, {$0, $1, $2, $3};"
            )
            asm = ir.InlineAsm(function, assembly, "=f,=f,=f,=f,r,r,r,r,r,r,0,1,2,3", side_effect=True)
            sums = builder.call(asm, numbers, attrs=("convergent",))  # it must not move into a branch
            parts = [builder.extract_value(sums, l) for l in range(4)]
            return context.make_tuple(builder, signature.return_type, parts)

        four = types.UniTuple(types.float32, 4)
        return four(types.UniTuple(types.int32, 4), types.UniTuple(types.int32, 2), four), code


BLOCK, DEPTH, THREADS = 64, 16, 4 * WARP
PADDED = BLOCK + 8
"""Consecutive rows are shifted by 8 banks: the 4 × 8 numbers that a warp loads are in 32 different banks."""
SUMS = 32


@product_rung("tensorcore", THREADS, BLOCK, BLOCK, min_blocks_per_sm=3, eps=TF32, capability=(8, 0))
def tensorcore(A: Matrix, B: Matrix, C: Matrix) -> None:
    """Like `warptile`, but in TF32 on tensor cores: four warps, each 32 × 32 numbers of C. NOT float32 arithmetic.

    Reads     each number of A n/64 times and each of B m/64 times from global memory. One instruction of a warp does
              1024 multiply-adds, not 32, so memory limits the speed
    """
    As = cuda.shared.array((DEPTH, PADDED), float32, alignment=ALIGNMENT)
    Bs = cuda.shared.array((DEPTH, PADDED), float32, alignment=ALIGNMENT)
    sums = cuda.local.array(SUMS, float32)
    a = cuda.local.array(8, int32)
    for s in range(SUMS):
        sums[s] = float32(0)
    i0, j0 = corner(C, BLOCK, BLOCK)
    warp, lane = thread() // WARP, thread() % WARP
    group, number = lane // 4, lane % 4  # the lane's row of A and column of B, and its column of A and row of B
    i, j = warp // 2 * 32, warp % 2 * 32
    k0 = 0
    while k0 < A.shape[1]:
        copy_float4(A.T, k0, i0, DEPTH, BLOCK, As, THREADS)
        copy_float4(B, k0, j0, DEPTH, BLOCK, Bs, THREADS)
        cuda.syncthreads()
        k = 0
        while k < DEPTH:
            for p in range(2):
                for h in range(4):
                    a[4 * p + h] = tf32(As[k + number + h // 2 * 4, i + 16 * p + group + h % 2 * 8])
            for q in range(4):
                b = tf32(Bs[k + number, j + 8 * q + group]), tf32(Bs[k + number + 4, j + 8 * q + group])
                for p in range(2):
                    s = (4 * p + q) * 4
                    c = sums[s], sums[s + 1], sums[s + 2], sums[s + 3]
                    c = multiply_add((a[4 * p], a[4 * p + 1], a[4 * p + 2], a[4 * p + 3]), b, c)
                    sums[s], sums[s + 1], sums[s + 2], sums[s + 3] = c
            k += 8
        cuda.syncthreads()
        k0 += DEPTH
    for p in range(2):
        for q in range(4):
            for h in range(4):
                row = i0 + i + 16 * p + group + h // 2 * 8
                column = j0 + j + 8 * q + 2 * number + h % 2
                if row < C.shape[0] and column < C.shape[1]:
                    C[row, column] = sums[(4 * p + q) * 4 + h]
