"""Deltas propagated backward: from ∂L/∂Z of a layer to ∂L/∂Z of the sigmoid layer below it.

Formula   below[i, k] = A[i, k]·(1 − A[i, k])·Σ_j delta[i, j]·W[k, j]
Shape     (m, n_in, n_out): delta (m, n_out), W (n_in, n_out), A and below (m, n_in); A is the output of the layer below
"""


def inputs(shape, dtype, rng):
    m, n_in, n_out = shape
    delta, W = rng.standard_normal((m, n_out)), rng.standard_normal((n_in, n_out))
    return delta.astype(dtype), W.astype(dtype), rng.uniform(0.05, 0.95, (m, n_in)).astype(dtype)


def reference(delta, W, A):
    return (delta @ W.T) * A * (1 - A)


SHAPES = [(2, 3, 5), (1, 1, 1), (4, 4, 4), (7, 13, 11), (1, 17, 3), (9, 1, 6)]
TIMED = [(256, 256, 256)]


def terms(shape):
    return shape[2]


def flops(shape):
    m, n_in, n_out = shape
    return 2 * m * n_in * n_out


def memory(shape, dtype):
    m, n_in, n_out = shape
    return (m * n_out + n_in * n_out + 2 * m * n_in) * dtype.itemsize
