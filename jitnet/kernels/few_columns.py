"""The register tile for a few columns of C, with SIMD vectors along the rows of C instead of along its columns.

A panel of B with fewer columns than a vector has lanes would leave most of them empty, and each of its tiles loads ten
numbers of A for ten multiply-adds. Here every lane is used:

    Cᵀ[j, i : i+32]  in 4 × 2 registers               (float32 and AVX-512)
    for every four k: A[i : i+32, k : k+4], transposed in registers, then 4 numbers of B for each of the k

The terms of each sum are added in the order of k, as in the other tiles, so that the results have the same bits.
"""

from ..compiler.intrinsics import VECTOR_BYTES, free_array, heap_array, lanes, matrix_in, rolled, stack_array, submatrix
from ..compiler.jit import part_of_kernels
from ..compiler.simd import masked_load, store
from ..compiler.simd_rows import load_rows, store_rows
from ..compiler.simd_transpose import TERMS_BYTES, rank_n_update
from ..compiler.types import Matrix, Vector

FEW = 4
"""Columns of the tile. If C has fewer, what is computed for the others is not written."""

HEIGHT = 2
"""Vectors along the rows: 4 × 2 independent sums hide the latency of a multiply-add."""

LEAST_TERMS = 16
"""Terms of a sum from which this tile is faster. It has to copy B, and to write columns of C number by number."""

TILE_BYTES, STACK_BYTES = FEW * HEIGHT * VECTOR_BYTES, 8192


@part_of_kernels
def few_columns_pay(A: Matrix, B: Matrix, C: Matrix) -> bool:
    """Whether this tile computes C = A·B faster. Rows of A must be contiguous, and as many as in one tile. In float64,
    with two terms in a step instead of four, it is not faster."""
    m, n = C.shape
    fits = 0 < n <= FEW and m >= HEIGHT * lanes(C) and A.strides[1] == A.itemsize
    return bool(fits and B.shape[0] >= LEAST_TERMS and A.itemsize == 4)


@part_of_kernels
def few_columns(A: Matrix, B: Matrix, begin: Vector, C: Matrix) -> bool:
    """C = A·B for at most FEW columns; the sums begin with `begin`. False if there is no memory for a copy of B, whose
    rows have FEW numbers, so that the distances between its numbers are constants."""
    (m, n), depth = C.shape, B.shape[0]  # A can be a copy whose rows are longer
    rows, terms = HEIGHT * lanes(C), TERMS_BYTES // A.itemsize
    wanted = depth * FEW * C.itemsize + VECTOR_BYTES
    heap, stack = heap_array(wanted if wanted > STACK_BYTES else 0, C), stack_array(STACK_BYTES, C)
    memory = heap if wanted > STACK_BYTES else stack
    has_memory = memory.size > 0
    if has_memory:
        copy, Ct = matrix_in(memory, depth, FEW), matrix_in(stack_array(TILE_BYTES, C), FEW, rows)
        for k in range(depth):  # each store is overwritten by the next one from its fifth number on
            store(masked_load(B[k], 0, 1, n), memory, k * FEW)
        for j in range(FEW):
            Ct[j] = begin[min(j, n - 1)]
        first = load_rows(Ct, 0, FEW, HEIGHT, rows)
        for start in range(0, m, rows):
            i = min(start, m - rows)  # the last tile begins where it fits, and computes some rows again
            sums, tile = first, submatrix(C, i, i + rows, 0, n)
            for k in range(0, depth - depth % terms, terms):
                sums = rank_n_update(sums, copy.T, A, i, k, 0)
            if depth % terms > 0:  # the last terms, in a step that ends with them
                sums = rank_n_update(sums, copy.T, A, i, depth - terms, terms - depth % terms)
            store_rows(sums, Ct, 0, rows)
            for r in range(rows):
                rolled()
                for j in range(FEW):
                    if j < n:
                        tile[r, j] = Ct[j, r]
    free_array(heap)
    return has_memory
