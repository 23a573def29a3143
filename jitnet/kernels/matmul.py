"""The three products of training: X·W in the forward pass, delta·Wᵀ and Xᵀ·delta in the backward pass.

They are one product, with one or the other factor transposed. The loops of a ladder differ in how often, and in which
order, they access memory, which matters more than any compiler optimization. `@operation` makes three rungs of the
first loop, the formula as written: `python` interprets it, `njit` compiles it, `parallel` runs it on several threads.
In its signature, T is float32 or float64, and T[:,::1] a matrix with contiguous rows. Each other rung adds or replaces
one idea:

    unrolled    four sums at a time, which do not wait for one another
    reordered   a whole row of sums instead of four, in memory order: the inner loop is vectorized
    blocked     four rows by four terms of the sums, so that each number loaded is used four times
    tiled       a tile of sums that stays in registers until they are complete (`register_tile.py`)
    packed      the rows that the tile reads, copied next to each other where that pays; tiles of any size

Helpers compute A·B with A as it is or transposed: they read only single numbers of A, so they serve all three products.
"""

import numpy as np
from numba import prange

from ..compiler.jit import part_of_kernels
from ..compiler.registry import operation, rung
from ..compiler.threads import loop_threads
from ..compiler.types import Matrix
from .parts import number_of_parts, part_of, plain_part, shape_of_a_part
from .register_tile import ROWS, edge, row_of_tiles


@operation("T[:,::1], T[:,::1], T[:,::1]", flop=lambda X, W, Z: 2 * X.size * W.shape[1])
def matmul(X: Matrix, W: Matrix, Z: Matrix) -> None:
    """Product of a mini-batch and the weights.

    Formula   Z[i,j] = Σ_k X[i,k]·W[k,j]
    Shapes    X (m, n_in), W (n_in, n_out), Z (m, n_out); rows contiguous
    Dtype     float32 or float64, all equal
    Writes    Z, which must not overlap an input
    Parallel  over i, from `packed` on over blocks of the output; never over the sum
    Cost      2·m·n_in·n_out FLOP
    Errors    none: inputs are validated by the caller
    Source    the definition of the matrix product
    """
    m, n_in = X.shape
    n_out = W.shape[1]
    for i in prange(m):
        for j in range(n_out):
            total = Z.dtype.type(0)
            for k in range(n_in):
                total += X[i, k] * W[k, j]  # W[k, j] moves to the next row at every step
            Z[i, j] = total


@part_of_kernels
def four_sums(A: Matrix, B: Matrix, C: Matrix, i: int) -> None:
    """C[i] = A[i]·B, four numbers of C at a time."""
    n = C.shape[1]
    for j in range(0, n - n % 4, 4):
        s0 = s1 = s2 = s3 = C.dtype.type(0)
        for k in range(A.shape[1]):
            a, b = A[i, k], B[k]
            s0 += a * b[j]
            s1 += a * b[j + 1]
            s2 += a * b[j + 2]
            s3 += a * b[j + 3]
        C[i, j], C[i, j + 1], C[i, j + 2], C[i, j + 3] = s0, s1, s2, s3
    for j in range(n - n % 4, n):
        total = C.dtype.type(0)
        for k in range(A.shape[1]):
            total += A[i, k] * B[k, j]
        C[i, j] = total


@rung("matmul", "unrolled")
def matmul_unrolled(X: Matrix, W: Matrix, Z: Matrix) -> None:
    """Like the rung above, but four sums at a time; saves three of four waits for the last sum, and uses four numbers
    of each cache line of W."""
    for i in prange(X.shape[0]):
        four_sums(X, W, Z, i)


@rung("matmul", "reordered")
def matmul_reordered(X: Matrix, W: Matrix, Z: Matrix) -> None:
    """Like the rung above, but with a whole row of sums instead of four, k outside j; saves the strided loads: the
    loop along rows is vectorized."""
    m, n_in = X.shape
    n_out = W.shape[1]
    for i in prange(m):
        z = Z[i]
        z[:] = Z.dtype.type(0)
        for k in range(n_in):
            x = X[i, k]
            w = W[k]  # a row view: LLVM can then prove that no index is negative
            for j in range(n_out):
                z[j] += x * w[j]


