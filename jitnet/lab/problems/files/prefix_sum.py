"""All sums of the first numbers of a vector, also called a scan: each needs the previous one, so it looks serial.

Formula   y[i] = Σ_{j ≤ i} x[j]
Shape     (n,)
"""

import numpy as np
from numba import njit, prange


def inputs(shape, dtype, rng):
    return (rng.standard_normal(shape).astype(dtype),)


def reference(x):
    return np.cumsum(x)


SHAPES = [(5,), (1,), (2,), (17,), (64,), (65,), (1009,), (0,)]
TIMED = [(1_000_000,), (10_000,)]


def terms(shape):
    return shape[0]


def flops(shape):
    return shape[0]


def memory(shape, dtype):
    return 2 * shape[0] * dtype.itemsize


@njit
def naive(x, y):
    """One running total: each addition waits for the previous one."""
    total = x.dtype.type(0)
    for i in range(x.size):
        total += x[i]
        y[i] = total


@njit(fastmath={"reassoc", "nsz"})
def four_chains(x, y):
    """Sums of the four quarters first, which SIMD adds up; then four running totals, which wait for one another less.

    It reads x twice, which takes less time than waiting while x is in a cache.
    """
    quarter = x.size // 4
    s0 = s1 = s2 = x.dtype.type(0)
    for i in range(quarter):
        s0 += x[i]
        s1 += x[quarter + i]
        s2 += x[2 * quarter + i]
    t0, t1, t2, t3 = x.dtype.type(0), s0, s0 + s1, s0 + s1 + s2
    for i in range(quarter):
        t0 += x[i]
        t1 += x[quarter + i]
        t2 += x[2 * quarter + i]
        t3 += x[3 * quarter + i]
        y[i] = t0
        y[quarter + i] = t1
        y[2 * quarter + i] = t2
        y[3 * quarter + i] = t3
    for i in range(4 * quarter, x.size):
        t3 += x[i]
        y[i] = t3


BLOCK = 1 << 16


@njit(parallel=True, fastmath={"reassoc", "nsz"})
def blocked_parallel(x, y):
    """The sum of each block; the totals before each block; then each block by itself, from its total."""
    blocks = (x.size + BLOCK - 1) // BLOCK
    before = np.zeros(blocks + 1, x.dtype)
    for block in prange(blocks):
        s = x.dtype.type(0)
        for i in range(block * BLOCK, min((block + 1) * BLOCK, x.size)):
            s += x[i]
        before[block + 1] = s
    for block in range(blocks):
        before[block + 1] += before[block]
    for block in prange(blocks):
        total = before[block]
        for i in range(block * BLOCK, min((block + 1) * BLOCK, x.size)):
            total += x[i]
            y[i] = total


RUNGS = (naive, four_chains, blocked_parallel)
