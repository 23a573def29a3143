"""The gradients of a layer: from its deltas to ∂L/∂W and ∂L/∂b, summed over the samples.

Formula   dW[k, j] = Σ_i X[i, k]·delta[i, j],  db[j] = Σ_i delta[i, j]
Shape     (m, n_in, n_out): X (m, n_in), delta (m, n_out), dW (n_in, n_out), db (n_out,)
"""

from numba import njit


def inputs(shape, dtype, rng):
    m, n_in, n_out = shape
    return rng.standard_normal((m, n_in)).astype(dtype), rng.standard_normal((m, n_out)).astype(dtype)


def reference(X, delta):
    return X.T @ delta, delta.sum(axis=0)


SHAPES = [(2, 3, 5), (1, 1, 1), (4, 4, 4), (7, 13, 11), (1, 17, 3), (9, 1, 6)]
TIMED = [(256, 256, 256)]


def terms(shape):
    return shape[0]


def flops(shape):
    m, n_in, n_out = shape
    return 2 * m * n_in * n_out + m * n_out


def memory(shape, dtype):
    m, n_in, n_out = shape
    return (m * n_in + m * n_out + n_in * n_out + n_out) * dtype.itemsize


@njit(fastmath={"contract"})
def samples_outside(X, delta, dW, db):
    """The inner loop runs along rows of delta and dW, so that it is vectorized."""
    dW[...] = 0
    db[...] = 0
    for i in range(X.shape[0]):
        d = delta[i]
        for j in range(d.size):
            db[j] += d[j]
        for k in range(X.shape[1]):
            x, row = X[i, k], dW[k]
            for j in range(d.size):
                row[j] += x * d[j]


RUNGS = (samples_outside,)
