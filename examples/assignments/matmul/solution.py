"""The ladder of the matrix product: Z = X·W, with Z[i, j] = Σ_k X[i, k]·W[k, j]."""

import numba


@numba.njit
def naive(X, W, Z):
    """The formula: one sum at a time."""
    for i in range(Z.shape[0]):
        for j in range(Z.shape[1]):
            total = X.dtype.type(0)
            for k in range(X.shape[1]):
                total += X[i, k] * W[k, j]
            Z[i, j] = total


@numba.njit(fastmath={"contract"})
def reordered(X, W, Z):
    """The inner loop runs along the rows of W and Z, so that it is vectorized."""
    for i in range(Z.shape[0]):
        z = Z[i]
        for j in range(z.size):
            z[j] = 0
        for k in range(X.shape[1]):
            x, w = X[i, k], W[k]
            for j in range(z.size):
                z[j] += x * w[j]


@numba.njit(parallel=True, fastmath={"contract"})
def threaded(X, W, Z):
    """Each iteration of the outer loop has its own row of Z."""
    for i in numba.prange(Z.shape[0]):
        z = Z[i]
        for j in range(z.size):
            z[j] = 0
        for k in range(X.shape[1]):
            x, w = X[i, k], W[k]
            for j in range(z.size):
                z[j] += x * w[j]


@numba.njit(fastmath={"contract"})
def tiled(X, W, Z):
    """Four rows of W for each row of Z: one load and store of Z serves four multiply-adds."""
    n_in = X.shape[1]
    whole = n_in - n_in % 4
    for i in range(Z.shape[0]):
        z = Z[i]
        for j in range(z.size):
            z[j] = 0
        for k in range(0, whole, 4):
            x0, x1, x2, x3 = X[i, k], X[i, k + 1], X[i, k + 2], X[i, k + 3]
            w0, w1, w2, w3 = W[k], W[k + 1], W[k + 2], W[k + 3]
            for j in range(z.size):
                z[j] += x0 * w0[j] + x1 * w1[j] + x2 * w2[j] + x3 * w3[j]
        for k in range(whole, n_in):
            x, w = X[i, k], W[k]
            for j in range(z.size):
                z[j] += x * w[j]
