"""Layer normalization: each sample is normalized to mean 0 and variance 1, then scaled and shifted unit by unit.

Forward, A from X; the mean and the inverse of the deviation of each sample are kept. Backward, ∂L/∂X and the gradients
of gamma and beta from ∂L/∂A.
"""

import math

import numpy as np
from numba import prange

from ..compiler.intrinsics import wide, window
from ..compiler.jit import part_of_kernels
from ..compiler.registry import baseline, operation, rung
from ..compiler.types import Matrix, Vector

COLUMNS = 64
"""Units whose gradients a thread computes at a time, so that rows are read in whole cache lines."""


@operation("T[:,::1], T[::1], T[::1], T, T[:,::1], T[:,::1]", flop=lambda X, *others: 8 * X.size)
def layer_norm(X: Matrix, gamma: Vector, beta: Vector, epsilon: float, kept: Matrix, A: Matrix) -> None:
    """Normalization of each sample.

    Formula   mean[i] = (1/n) Σ_j X[i,j],  inverse[i] = 1/√((1/n) Σ_j (X[i,j] − mean[i])² + epsilon)
              A[i,j] = gamma[j]·(X[i,j] − mean[i])·inverse[i] + beta[j]
    Shapes    X (m, n), gamma (n,), beta (n,), epsilon a number, kept (m, 2): mean and inverse, A (m, n)
    Dtype     float32 or float64, all equal
    Writes    kept and A, which must not overlap an input
    Parallel  over i
    Cost      some 8 FLOP per number
    Errors    none here: inputs are validated by the caller
    Source    Ba, Kiros and Hinton, Layer Normalization, 2016
    """
    m, n = X.shape
    count, one = X.dtype.type(max(n, 1)), X.dtype.type(1)
    for i in prange(m):
        total, square = X.dtype.type(0), X.dtype.type(0)
        for j in range(n):
            total += X[i, j]
        mean = total / count
        for j in range(n):
            square += (X[i, j] - mean) * (X[i, j] - mean)
        inverse = one / X.dtype.type(math.sqrt(square / count + epsilon))
        kept[i, 0], kept[i, 1] = mean, inverse
        for j in range(n):
            A[i, j] = gamma[j] * ((X[i, j] - mean) * inverse) + beta[j]


@operation("T[:,::1], T[::1], T[:,::1], T[:,::1], T[:,::1]", flop=lambda X, *others: 12 * X.size)
def layer_norm_back(X: Matrix, gamma: Vector, kept: Matrix, dA: Matrix, dX: Matrix) -> None:
    """The chain rule through the normalization, with respect to its input.

    Formula   with x̂[i,j] = (X[i,j] − mean[i])·inverse[i] and g[i,j] = dA[i,j]·gamma[j]:
              dX[i,j] = inverse[i]·(g[i,j] − (1/n) Σ_l g[i,l] − x̂[i,j]·(1/n) Σ_l g[i,l]·x̂[i,l])
    Shapes    X, dA, dX (m, n), gamma (n,), kept (m, 2): mean and inverse, as `layer_norm` left them
    Dtype     float32 or float64, all equal
    Writes    dX, which may be dA
    Parallel  over i
    Cost      some 12 FLOP per number
    Errors    none here: inputs are validated by the caller
    Source    the derivatives of mean and variance with respect to every number of the sample
    """
    m, n = X.shape
    count = X.dtype.type(max(n, 1))
    for i in prange(m):
        mean, inverse = kept[i, 0], kept[i, 1]
        total, along = X.dtype.type(0), X.dtype.type(0)
        for l in range(n):
            g = dA[i, l] * gamma[l]
            total += g
            along += g * ((X[i, l] - mean) * inverse)
        for j in range(n):
            normal = (X[i, j] - mean) * inverse
            dX[i, j] = inverse * (dA[i, j] * gamma[j] - total / count - normal * (along / count))


