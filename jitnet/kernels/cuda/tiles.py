"""What the rungs of a product share: where a block's tile lies, and how tiles of the factors get into shared memory.

Every rung computes C = A·B, C (m, n), A (m, k), B (k, n). The three products of training are this one with views for A
or B: a transpose is another order of the same memory (`TRANSPOSED`), and the compiler makes a kernel for each. All that
depends on the order is which threads load which numbers: neighbours in a warp must load neighbours in memory.
"""

from numba import float32

from ...compiler.cuda.device import block, device, thread, unsigned
from ...compiler.cuda.float4 import by_rows, in_quads, load4, store4
from ...compiler.types import Matrix


def number_of_tiles(height: int, width: int, C: Matrix) -> int:
    """How many tiles of that size cover C: one block each."""
    m, n = C.shape
    return int(-(-m // height) * -(-n // width))


@device
def corner(C, height, width):
    """Row and column of C where the tile of this block begins. Tiles are numbered row by row."""
    across = unsigned((C.shape[1] + width - 1) // width)
    return block() // across * height, block() % across * width


@device
def copy_tile(A, r0, c0, rows, columns, tile, threads):
    """tile[r, c] = A[r0 + r, c0 + c] for so many rows and columns, 0 beyond the edge of A; the block works together."""
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
def quad_of(A, r, c):
    """The four numbers from A[r, c] on, along memory; 0 beyond the edge of A."""
    q0 = q1 = q2 = q3 = float32(0)
    inside, left = (r < A.shape[0], A.shape[1] - c) if by_rows(A) else (c < A.shape[1], A.shape[0] - r)
    if not inside:
        left = 0
    if left >= 4 and in_quads(A):
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
def place_of_quad(A, rows, columns, number):
    """Row and column in a tile of that size of its quad so numbered: neighbours lie side by side, along memory."""
    if by_rows(A):
        return number // (columns // 4), number % (columns // 4) * 4
    return number % (rows // 4) * 4, number // (rows // 4)


@device
def lay(A, quad, tile, r, c):
    """Four numbers of A into a tile, from r, c on, in the direction in which they lie in A."""
    if by_rows(A):
        tile[r, c], tile[r, c + 1], tile[r, c + 2], tile[r, c + 3] = quad
    else:
        tile[r, c], tile[r + 1, c], tile[r + 2, c], tile[r + 3, c] = quad


@device
def copy_quads(A, r0, c0, rows, columns, tile, threads):
    """Like `copy_tile`, but each thread has four numbers, and loads them at once if A lies in quads.

    r0 and c0 are multiples of 4. Inside of A no quad is asked whether it is: that would be as much work as a tenth of
    the multiply-adds.
    """
    whole = in_quads(A) and r0 + rows <= A.shape[0] and c0 + columns <= A.shape[1]
    if whole:
        for s in range(rows * columns // threads // 4):
            r, c = place_of_quad(A, rows, columns, s * threads + thread())
            lay(A, load4(A, r0 + r, c0 + c), tile, r, c)
    else:
        for s in range(rows * columns // threads // 4):
            r, c = place_of_quad(A, rows, columns, s * threads + thread())
            lay(A, quad_of(A, r0 + r, c0 + c), tile, r, c)


@device
def put(C, i, j, v0, v1, v2, v3):
    """C[i, j : j + 4] = these four, as far as C reaches; j is a multiple of 4."""
    if i < C.shape[0]:
        last = C.shape[1] - 4 if in_quads(C) else -1
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
    """C[i, j : j + 4], and any numbers of C for what it does not reach; j is a multiple of 4."""
    m, n = C.shape
    i = min(i, m - 1)
    last = n - 4 if in_quads(C) else -1
    if j <= last:
        return load4(C, i, j)
    return C[i, min(j, n - 1)], C[i, min(j + 1, n - 1)], C[i, min(j + 2, n - 1)], C[i, min(j + 3, n - 1)]
