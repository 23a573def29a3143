"""The three products of training: X·W going forward, delta·Wᵀ and Xᵀ·delta going back.

They are one product read three ways. The loops of a ladder differ in the order in which they walk through
memory, and that order is worth more than everything else the compiler can do.
"""

import numpy as np
from numba import prange

from ..compiler.intrinsics import window
from ..compiler.jit import part_of_kernels
from ..compiler.registry import operation, rung
from ..compiler.threads import threads_pay
from ..compiler.types import Matrix
from .register_tile import number_of_parts, part_of, product, shape_of_a_part


@operation("T[:,::1], T[:,::1], T[:,::1]", flop=lambda X, W, Z: 2 * X.size * W.shape[1])
def matmul(X: Matrix, W: Matrix, Z: Matrix) -> None:
    """Product of a mini-batch and the weights.

    Formula   Z[i,j] = Σ_k X[i,k]·W[k,j]
    Shapes    X (m, n_in), W (n_in, n_out), Z (m, n_out); rows contiguous
    Dtype     float32 or float64, all equal
    Writes    Z, which must not overlap an input
    Parallel  over i
    Cost      2·m·n_in·n_out FLOP
    Errors    none here: checks.py has spoken before
    Source    the definition of the matrix product
    """
    m, n_in = X.shape
    n_out = W.shape[1]
    for i in prange(m):
        for j in range(n_out):
            total = Z.dtype.type(0)
            for k in range(n_in):
                total += X[i, k] * W[k, j]  # W[k, j] jumps a whole row at every step
            Z[i, j] = total


@rung("matmul", "reordered")
def matmul_reordered(X: Matrix, W: Matrix, Z: Matrix) -> None:
    """Like the rung above, but k outside j; the inner loop now walks along rows and fills whole vectors."""
    m, n_in = X.shape
    n_out = W.shape[1]
    for i in prange(m):
        z = Z[i]
        z[:] = Z.dtype.type(0)
        for k in range(n_in):
            x = X[i, k]
            w = W[k]  # a row view: its index has no sign, so LLVM can tell that no element wraps around
            for j in range(n_out):
                z[j] += x * w[j]


@part_of_kernels
def four_rows(A: Matrix, B: Matrix, C: Matrix, i: int) -> None:
    """C[i:i+4] = A[i:i+4]·B, four terms of the sum at a time: each number loaded is used four times.

    A may be strided (a transpose), because only single numbers of it are read; rows of B and C are contiguous.
    """
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
        for j in range(C.shape[1]):  # c + a·x four times over, from the left: four fused multiply-adds
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


@part_of_kernels
def one_row(A: Matrix, B: Matrix, C: Matrix, i: int) -> None:
    """C[i] = A[i]·B: the one to three rows that fill no block of four."""
    c = C[i]
    for j in range(C.shape[1]):
        c[j] = C.dtype.type(0)
    for k in range(A.shape[1]):
        a = A[i, k]
        b = B[k]
        for j in range(C.shape[1]):
            c[j] += a * b[j]