@operation("T[:,::1], T[:,::1], T[:,::1], T[::1], T[::1]", flop=lambda X, *others: 5 * X.size)
def layer_norm_gradients(X: Matrix, kept: Matrix, dA: Matrix, dgamma: Vector, dbeta: Vector) -> None:
    """The gradients of the loss with respect to the scale and the shift of each unit.

    Formula   dgamma[j] = Σ_i dA[i,j]·(X[i,j] − mean[i])·inverse[i],    dbeta[j] = Σ_i dA[i,j]
    Shapes    X, dA (m, n), kept (m, 2): mean and inverse, dgamma (n,), dbeta (n,)
    Dtype     float32 or float64, all equal
    Writes    dgamma and dbeta, which must not overlap an input
    Parallel  over j, never over the sum, so that any number of threads gives the same bits
    Cost      some 5 FLOP per number
    Errors    none here: inputs are validated by the caller
    Source    the chain rule
    """
    m, n = X.shape
    for j in prange(n):
        scale, shift = X.dtype.type(0), X.dtype.type(0)
        for i in range(m):
            scale += dA[i, j] * ((X[i, j] - kept[i, 0]) * kept[i, 1])
            shift += dA[i, j]
        dgamma[j], dbeta[j] = scale, shift


@part_of_kernels
def gradients_of_columns(X: Matrix, kept: Matrix, dA: Matrix, dgamma: Vector, dbeta: Vector, j0: int, j1: int) -> None:
    wide(dgamma)
    n, zero = X.shape[1], X.dtype.type(0)
    scale, shift = window(dgamma, j0, j1 - j0), window(dbeta, j0, j1 - j0)
    for j in range(scale.size):
        scale[j], shift[j] = zero, zero
    for i in range(X.shape[0]):
        x, d = window(X, i * n + j0, j1 - j0), window(dA, i * n + j0, j1 - j0)
        mean, inverse = kept[i, 0], kept[i, 1]
        for j in range(scale.size):
            scale[j] += d[j] * ((x[j] - mean) * inverse)
            shift[j] += d[j]


@rung("layer_norm_gradients", "wide")
def layer_norm_gradients_wide(X: Matrix, kept: Matrix, dA: Matrix, dgamma: Vector, dbeta: Vector) -> None:
    """Like the rung above, but i outside j; saves the strided loads: the loop along rows is vectorized."""
    n = X.shape[1]
    for t in prange((n + COLUMNS - 1) // COLUMNS):
        gradients_of_columns(X, kept, dA, dgamma, dbeta, t * COLUMNS, min(t * COLUMNS + COLUMNS, n))


@baseline("layer_norm")
def layer_norm_numpy(X: Matrix, gamma: Vector, beta: Vector, epsilon: float, kept: Matrix, A: Matrix) -> None:
    count = max(X.shape[1], 1)
    kept[:, 0] = X.sum(axis=1) / count
    kept[:, 1] = 1 / np.sqrt(((X - kept[:, :1]) ** 2).sum(axis=1) / count + epsilon)
    A[...] = gamma * ((X - kept[:, :1]) * kept[:, 1:]) + beta


@baseline("layer_norm_back")
def layer_norm_back_numpy(X: Matrix, gamma: Vector, kept: Matrix, dA: Matrix, dX: Matrix) -> None:
    normal, g, count = (X - kept[:, :1]) * kept[:, 1:], dA * gamma, max(X.shape[1], 1)
    total, along = (a.sum(axis=1, keepdims=True) / count for a in (g, g * normal))
    dX[...] = kept[:, 1:] * (g - total - normal * along)


@baseline("layer_norm_gradients")
def layer_norm_gradients_numpy(X: Matrix, kept: Matrix, dA: Matrix, dgamma: Vector, dbeta: Vector) -> None:
    dgamma[...] = (dA * ((X - kept[:, :1]) * kept[:, 1:])).sum(axis=0)
    dbeta[...] = dA.sum(axis=0)
