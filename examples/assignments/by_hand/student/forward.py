"""The forward pass of a layer: the activations of a mini-batch, with one sample per row.

Formula   A[i, j] = sigmoid(b[j] + Σ_k X[i, k]·W[k, j]),  sigmoid(z) = 1 / (1 + exp(−z))
Shape     (m, n_in, n_out): X (m, n_in), W (n_in, n_out), b (n_out,), A (m, n_out)
"""

import numpy as np


def inputs(shape, dtype, rng):
    m, n_in, n_out = shape
    sizes = (m, n_in), (n_in, n_out), (n_out,)
    return tuple(rng.standard_normal(size).astype(dtype) for size in sizes)


def reference(X, W, b):
    return 1 / (1 + np.exp(-(X @ W + b)))


SHAPES = [(2, 3, 5), (1, 1, 1), (4, 4, 4), (7, 13, 11), (1, 17, 3), (9, 1, 6)]
TIMED = [(256, 256, 256)]


def terms(shape):
    return shape[1] + 1


def flops(shape):
    m, n_in, n_out = shape
    return 2 * m * n_in * n_out


def memory(shape, dtype):
    m, n_in, n_out = shape
    return (m * n_in + n_in * n_out + n_out + m * n_out) * dtype.itemsize
