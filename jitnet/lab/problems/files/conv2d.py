"""An image X and a small filter F, as in a convolutional layer (no padding, and the filter is not flipped).

Formula   Y[i,j] = Σ_{a,b} X[i+a, j+b]·F[a,b]
Shape     (h, w, k): X (h, w), F (k, k), Y (h − k + 1, w − k + 1)
"""

import numpy as np
from numba import njit, prange


def inputs(shape, dtype, rng):
    h, w, k = shape
    if not 1 <= k <= min(h, w):
        raise ValueError("the filter must fit into the image")
    return rng.standard_normal((h, w)).astype(dtype), rng.standard_normal((k, k)).astype(dtype)


def reference(X, F):
    windows = np.lib.stride_tricks.sliding_window_view(X, F.shape)
    return np.einsum("ijab,ab->ij", windows, F)


SHAPES = [(4, 5, 3), (1, 1, 1), (3, 3, 3), (7, 3, 2), (9, 16, 4), (12, 67, 5), (33, 20, 3), (1, 40, 1)]
TIMED = [(512, 512, 5), (512, 512, 3), (256, 256, 11)]


def terms(shape):
    return shape[2] ** 2


def flops(shape):
    h, w, k = shape
    return 2 * k * k * (h - k + 1) * (w - k + 1)


def memory(shape, dtype):
    h, w, k = shape
    return (h * w + k * k + (h - k + 1) * (w - k + 1)) * dtype.itemsize


@njit
def naive(X, F, Y):
    """As the formula is written: the inner loops are short, and each addition waits for the previous one."""
    k = F.shape[0]
    for i in range(Y.shape[0]):
        for j in range(Y.shape[1]):
            total = X.dtype.type(0)
            for a in range(k):
                for b in range(k):
                    total += X[i + a, j + b] * F[a, b]
            Y[i, j] = total


@njit(fastmath={"contract"})
def row_of(X, F, i, y):
    """y = row i of Y."""
    k = F.shape[0]
    for j in range(y.size):
        y[j] = 0
    for a in range(k):
        for b in range(k):
            x, f = X[i + a, b : b + y.size], F[a, b]
            for j in range(y.size):
                y[j] += x[j] * f


@njit
def rows(X, F, Y):
    """Like the rung above, but a whole row of Y takes each weight in turn: a long inner loop, which is vectorized."""
    for i in range(Y.shape[0]):
        row_of(X, F, i, Y[i])


@njit(parallel=True)
def rows_parallel(X, F, Y):
    """The same, with the rows of Y divided among the threads."""
    for i in prange(Y.shape[0]):
        row_of(X, F, i, Y[i])


RUNGS = (naive, rows, rows_parallel)
