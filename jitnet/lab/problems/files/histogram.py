"""How often each value occurs: counting a value twice in a row waits for the first count, and threads would race.

Formula   counts[b] = the number of i with x[i] = b, for x[i] from 0 to bins − 1
Shape     (n, bins)
"""

import numpy as np
from numba import njit, prange


def inputs(shape, dtype, rng):
    n, bins = shape
    return rng.binomial(bins - 1, 0.5, n), bins  # values in the middle are frequent


def reference(x, bins):
    return np.bincount(x, minlength=bins)


SHAPES = [(7, 3), (1, 1), (64, 8), (65, 7), (1009, 10), (300, 256), (0, 4)]
TIMED = [(1_000_000, 10), (1_000_000, 256)]


def flops(shape):
    return 0


def memory(shape, dtype):
    n, bins = shape
    return 8 * (n + bins)


@njit
def naive(x, bins, counts):
    """One count after the other. If a value comes again, its count must have arrived in memory before it is read."""
    for b in range(bins):
        counts[b] = 0
    for i in range(x.size):
        counts[x[i]] += 1


@njit
def four_tables(x, bins, counts):
    """Like the rung above, but four neighbors are counted in four tables; saves waiting for frequent values."""
    tables = np.zeros((4, bins), np.int64)
    whole = x.size - x.size % 4
    for i in range(0, whole, 4):
        tables[0, x[i]] += 1
        tables[1, x[i + 1]] += 1
        tables[2, x[i + 2]] += 1
        tables[3, x[i + 3]] += 1
    for i in range(whole, x.size):
        tables[0, x[i]] += 1
    for b in range(bins):
        counts[b] = tables[0, b] + tables[1, b] + tables[2, b] + tables[3, b]


PARTS = 16


@njit(parallel=True)
def private_parallel(x, bins, counts):
    """Each part of x is counted in its own table, so that threads share nothing; then the tables are added up."""
    tables = np.zeros((PARTS, bins), np.int64)
    for part in prange(PARTS):
        for i in range(part * x.size // PARTS, (part + 1) * x.size // PARTS):
            tables[part, x[i]] += 1
    for b in range(bins):
        counts[b] = 0
        for part in range(PARTS):
            counts[b] += tables[part, b]


RUNGS = (naive, four_tables, private_parallel)
