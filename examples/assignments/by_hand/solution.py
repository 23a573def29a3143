"""Forward and backward by hand: the loops of one layer."""

import math

import numba


@numba.njit
def forward(X, W, b, A):
    """A[i, j] = sigmoid(b[j] + Σ_k X[i, k]·W[k, j])"""
    for i in range(A.shape[0]):
        for j in range(A.shape[1]):
            z = b[j]
            for k in range(X.shape[1]):
                z += X[i, k] * W[k, j]
            A[i, j] = 1 / (1 + math.exp(-z))


@numba.njit
def propagate(delta, W, A, below):
    """below[i, k] = A[i, k]·(1 − A[i, k])·Σ_j delta[i, j]·W[k, j]"""
    for i in range(below.shape[0]):
        for k in range(below.shape[1]):
            total = delta.dtype.type(0)
            for j in range(delta.shape[1]):
                total += delta[i, j] * W[k, j]
            below[i, k] = total * A[i, k] * (1 - A[i, k])


@numba.njit(fastmath={"contract"})
def gradients(X, delta, dW, db):
    """dW[k, j] = Σ_i X[i, k]·delta[i, j],  db[j] = Σ_i delta[i, j]"""
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