@part_of_kernels
def one_row(A: Matrix, B: Matrix, C: Matrix, i: int) -> None:
    """C[i] = A[i]·B, k outside j, as in `reordered`."""
    c = C[i]
    for j in range(C.shape[1]):
        c[j] = C.dtype.type(0)
    for k in range(A.shape[1]):
        a = A[i, k]
        b = B[k]
        for j in range(C.shape[1]):
            c[j] += a * b[j]


@part_of_kernels
def four_rows(A: Matrix, B: Matrix, C: Matrix, i: int) -> None:
    """C[i:i+4] = A[i:i+4]·B, four terms of the sum at a time: each number loaded is used four times."""
    if i + 4 > C.shape[0]:  # one to three rows remain
        for r in range(i, C.shape[0]):
            one_row(A, B, C, r)
        return
    n = A.shape[1]
    c0, c1, c2, c3 = C[i], C[i + 1], C[i + 2], C[i + 3]
    for j in range(C.shape[1]):
        c0[j] = c1[j] = c2[j] = c3[j] = C.dtype.type(0)
    for k in range(0, n - n % 4, 4):
        b0, b1, b2, b3 = B[k], B[k + 1], B[k + 2], B[k + 3]
        a00, a01, a02, a03 = A[i, k], A[i, k + 1], A[i, k + 2], A[i, k + 3]
        a10, a11, a12, a13 = A[i + 1, k], A[i + 1, k + 1], A[i + 1, k + 2], A[i + 1, k + 3]
        a20, a21, a22, a23 = A[i + 2, k], A[i + 2, k + 1], A[i + 2, k + 2], A[i + 2, k + 3]
        a30, a31, a32, a33 = A[i + 3, k], A[i + 3, k + 1], A[i + 3, k + 2], A[i + 3, k + 3]
        for j in range(C.shape[1]):  # evaluated from left to right: four fused multiply-adds
            x0, x1, x2, x3 = b0[j], b1[j], b2[j], b3[j]
            c0[j] = c0[j] + a00 * x0 + a01 * x1 + a02 * x2 + a03 * x3
            c1[j] = c1[j] + a10 * x0 + a11 * x1 + a12 * x2 + a13 * x3
            c2[j] = c2[j] + a20 * x0 + a21 * x1 + a22 * x2 + a23 * x3
            c3[j] = c3[j] + a30 * x0 + a31 * x1 + a32 * x2 + a33 * x3
    for k in range(n - n % 4, n):
        b = B[k]
        a0, a1, a2, a3 = A[i, k], A[i + 1, k], A[i + 2, k], A[i + 3, k]
        for j in range(C.shape[1]):
            x = b[j]
            c0[j] += a0 * x
            c1[j] += a1 * x
            c2[j] += a2 * x
            c3[j] += a3 * x