@rung("matmul", "blocked")
def matmul_blocked(X: Matrix, W: Matrix, Z: Matrix) -> None:
    """Like the rung above, but in blocks of four rows by four k; saves three of four trips to memory for W and Z."""
    m = X.shape[0]
    for block in prange((m + 3) // 4):
        if 4 * block + 4 <= m:
            four_rows(X, W, Z, 4 * block)
        else:
            for i in range(4 * block, m):
                one_row(X, W, Z, i)


@part_of_kernels
def part_of_product(A: Matrix, B: Matrix, transposed: bool, C: Matrix, shape: tuple[int, int], t: int) -> None:
    i0, i1, j0, j1 = part_of(C, shape, t)
    product(A, B, transposed, window(C, 0, 0), C.dtype.type(0), C, i0, i1, j0, j1)


@rung("matmul", "tile")
def matmul_tile(X: Matrix, W: Matrix, Z: Matrix) -> None:
    """Like the rung above, but a tile of sums stays in registers for all of k; saves their trips to memory."""
    flop = 2 * X.size * W.shape[1]
    shape = shape_of_a_part(Z, flop)
    strided = X[:, ::1]  # typed like a transpose, so that one compiled tile serves all three products
    if threads_pay(flop):
        for t in prange(number_of_parts(Z, shape)):
            part_of_product(strided, W, False, Z, shape, t)
    else:
        for t in range(number_of_parts(Z, shape)):
            part_of_product(strided, W, False, Z, shape, t)


@operation("T[:,::1], T[:,::1], T[:,::1]", flop=lambda X, delta, dW: 2 * X.size * delta.shape[1])
def matmul_tn(X: Matrix, delta: Matrix, dW: Matrix) -> None:
    """Gradient of the loss by the weights. tn: the left factor is read transposed, the right one as it is.

    Formula   dW[k,j] = Σ_i X[i,k]·delta[i,j], that is dW = Xᵀ·delta
    Shapes    X (m, n_in), delta (m, n_out), dW (n_in, n_out); rows contiguous
    Dtype     float32 or float64, all equal
    Writes    dW, which must not overlap an input
    Parallel  over k, never over the sum, so that any number of threads gives the same bits
    Cost      2·m·n_in·n_out FLOP
    Errors    none here: checks.py has spoken before
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


@rung("matmul_tn", "reordered")
def matmul_tn_reordered(X: Matrix, delta: Matrix, dW: Matrix) -> None:
    """Like the rung above, but i outside j; the inner loop now walks along rows and fills whole vectors."""
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
    """Like the rung above, but in blocks of four rows by four samples; saves three of four trips for delta and dW."""
    n_in = X.shape[1]
    Xt = X.T  # a view: nothing is moved
    for block in prange((n_in + 3) // 4):
        if 4 * block + 4 <= n_in:
            four_rows(Xt, delta, dW, 4 * block)
        else:
            for k in range(4 * block, n_in):
                one_row(Xt, delta, dW, k)


@rung("matmul_tn", "tile")
def matmul_tn_tile(X: Matrix, delta: Matrix, dW: Matrix) -> None:
    """Like the rung above, but with the register tile; the numbers of X are read by columns, where they lie."""
    flop = 2 * X.size * delta.shape[1]
    shape = shape_of_a_part(dW, flop)
    strided = X.T[:, ::1]
    if threads_pay(flop):
        for t in prange(number_of_parts(dW, shape)):
            part_of_product(strided, delta, False, dW, shape, t)
    else:
        for t in range(number_of_parts(dW, shape)):
            part_of_product(strided, delta, False, dW, shape, t)


@operation("T[:,::1], T[:,::1], T[:,::1]", flop=lambda delta, W, dX: 2 * delta.shape[0] * W.size)
def matmul_nt(delta: Matrix, W: Matrix, dX: Matrix) -> None:
    """Gradient of the loss by a layer's input. nt: the left factor is read as it is, the right one transposed.

    Formula   dX[i,k] = Σ_j delta[i,j]·W[k,j], that is dX = delta·Wᵀ
    Shapes    delta (m, n_out), W (n_in, n_out), dX (m, n_in); rows contiguous
    Dtype     float32 or float64, all equal
    Writes    dX, which must not overlap an input
    Parallel  over i
    Cost      2·m·n_in·n_out FLOP
    Errors    none here: checks.py has spoken before
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


@rung("matmul_nt", "blocked", allocates=True)
def matmul_nt_blocked(delta: Matrix, W: Matrix, dX: Matrix) -> None:
    """Like the rung above, but Wᵀ is written out once, and then rows are added up in blocks of four by four."""
    m = delta.shape[0]
    n_in, n_out = W.shape
    Wt = np.empty((n_out, n_in), W.dtype)
    for j in prange(n_out):
        for k in range(n_in):
            Wt[j, k] = W[k, j]
    for block in prange((m + 3) // 4):
        if 4 * block + 4 <= m:
            four_rows(delta, Wt, dX, 4 * block)
        else:
            for i in range(4 * block, m):
                one_row(delta, Wt, dX, i)


@rung("matmul_nt", "tile")
def matmul_nt_tile(delta: Matrix, W: Matrix, dX: Matrix) -> None:
    """Like the rung above, but with the register tile; Wᵀ is laid out panel by panel, turned over in registers."""
    flop = 2 * delta.shape[0] * W.size
    shape = shape_of_a_part(dX, flop)
    strided = delta[:, ::1]
    if threads_pay(flop):
        for t in prange(number_of_parts(dX, shape)):
            part_of_product(strided, W, True, dX, shape, t)
    else:
        for t in range(number_of_parts(dX, shape)):
            part_of_product(strided, W, True, dX, shape, t)
