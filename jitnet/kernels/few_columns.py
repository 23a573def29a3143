"""The register tile for a few columns of C, with SIMD vectors along the rows of C instead of along its columns.

A panel of B with fewer columns than a vector has lanes would leave most of them empty, and each of its tiles loads ten
numbers of A for ten multiply-adds. Here every lane is used:

    Cᵀ[j, i : i+32]  in 4 × 2 registers               (float32 and AVX-512)
    for every four k: A[i : i+32, k : k+4], transposed in registers, then 4 numbers of B for each of the k

A single column, such as the output of a regression, has a tile of its own, 1 × 2 registers. The terms of each sum are
added in the order of k, as in the other tiles, so that the results have the same bits.
"""

from typing import Any

from ..compiler.intrinsics import VECTOR_BYTES, free_array, heap_array, lanes, matrix_in, rolled, stack_array, submatrix
from ..compiler.jit import part_of_kernels
from ..compiler.simd import MASKS, masked_load, store
from ..compiler.simd_rows import load_rows, store_rows
from ..compiler.simd_transpose import TERMS_BYTES, rank_n_update
from ..compiler.types import Matrix, Vector

FEW = 4
"""Columns of the larger tile. If C has two or three, what is computed for the others is not written."""

HEIGHT = 2
"""Vectors along the rows: 4 × 2 independent sums hide the latency of a multiply-add."""

LEAST_TERMS = 16
"""Terms of a sum from which the larger tile is faster. It has to copy B, and to write C number by number."""

STACK_BYTES = 8192


@part_of_kernels
def few_columns_pay(A: Matrix, B: Matrix, C: Matrix) -> bool:
    """Whether these tiles compute C = A·B faster. Rows of A must be contiguous, and at least as many as in one tile; a
    single column needs only the terms of one step. In float64, with two terms in a step, they are not faster."""
    m, n = C.shape
    fits = 0 < n <= FEW and m >= HEIGHT * lanes(C) and A.strides[1] == A.itemsize and A.itemsize == 4
    return bool(fits and B.shape[0] >= (LEAST_TERMS if n > 1 else TERMS_BYTES // A.itemsize))


@part_of_kernels
def columns_beyond_pay(A: Matrix, B: Matrix, C: Matrix) -> bool:
    """Whether the columns of C beyond whole vectors are faster as a panel of their own. Without masks, vectors have at
    most eight numbers, and only a single one is."""
    beyond = C.shape[1] % lanes(C)
    pays = few_columns_pay(A, B, submatrix(C, 0, C.shape[0], 0, beyond))
    return bool(pays and (MASKS or beyond == 1))


def tiles_of_columns(columns: int) -> Any:
    """`few_columns` for a C with at most `columns` columns."""
    tile_bytes = columns * HEIGHT * VECTOR_BYTES

    @part_of_kernels
    def tiles(A: Matrix, B: Matrix, begin: Vector, C: Matrix) -> bool:
        (m, n), depth = C.shape, B.shape[0]  # A can be a copy whose rows are longer
        rows, terms = HEIGHT * lanes(C), TERMS_BYTES // A.itemsize
        wanted = depth * columns * C.itemsize + VECTOR_BYTES
        heap, stack = heap_array(wanted if wanted > STACK_BYTES else 0, C), stack_array(STACK_BYTES, C)
        memory = heap if wanted > STACK_BYTES else stack
        has_memory = memory.size > 0
        if has_memory:
            copy, Ct = matrix_in(memory, depth, columns), matrix_in(stack_array(tile_bytes, C), columns, rows)
            for k in range(depth):  # of a stored vector, the next store overwrites all but its own row
                store(masked_load(B[k], 0, 1, n), memory, k * columns)
            for j in range(columns):
                Ct[j] = begin[min(j, n - 1)]
            first = load_rows(Ct, 0, columns, HEIGHT, rows)
            for start in range(0, m, rows):
                i = min(start, m - rows)  # the last tile begins where it fits, and computes some rows again
                sums, target = first, submatrix(C, i, i + rows, 0, n)
                for k in range(0, depth - depth % terms, terms):
                    sums = rank_n_update(sums, copy.T, A, i, k, 0)
                if depth % terms > 0:  # the last terms, in a step that ends with them
                    sums = rank_n_update(sums, copy.T, A, i, depth - terms, terms - depth % terms)
                store_rows(sums, Ct, 0, rows)
                for r in range(rows):
                    rolled()
                    for j in range(columns):
                        if j < n:
                            target[r, j] = Ct[j, r]
        free_array(heap)
        return has_memory

    return tiles


one_column, four_columns = tiles_of_columns(1), tiles_of_columns(FEW)


@part_of_kernels
def few_columns(A: Matrix, B: Matrix, begin: Vector, C: Matrix) -> bool:
    """C = A·B for at most FEW columns; the sums begin with `begin`. False if there is no memory for a copy of B, whose
    rows have as many numbers as the tile has columns, so that the distances between its numbers are constants."""
    if C.shape[1] == 1:
        return bool(one_column(A, B, begin, C))
    return bool(four_columns(A, B, begin, C))