@rung("matmul", "blocked")
def matmul_blocked(X: Matrix, W: Matrix, Z: Matrix) -> None:
    """Like the rung above, but in blocks of four rows by four k; saves three of four loads of W and Z."""
    for block in prange((X.shape[0] + 3) // 4):
        four_rows(X, W, Z, 4 * block)


@rung("matmul", "tiled")
def matmul_tiled(X: Matrix, W: Matrix, Z: Matrix) -> None:
    """Like the rung above, but a tile of sums stays in registers for all of k; saves loading and storing them."""
    for block in prange(X.shape[0] // ROWS):
        row_of_tiles(X, W, Z, ROWS * block)
    for i in prange(X.shape[0]):
        edge(X, W, Z, i)


@rung("matmul", "packed")
def matmul_packed(X: Matrix, W: Matrix, Z: Matrix) -> None:
    """Like the rung above, but W is packed into panels if that is faster; saves misses of the L2 cache, and loads
    across cache lines."""
    shape = shape_of_a_part(X, W, Z, loop_threads())
    for t in prange(number_of_parts(Z, shape)):
        plain_part(X, W, Z, part_of(Z, shape, t))


@operation("T[:,::1], T[:,::1], T[:,::1]", flop=lambda X, delta, dW: 2 * X.size * delta.shape[1])
def matmul_tn(X: Matrix, delta: Matrix, dW: Matrix) -> None:
    """Gradient of the loss with respect to the weights. tn: the left factor is read transposed, the right one is not.

    Formula   dW[k,j] = Σ_i X[i,k]·delta[i,j], that is dW = Xᵀ·delta
    Shapes    X (m, n_in), delta (m, n_out), dW (n_in, n_out); rows contiguous
    Dtype     float32 or float64, all equal
    Writes    dW, which must not overlap an input
    Parallel  over k, from `packed` on over blocks of the output; never over the sum: the same bits with any threads
    Cost      2·m·n_in·n_out FLOP
    Errors    none: inputs are validated by the caller
    Source    the chain rule: ∂L/∂W[k,j] = Σ_i ∂L/∂Z[i,j] · ∂Z[i,j]/∂W[k,j]
    """
    m, n_in = X.shape
    n_out = delta.shape[1]
    for k in prange(n_in):
        for j in range(n_out):
            total = dW.dtype.type(0)
            for i in range(m):
                total += X[i, k] * delta[i, j]
            dW[k, j] = total


@rung("matmul_tn", "unrolled")
def matmul_tn_unrolled(X: Matrix, delta: Matrix, dW: Matrix) -> None:
    """Like the rung above, but four sums at a time; saves three of four waits for the last sum, and uses four numbers
    of each cache line of delta."""
    Xt = X.T  # a view: nothing is copied
    for k in prange(X.shape[1]):
        four_sums(Xt, delta, dW, k)


@rung("matmul_tn", "reordered")
def matmul_tn_reordered(X: Matrix, delta: Matrix, dW: Matrix) -> None:
    """Like the rung above, but with a whole row of sums instead of four, i outside j; saves the strided loads: the
    loop along rows is vectorized."""
    m, n_in = X.shape
    n_out = delta.shape[1]
    for k in prange(n_in):
        dw = dW[k]
        dw[:] = dW.dtype.type(0)
        for i in range(m):
            x = X[i, k]
            d = delta[i]
            for j in range(n_out):
                dw[j] += x * d[j]


@rung("matmul_tn", "blocked")
def matmul_tn_blocked(X: Matrix, delta: Matrix, dW: Matrix) -> None:
    """Like the rung above, but in blocks of four rows by four samples; saves three of four loads of delta and dW."""
    Xt = X.T
    for block in prange((X.shape[1] + 3) // 4):
        four_rows(Xt, delta, dW, 4 * block)


@rung("matmul_tn", "tiled")
def matmul_tn_tiled(X: Matrix, delta: Matrix, dW: Matrix) -> None:
    """Like the rung above, but a tile of sums stays in registers for all samples; saves loading and storing them."""
    Xt = X.T
    for block in prange(X.shape[1] // ROWS):
        row_of_tiles(Xt, delta, dW, ROWS * block)
    for k in prange(X.shape[1]):
        edge(Xt, delta, dW, k)


@rung("matmul_tn", "packed")
def matmul_tn_packed(X: Matrix, delta: Matrix, dW: Matrix) -> None:
    """Like the rung above, but delta is packed into panels if that is faster; saves misses of the L2 cache, and loads
    across cache lines."""
    shape = shape_of_a_part(X.T, delta, dW, loop_threads())
    for t in prange(number_of_parts(dW, shape)):
        plain_part(X.T, delta, dW, part_of(dW, shape, t))


@operation("T[:,::1], T[:,::1], T[:,::1]", flop=lambda delta, W, dX: 2 * delta.shape[0] * W.size)
def matmul_nt(delta: Matrix, W: Matrix, dX: Matrix) -> None:
    """Gradient of the loss with respect to a layer's input. nt: the right factor is read transposed, the left one is
    not.

    Formula   dX[i,k] = Σ_j delta[i,j]·W[k,j], that is dX = delta·Wᵀ
    Shapes    delta (m, n_out), W (n_in, n_out), dX (m, n_in); rows contiguous
    Dtype     float32 or float64, all equal
    Writes    dX, which must not overlap an input
    Parallel  over i, from `packed` on over blocks of the output; never over the sum
    Cost      2·m·n_in·n_out FLOP
    Errors    none: inputs are validated by the caller
    Source    the chain rule: ∂L/∂X[i,k] = Σ_j ∂L/∂Z[i,j] · ∂Z[i,j]/∂X[i,k]
    """
    m, n_out = delta.shape
    n_in = W.shape[0]
    for i in prange(m):
        for k in range(n_in):
            total = dX.dtype.type(0)
            for j in range(n_out):
                total += delta[i, j] * W[k, j]
            dX[i, k] = total


@part_of_kernels
def four_dots(A: Matrix, B: Matrix, C: Matrix, i: int) -> None:
    """C[i] = A[i]·Bᵀ, four numbers of C at a time."""
    n, a = C.shape[1], A[i]
    for k in range(0, n - n % 4, 4):
        b0, b1, b2, b3 = B[k], B[k + 1], B[k + 2], B[k + 3]
        s0 = s1 = s2 = s3 = C.dtype.type(0)
        for j in range(a.size):
            s0 += a[j] * b0[j]
            s1 += a[j] * b1[j]
            s2 += a[j] * b2[j]
            s3 += a[j] * b3[j]
        C[i, k], C[i, k + 1], C[i, k + 2], C[i, k + 3] = s0, s1, s2, s3
    for k in range(n - n % 4, n):
        total = C.dtype.type(0)
        for j in range(a.size):
            total += a[j] * B[k, j]
        C[i, k] = total


@rung("matmul_nt", "unrolled")
def matmul_nt_unrolled(delta: Matrix, W: Matrix, dX: Matrix) -> None:
    """Like the rung above, but four sums at a time; saves three of four waits for the last sum."""
    for i in prange(delta.shape[0]):
        four_dots(delta, W, dX, i)


@part_of_kernels
def transpose(B: Matrix, Bt: Matrix, j: int) -> None:
    """Bt[j] = B[:, j]: a row of the transpose."""
    for k in range(B.shape[0]):
        Bt[j, k] = B[k, j]


@rung("matmul_nt", "reordered", allocates=True)
def matmul_nt_reordered(delta: Matrix, W: Matrix, dX: Matrix) -> None:
    """Like the rung above, but with a whole row of sums instead of four: Wᵀ is copied once, and its rows are read as
    vectors; saves loads of single numbers."""
    Wt = np.empty((W.shape[1], W.shape[0]), W.dtype)
    for j in prange(W.shape[1]):
        transpose(W, Wt, j)
    for i in prange(delta.shape[0]):
        one_row(delta, Wt, dX, i)


@rung("matmul_nt", "blocked", allocates=True)
def matmul_nt_blocked(delta: Matrix, W: Matrix, dX: Matrix) -> None:
    """Like the rung above, but in blocks of four rows by four j; saves three of four loads of Wᵀ and dX."""
    Wt = np.empty((W.shape[1], W.shape[0]), W.dtype)
    for j in prange(W.shape[1]):
        transpose(W, Wt, j)
    for block in prange((delta.shape[0] + 3) // 4):
        four_rows(delta, Wt, dX, 4 * block)


@rung("matmul_nt", "tiled", allocates=True)
def matmul_nt_tiled(delta: Matrix, W: Matrix, dX: Matrix) -> None:
    """Like the rung above, but a tile of sums stays in registers for all of j; saves loading and storing them."""
    Wt = np.empty((W.shape[1], W.shape[0]), W.dtype)
    for j in prange(W.shape[1]):
        transpose(W, Wt, j)
    for block in prange(delta.shape[0] // ROWS):
        row_of_tiles(delta, Wt, dX, ROWS * block)
    for i in prange(delta.shape[0]):
        edge(delta, Wt, dX, i)


@rung("matmul_nt", "packed")
def matmul_nt_packed(delta: Matrix, W: Matrix, dX: Matrix) -> None:
    """Like the rung above, but W is transposed panel by panel, in registers; saves copying Wᵀ number by number."""
    shape = shape_of_a_part(delta, W.T, dX, loop_threads())
    for t in prange(number_of_parts(dX, shape)):
        plain_part(delta, W.T, dX, part_of(dX, shape, t))


IF_CONTIGUOUS = "T[:,:], T[:,:], T[:,:]"
"""The types of the arguments of `matmul_if_contiguous`."""


@part_of_kernels
def is_contiguous(M: Matrix) -> bool:
    """Whether the numbers of M follow each other in memory, row by row."""
    return bool(M.strides[1] == M.itemsize and M.strides[0] == M.shape[1] * M.itemsize)


def matmul_if_contiguous(A: Matrix, B: Matrix, C: Matrix) -> bool:
    """C = A·B and True for small contiguous matrices; for others False, and C is unchanged. For `functions.py`."""
    if not (is_contiguous(A) and is_contiguous(B)):
        return False
    plain_part(A, B, C, (0, C.shape[0], 0, C.shape[1]))
    return True
