"""One step of gradient descent for a layer of sigmoids and the squared error.

Formula   A = f(X·W + b),  delta = (A − Y)/m ⊙ A ⊙ (1 − A),  W' = W − lr·Xᵀ·delta,  b' = b − lr·Σ_rows delta
          with f(z) = 1/(1 + e^{−z})
Shape     (m, n_in, n_out): X (m, n_in), Y (m, n_out), W and W' (n_in, n_out), b and b' (n_out,)
"""

import math

import numpy as np
from numba import njit, prange


def inputs(shape, dtype, rng):
    m, n_in, n_out = shape
    X, Y = rng.standard_normal((m, n_in)), rng.uniform(0, 1, (m, n_out))
    W, b = rng.standard_normal((n_in, n_out)) / max(n_in, 1) ** 0.5, rng.standard_normal(n_out)
    return (*(array.astype(dtype) for array in (X, Y, W, b)), dtype.type(0.5))


def reference(X, Y, W, b, lr):
    A = 1 / (1 + np.exp(-(X @ W + b)))
    delta = (A - Y) / max(len(X), 1) * A * (1 - A)
    return W - lr * (X.T @ delta), b - lr * delta.sum(axis=0)


SHAPES = [(2, 3, 5), (1, 1, 1), (4, 4, 4), (7, 13, 11), (3, 5, 65), (17, 1, 33), (33, 20, 10), (3, 0, 2), (0, 3, 2)]
TIMED = [(64, 784, 128), (256, 256, 256)]


def terms(shape):
    m, n_in, _ = shape
    return m + n_in


def flops(shape):
    m, n_in, n_out = shape
    return 4 * m * n_in * n_out


def memory(shape, dtype):
    m, n_in, n_out = shape
    return (m * n_in + m * n_out + 2 * n_in * n_out + 2 * n_out) * dtype.itemsize


@njit
def naive(X, Y, W, b, lr, W_new, b_new):
    """As the formulas are written, one number after the other: the inner loops go down columns, a row per number."""
    (m, n_in), n_out = X.shape, W.shape[1]
    one = X.dtype.type(1)
    delta = np.empty((m, n_out), X.dtype)
    for i in range(m):
        for j in range(n_out):
            z = b[j]
            for k in range(n_in):
                z += X[i, k] * W[k, j]
            a = one / (one + math.exp(-z))
            delta[i, j] = (a - Y[i, j]) / X.dtype.type(m) * a * (one - a)
    for k in range(n_in):
        for j in range(n_out):
            dw = X.dtype.type(0)
            for i in range(m):
                dw += X[i, k] * delta[i, j]
            W_new[k, j] = W[k, j] - lr * dw
    for j in range(n_out):
        db = X.dtype.type(0)
        for i in range(m):
            db += delta[i, j]
        b_new[j] = b[j] - lr * db


@njit(fastmath={"contract"})
def delta_of(x, y, W, b, m, d):
    """d = delta of one sample."""
    one = x.dtype.type(1)
    for j in range(d.size):
        d[j] = b[j]
    for k in range(x.size):
        xk, w = x[k], W[k]
        for j in range(d.size):
            d[j] += xk * w[j]
    for j in range(d.size):
        a = one / (one + math.exp(-d[j]))
        d[j] = (a - y[j]) / x.dtype.type(m) * a * (one - a)


@njit(fastmath={"contract"})
def step_of_row(X, delta, k, lr, old, new):
    """The new row k of W."""
    for j in range(new.size):
        new[j] = old[j]
    for i in range(X.shape[0]):
        x, d = lr * X[i, k], delta[i]
        for j in range(new.size):
            new[j] -= x * d[j]


@njit(fastmath={"contract"})
def step_of_bias(delta, lr, b, b_new):
    for j in range(b.size):
        b_new[j] = b[j]
    for i in range(delta.shape[0]):
        d = delta[i]
        for j in range(b.size):
            b_new[j] -= lr * d[j]


@njit
def rows(X, Y, W, b, lr, W_new, b_new):
    """Like the rung above, but the inner loops go along rows: they read neighbors, and are vectorized."""
    delta = np.empty(Y.shape, X.dtype)
    for i in range(X.shape[0]):
        delta_of(X[i], Y[i], W, b, X.shape[0], delta[i])
    for k in range(W.shape[0]):
        step_of_row(X, delta, k, lr, W[k], W_new[k])
    step_of_bias(delta, lr, b, b_new)


@njit(parallel=True)
def rows_parallel(X, Y, W, b, lr, W_new, b_new):
    """The same, with the samples divided among the threads, then the rows of W: each iteration writes its own."""
    delta = np.empty(Y.shape, X.dtype)
    for i in prange(X.shape[0]):
        delta_of(X[i], Y[i], W, b, X.shape[0], delta[i])
    for k in prange(W.shape[0]):
        step_of_row(X, delta, k, lr, W[k], W_new[k])
    step_of_bias(delta, lr, b, b_new)


RUNGS = (naive, rows, rows_parallel)
