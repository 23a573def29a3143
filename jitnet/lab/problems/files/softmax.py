"""Rows of scores as probabilities: most of the work is exponentials.

Formula   A[i,j] = e^{Z[i,j] − c_i} / Σ_l e^{Z[i,l] − c_i} with c_i = max_l Z[i,l], so that no exponential exceeds 1
Shape     (m, n)
"""

import math

import numpy as np
from numba import njit, prange

from jitnet.kernels.exponential import exponential


def inputs(shape, dtype, rng):
    return ((100 + 4 * rng.standard_normal(shape)).astype(dtype),)  # e^Z is infinite in float32


def reference(Z):
    e = np.exp(Z - Z.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


SHAPES = [(3, 5), (1, 1), (7, 1), (1, 7), (4, 64), (5, 65), (97, 20), (0, 3)]
TIMED = [(512, 1000), (4096, 10)]


def terms(shape):
    return shape[1]


def flops(shape):
    m, n = shape
    return 5 * m * n  # the maximum, the difference, the exponential, the sum, the quotient


def memory(shape, dtype):
    m, n = shape
    return 2 * m * n * dtype.itemsize


@njit
def naive(Z, A):
    """As the formula is written: each exponential twice, and a division for each number."""
    m, n = Z.shape
    for i in range(m):
        c = Z[i, 0]
        for j in range(n):
            c = max(c, Z[i, j])
        total = Z.dtype.type(0)
        for j in range(n):
            total += math.exp(Z[i, j] - c)
        for j in range(n):
            A[i, j] = math.exp(Z[i, j] - c) / total


@njit(fastmath={"reassoc", "nsz"})
def once(Z, A):
    """Like the rung above, but the exponentials are kept in A, and multiplied by 1 / the sum."""
    m, n = Z.shape
    for i in range(m):
        c = Z[i, 0]
        for j in range(n):
            c = max(c, Z[i, j])
        for j in range(n):
            A[i, j] = math.exp(Z[i, j] - c)
        total = Z.dtype.type(0)
        for j in range(n):
            total += A[i, j]
        factor = Z.dtype.type(1) / total
        for j in range(n):
            A[i, j] *= factor


@njit
def largest(z):
    """A maximum waits for the one before it, so four are kept."""
    c0 = c1 = c2 = c3 = z[0]
    whole = z.size - z.size % 4
    for j in range(0, whole, 4):
        c0 = max(c0, z[j])
        c1 = max(c1, z[j + 1])
        c2 = max(c2, z[j + 2])
        c3 = max(c3, z[j + 3])
    for j in range(whole, z.size):
        c0 = max(c0, z[j])
    return max(max(c0, c1), max(c2, c3))


@njit(fastmath={"reassoc", "nsz"})
def softmax_of(z, a):
    """One row."""
    n, c = z.size, largest(z)
    for j in range(n):
        a[j] = exponential(z[j] - c)
    total = z.dtype.type(0)
    for j in range(n):
        total += a[j]
    factor = z.dtype.type(1) / total
    for j in range(n):
        a[j] *= factor


@njit
def vectorized(Z, A):
    """Like the rung above, but e^x is made of multiplications and additions, so the compiler can use SIMD vectors.

    How is in jitnet/kernels/exponential.py.
    """
    for i in range(Z.shape[0]):
        softmax_of(Z[i], A[i])


@njit(parallel=True)
def vectorized_parallel(Z, A):
    """The same, with the rows divided among the threads."""
    for i in prange(Z.shape[0]):
        softmax_of(Z[i], A[i])


RUNGS = (naive, once, vectorized, vectorized_parallel)
