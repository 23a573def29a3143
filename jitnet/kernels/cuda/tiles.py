"""What the rungs of a product share: the position of a block's tile, and copies of tiles into shared memory.

Every rung computes C = A·B, C (m, n), A (m, k), B (k, n). The three products of training are this one with views for A
or B: a transpose has its memory in another order (`TRANSPOSED`), and the compiler makes a kernel for each. The order
decides only which threads load which numbers: neighboring threads of a warp must load neighboring addresses.
"""

from numba import float32

from ...compiler.cuda.device import block, device, thread, unsigned
from ...compiler.cuda.float4 import by_rows, is_float4_aligned, load4, store4
from ...compiler.types import Matrix


def number_of_tiles(height: int, width: int, C: Matrix) -> int:
    """The number of tiles of this size that cover C, one per block."""
    m, n = C.shape
    return int(-(-m // height) * -(-n // width))


@device
def corner(C, height, width):
    """The first row and column of the tile of this block. Tiles are numbered row by row."""
    across = unsigned((C.shape[1] + width - 1) // width)
    return block() // across * height, block() % across * width


@device
def copy_tile(A, r0, c0, rows, columns, tile, threads):
    """tile[r, c] = A[r0 + r, c0 + c] for r < rows and c < columns, 0 outside of A; all threads of the block copy."""
    for s in range(rows * columns // threads):
        number = s * threads + thread()
        if by_rows(A):
            r, c = number // columns, number % columns
        else:
            r, c = number % rows, number // rows
        i, j = unsigned(r0 + r), unsigned(c0 + c)
        inside = i < A.shape[0] and j < A.shape[1]
        tile[r, c] = A[i, j] if inside else float32(0)


@device
def padded_load4(A, r, c):
    """The four numbers from A[r, c] on, along memory; 0 outside of A."""
    q0 = q1 = q2 = q3 = float32(0)
    inside, left = (r < A.shape[0], A.shape[1] - c) if by_rows(A) else (c < A.shape[1], A.shape[0] - r)
    if not inside:
        left = 0
    if left >= 4 and is_float4_aligned(A):
        q0, q1, q2, q3 = load4(A, r, c)
    else:
        if left > 0:
            q0 = A[r, c]
        if left > 1:
            q1 = A[r, c + 1] if by_rows(A) else A[r + 1, c]
        if left > 2:
            q2 = A[r, c + 2] if by_rows(A) else A[r + 2, c]
        if left > 3:
            q3 = A[r, c + 3] if by_rows(A) else A[r + 3, c]
    return q0, q1, q2, q3


@device
def float4_position(A, rows, columns, number):
    """The row and column of a float4 in a tile, by its number: consecutive numbers are adjacent in memory."""
    if by_rows(A):
        return number // (columns // 4), number % (columns // 4) * 4
    return number % (rows // 4) * 4, number // (rows // 4)


@device
def store_like(A, four, tile, r, c):
    """Store four numbers of A into a tile, from r, c on, in the memory order of A."""
    if by_rows(A):
        tile[r, c], tile[r, c + 1], tile[r, c + 2], tile[r, c + 3] = four
    else:
        tile[r, c], tile[r + 1, c], tile[r + 2, c], tile[r + 3, c] = four


@device
def copy_float4(A, r0, c0, rows, columns, tile, threads):
    """Like `copy_tile`, but each thread copies four numbers, with a float4 load if A is aligned for it.

    r0 and c0 are multiples of 4. Tiles inside of A are copied without further tests, which would cost as much as a
    tenth of the multiply-adds.
    """
    whole = is_float4_aligned(A) and r0 + rows <= A.shape[0] and c0 + columns <= A.shape[1]
    if whole:
        for s in range(rows * columns // threads // 4):
            r, c = float4_position(A, rows, columns, s * threads + thread())
            store_like(A, load4(A, r0 + r, c0 + c), tile, r, c)
    else:
        for s in range(rows * columns // threads // 4):
            r, c = float4_position(A, rows, columns, s * threads + thread())
            store_like(A, padded_load4(A, r0 + r, c0 + c), tile, r, c)


@device
def put(C, i, j, v0, v1, v2, v3):
    """C[i, j : j + 4] = v0, v1, v2, v3, without the elements outside of C; j is a multiple of 4."""
    if i < C.shape[0]:
        last = C.shape[1] - 4 if is_float4_aligned(C) else -1
        if j <= last:
            store4(C, i, j, (v0, v1, v2, v3))
        else:
            if j < C.shape[1]:
                C[i, j] = v0
            if j + 1 < C.shape[1]:
                C[i, j + 1] = v1
            if j + 2 < C.shape[1]:
                C[i, j + 2] = v2
            if j + 3 < C.shape[1]:
                C[i, j + 3] = v3


@device
def take(C, i, j):
    """C[i, j : j + 4], with arbitrary numbers for elements outside of C; j is a multiple of 4."""
    m, n = C.shape
    i = min(i, m - 1)
    last = n - 4 if is_float4_aligned(C) else -1
    if j <= last:
        return load4(C, i, j)
    return C[i, min(j, n - 1)], C[i, min(j + 1, n - 1)], C[i, min(j + 2, n - 1)], C[i, min(j + 3, n - 1)]
