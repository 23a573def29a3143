"""The sum of a vector: each addition waits for the previous one, unless the order may change.

Formula   total[0] = Σ_i x[i]
Shape     (n,)
"""

import numpy as np
from numba import njit, prange


def inputs(shape, dtype, rng):
    return (rng.standard_normal(shape).astype(dtype),)


def reference(x):
    return x.sum()


SHAPES = [(5,), (1,), (2,), (17,), (64,), (65,), (1009,), (0,)]
TIMED = [(1_000_000,), (10_000,)]


def terms(shape):
    return shape[0]


def flops(shape):
    return shape[0]


def memory(shape, dtype):
    return shape[0] * dtype.itemsize


@njit
def naive(x, total):
    """One running total: an addition takes four cycles, and the next one waits for it."""
    s = x.dtype.type(0)
    for i in range(x.size):
        s += x[i]
    total[0] = s


@njit(fastmath={"reassoc", "nsz"})
def reordered(x, total):
    """Like the rung above, but LLVM may reorder the additions; many partial sums, one per SIMD lane, wait together."""
    s = x.dtype.type(0)
    for i in range(x.size):
        s += x[i]
    total[0] = s


BLOCK = 1 << 16


@njit(parallel=True, fastmath={"reassoc", "nsz"})
def reordered_parallel(x, total):
    """Like the rung above, but a thread adds up whole blocks; their size is fixed, so bits do not depend on threads."""
    blocks = (x.size + BLOCK - 1) // BLOCK
    partial = np.zeros(blocks, x.dtype)
    for block in prange(blocks):
        s = x.dtype.type(0)
        for i in range(block * BLOCK, min((block + 1) * BLOCK, x.size)):
            s += x[i]
        partial[block] = s
    s = x.dtype.type(0)
    for block in range(blocks):
        s += partial[block]
    total[0] = s


RUNGS = (naive, reordered, reordered_parallel)
