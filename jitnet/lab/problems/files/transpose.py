"""The transpose of a matrix: no arithmetic, but a row that is read is a column that is written.

Formula   B[j,i] = A[i,j]
Shape     (m, n)
"""

from numba import njit, prange


def inputs(shape, dtype, rng):
    return (rng.standard_normal(shape).astype(dtype),)


def reference(A):
    return A.T


SHAPES = [(3, 5), (1, 1), (1, 7), (7, 1), (32, 32), (33, 31), (64, 65), (97, 20), (0, 3), (3, 0)]
TIMED = [(1024, 1024), (1000, 1000)]


def terms(shape):
    return 0


def flops(shape):
    return 0


def memory(shape, dtype):
    m, n = shape
    return 2 * m * n * dtype.itemsize


@njit
def naive(A, B):
    """Row by row of A: each number goes to another cache line of B, which is evicted before the next row needs it."""
    m, n = A.shape
    for i in range(m):
        for j in range(n):
            B[j, i] = A[i, j]


BLOCK = 16


@njit
def blocked(A, B):
    """Like the rung above, but block by block: the cache lines of a block of B stay in L1 until they are full."""
    m, n = A.shape
    for top in range(0, m, BLOCK):
        for left in range(0, n, BLOCK):
            for j in range(left, min(left + BLOCK, n)):
                for i in range(top, min(top + BLOCK, m)):
                    B[j, i] = A[i, j]


@njit(parallel=True)
def blocked_parallel(A, B):
    """The same, with the rows of blocks of B divided among the threads."""
    m, n = A.shape
    for block in prange((n + BLOCK - 1) // BLOCK):
        left = block * BLOCK
        for top in range(0, m, BLOCK):
            for j in range(left, min(left + BLOCK, n)):
                for i in range(top, min(top + BLOCK, m)):
                    B[j, i] = A[i, j]


RUNGS = (naive, blocked, blocked_parallel)
