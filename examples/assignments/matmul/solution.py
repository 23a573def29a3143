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
    """Four rows of Z and four rows of W at a time: each number of W and Z that is loaded serves four multiply-adds."""
    m, n_in = X.shape
    whole = m - m % 4
    for i in range(0, whole, 4):
        x0, x1, x2, x3 = X[i], X[i + 1], X[i + 2], X[i + 3]
        z0, z1, z2, z3 = Z[i], Z[i + 1], Z[i + 2], Z[i + 3]
        for j in range(z0.size):
            z0[j] = z1[j] = z2[j] = z3[j] = 0
        for k in range(0, n_in - n_in % 4, 4):
            x00, x01, x02, x03 = x0[k], x0[k + 1], x0[k + 2], x0[k + 3]
            x10, x11, x12, x13 = x1[k], x1[k + 1], x1[k + 2], x1[k + 3]
            x20, x21, x22, x23 = x2[k], x2[k + 1], x2[k + 2], x2[k + 3]
            x30, x31, x32, x33 = x3[k], x3[k + 1], x3[k + 2], x3[k + 3]
            w0, w1, w2, w3 = W[k], W[k + 1], W[k + 2], W[k + 3]
            for j in range(z0.size):  # added from the left, so that each product is part of a fused multiply-add
                a, b, c, d = w0[j], w1[j], w2[j], w3[j]
                z0[j] = z0[j] + x00 * a + x01 * b + x02 * c + x03 * d
                z1[j] = z1[j] + x10 * a + x11 * b + x12 * c + x13 * d
                z2[j] = z2[j] + x20 * a + x21 * b + x22 * c + x23 * d
                z3[j] = z3[j] + x30 * a + x31 * b + x32 * c + x33 * d
        for k in range(n_in - n_in % 4, n_in):
            for j in range(z0.size):
                w = W[k, j]
                z0[j] += x0[k] * w
                z1[j] += x1[k] * w
                z2[j] += x2[k] * w
                z3[j] += x3[k] * w
    reordered(X[whole:], W, Z[whole:])
