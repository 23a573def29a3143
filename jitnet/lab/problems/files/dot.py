"""The dot product of two vectors: one multiply-add for two numbers that are read.

Formula   total[0] = Σ_i x[i]·y[i]
Shape     (n,)
"""

import numpy as np
from numba import njit, prange


def inputs(shape, dtype, rng):
    return rng.standard_normal(shape).astype(dtype), rng.standard_normal(shape).astype(dtype)


def reference(x, y):
    return x @ y


SHAPES = [(5,), (1,), (2,), (17,), (64,), (65,), (1009,), (0,)]
TIMED = [(1_000_000,), (10_000,)]


def terms(shape):
    return shape[0]


def flops(shape):
    return 2 * shape[0]


def memory(shape, dtype):
    return 2 * shape[0] * dtype.itemsize


@njit
def naive(x, y, total):
    """One running total: each multiply-add waits for the previous one."""
    s = x.dtype.type(0)
    for i in range(x.size):
        s += x[i] * y[i]
    total[0] = s


@njit(fastmath={"reassoc", "contract", "nsz"})
def reordered(x, y, total):
    """Like the rung above, but LLVM may reorder the sum and fuse it with the products: SIMD, and several totals."""
    s = x.dtype.type(0)
    for i in range(x.size):
        s += x[i] * y[i]
    total[0] = s


BLOCK = 1 << 16


@njit(parallel=True, fastmath={"reassoc", "contract", "nsz"})
def reordered_parallel(x, y, total):
    """Like the rung above, but a thread takes whole blocks; their size is fixed, so bits do not depend on threads."""
    blocks = (x.size + BLOCK - 1) // BLOCK
    partial = np.zeros(blocks, x.dtype)
    for block in prange(blocks):
        s = x.dtype.type(0)
        for i in range(block * BLOCK, min((block + 1) * BLOCK, x.size)):
            s += x[i] * y[i]
        partial[block] = s
    s = x.dtype.type(0)
    for block in range(blocks):
        s += partial[block]
    total[0] = s


RUNGS = (naive, reordered, reordered_parallel)
