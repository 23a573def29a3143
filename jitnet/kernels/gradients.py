"""The gradients of a layer's parameters, alone and with a step of gradient descent.

    gradients    dW    = Xᵀ·delta,    db = Σ_rows delta
    descend      W     ← W − lr·(Xᵀ·delta + weight_decay·W),    b ← b − lr·(Σ_rows delta + weight_decay·b):
                 gradients and update in one

Without a bias, b and db are empty. The rungs are those of the products, with the same helpers (`matmul.py`). Up to
`packed`, `descend` writes the gradients to temporary memory, and then takes the step. The top rung, `fused`, computes
the rest while the product is in registers and caches.
"""

from typing import Any

import numpy as np
from numba import prange

from ..compiler.intrinsics import lanes, window
from ..compiler.jit import part_of_kernels
from ..compiler.registry import operation, rung
from ..compiler.simd import broadcast, masked_load, masked_store
from ..compiler.threads import loop_threads
from ..compiler.types import Matrix, Vector
from .matmul import four_rows, four_sums, one_row
from .parts import Part, number_of_parts, part_of, plain_part, product_of_part, shape_of_a_part
from .register_tile import DESCENT, ROWS, edge, row_of_tiles


@operation("T[:,::1], T[:,::1], T[:,::1], T[::1]", flop=lambda X, delta, *rest: 2 * X.size * delta.shape[1])
def gradients(X: Matrix, delta: Matrix, dW: Matrix, db: Vector) -> None:
    """Gradients of the loss with respect to a layer's parameters.

    Formula   dW[k,j] = Σ_i X[i,k]·delta[i,j],    db[j] = Σ_i delta[i,j]
    Shapes    X (m, n_in), delta (m, n_out), dW (n_in, n_out), db (n_out,) or (0,); rows contiguous
    Dtype     float32 or float64, all equal
    Writes    dW and db, which must not overlap an input
    Parallel  over k, and over j for db; never over the sum, so that any number of threads gives the same bits
    Cost      2·m·n_in·n_out + m·n_out FLOP
    Errors    none: inputs are validated by the caller
    Source    the last of the four formulas
    """
    m, n_in = X.shape
    n_out = delta.shape[1]
    for k in prange(n_in):
        for j in range(n_out):
            total = dW.dtype.type(0)
            for i in range(m):
                total += X[i, k] * delta[i, j]
            dW[k, j] = total
    for j in prange(db.size):
        total = dW.dtype.type(0)
        for i in range(m):
            total += delta[i, j]
        db[j] = total


@part_of_kernels
def sum_rows(delta: Matrix, db: Vector) -> None:
    """db = Σ_rows delta, row by row."""
    for j in range(db.size):
        db[j] = db.dtype.type(0)
    for i in range(delta.shape[0]):
        d = delta[i]
        for j in range(db.size):
            db[j] += d[j]


@rung("gradients", "unrolled")
def gradients_unrolled(X: Matrix, delta: Matrix, dW: Matrix, db: Vector) -> None:
    """Like the rung above, but four sums at a time; saves three of four waits, and strided loads of X and delta."""
    Xt = X.T  # a view: nothing is copied
    for k in prange(X.shape[1]):
        four_sums(Xt, delta, dW, k)
    sum_rows(delta, db)


@rung("gradients", "reordered")
def gradients_reordered(X: Matrix, delta: Matrix, dW: Matrix, db: Vector) -> None:
    """Like the rung above, but with a whole row of sums instead of four, i outside j; saves the strided loads: the
    loop along rows is vectorized."""
    Xt = X.T
    for k in prange(X.shape[1]):
        one_row(Xt, delta, dW, k)
    sum_rows(delta, db)


@rung("gradients", "blocked")
def gradients_blocked(X: Matrix, delta: Matrix, dW: Matrix, db: Vector) -> None:
    """Like the rung above, but in blocks of four rows by four samples; saves three of four loads of delta and dW."""
    Xt = X.T
    for block in prange((X.shape[1] + 3) // 4):
        four_rows(Xt, delta, dW, 4 * block)
    sum_rows(delta, db)


@rung("gradients", "tiled")
def gradients_tiled(X: Matrix, delta: Matrix, dW: Matrix, db: Vector) -> None:
    """Like the rung above, but a tile of sums stays in registers for all samples; saves loading and storing them."""
    Xt = X.T
    for block in prange(X.shape[1] // ROWS):
        row_of_tiles(Xt, delta, dW, ROWS * block)
    for k in prange(X.shape[1]):
        edge(Xt, delta, dW, k)
    sum_rows(delta, db)


@rung("gradients", "packed")
def gradients_packed(X: Matrix, delta: Matrix, dW: Matrix, db: Vector) -> None:
    """Like the rung above, but delta is packed into panels if that is faster; saves misses of the L2 cache, and loads
    across cache lines."""
    shape = shape_of_a_part(X.T, delta, dW, loop_threads())
    for t in prange(number_of_parts(dW, shape)):
        plain_part(X.T, delta, dW, part_of(dW, shape, t))
    sum_rows(delta, db)


@part_of_kernels
def column_sums(delta: Matrix, j: int, count: int) -> Any:
    """Σ_rows delta[:, j : j+count], as a SIMD vector."""
    total = broadcast(delta.dtype.type(0), delta, 1)
    for i in range(delta.shape[0]):
        total = total + masked_load(delta, i * delta.shape[1] + j, 1, count)
    return total


@part_of_kernels
def part_of_gradients(X: Matrix, delta: Matrix, dW: Matrix, db: Vector, part: Part) -> None:
    k0, _, j0, j1 = part
    plain_part(X.T, delta, dW, part)
    if k0 == 0 and db.size > 0:
        for j in range(j0, j1, lanes(db)):
            masked_store(column_sums(delta, j, j1 - j), db, j, j1 - j)


@rung("gradients", "fused")
def gradients_fused(X: Matrix, delta: Matrix, dW: Matrix, db: Vector) -> None:
    """Like the rung above, but db is summed in registers, next to its part of dW; saves loading its sums."""
    shape = shape_of_a_part(X.T, delta, dW, loop_threads())
    for t in prange(number_of_parts(dW, shape)):
        part_of_gradients(X, delta, dW, db, part_of(dW, shape, t))


@operation("T[:,::1], T[:,::1], T, T, T[:,::1], T[::1]", flop=lambda X, delta, *rest: 2 * X.size * delta.shape[1])
def descend(X: Matrix, delta: Matrix, lr: float, weight_decay: float, W: Matrix, b: Vector) -> None:
    """A step of gradient descent for a layer; its gradients, `gradients` above, are never written to memory.

    Formula   W[k,j] ← W[k,j] − lr·(Σ_i X[i,k]·delta[i,j] + weight_decay·W[k,j])
              b[j] ← b[j] − lr·(Σ_i delta[i,j] + weight_decay·b[j])
    Shapes    X (m, n_in), delta (m, n_out), W (n_in, n_out), b (n_out,) or (0,); rows contiguous
    Dtype     float32 or float64, all equal, numbers included
    Writes    W and b, in place, which must not overlap an input
    Parallel  over k, and over j for b; never over the sum, so that any number of threads gives the same bits
    Cost      2·m·n_in·n_out + m·n_out FLOP
    Errors    none: inputs are validated by the caller
    Source    the last of the four formulas, and `sgd` in optimizers.py
    """
    m, n_in = X.shape
    n_out = delta.shape[1]
    for k in prange(n_in):
        for j in range(n_out):
            total = W.dtype.type(0)
            for i in range(m):
                total += X[i, k] * delta[i, j]
            W[k, j] -= lr * (total + weight_decay * W[k, j])
    for j in prange(b.size):
        total = W.dtype.type(0)
        for i in range(m):
            total += delta[i, j]
        b[j] -= lr * (total + weight_decay * b[j])


@part_of_kernels
def step(g: Vector, lr: float, weight_decay: float, theta: Vector) -> None:
    """theta ← theta − lr·(g + weight_decay·theta)."""
    for j in range(theta.size):
        theta[j] -= lr * (g[j] + weight_decay * theta[j])


@part_of_kernels
def step_of_bias(delta: Matrix, db: Vector, lr: float, weight_decay: float, b: Vector) -> None:
    """db = Σ_rows delta, and the step of b."""
    sum_rows(delta, db)
    step(db, lr, weight_decay, b)


@rung("descend", "unrolled", allocates=True)
def descend_unrolled(X: Matrix, delta: Matrix, lr: float, weight_decay: float, W: Matrix, b: Vector) -> None:
    """Like the rung above, but four sums at a time, subtracted later; saves three of four waits, and strided loads."""
    dW, db = np.empty(W.shape, W.dtype), np.empty(b.shape, b.dtype)
    Xt = X.T
    for k in prange(X.shape[1]):
        four_sums(Xt, delta, dW, k)
    for k in prange(X.shape[1]):
        step(dW[k], lr, weight_decay, W[k])
    step_of_bias(delta, db, lr, weight_decay, b)


@rung("descend", "reordered", allocates=True)
def descend_reordered(X: Matrix, delta: Matrix, lr: float, weight_decay: float, W: Matrix, b: Vector) -> None:
    """Like the rung above, but with a whole row of sums instead of four, i outside j; saves the strided loads: the
    loop along rows is vectorized."""
    dW, db = np.empty(W.shape, W.dtype), np.empty(b.shape, b.dtype)
    Xt = X.T
    for k in prange(X.shape[1]):
        one_row(Xt, delta, dW, k)
    for k in prange(X.shape[1]):
        step(dW[k], lr, weight_decay, W[k])
    step_of_bias(delta, db, lr, weight_decay, b)


@rung("descend", "blocked", allocates=True)
def descend_blocked(X: Matrix, delta: Matrix, lr: float, weight_decay: float, W: Matrix, b: Vector) -> None:
    """Like the rung above, but in blocks of four rows by four samples; saves three of four loads of both."""
    dW, db = np.empty(W.shape, W.dtype), np.empty(b.shape, b.dtype)
    Xt = X.T
    for block in prange((X.shape[1] + 3) // 4):
        four_rows(Xt, delta, dW, 4 * block)
    for k in prange(X.shape[1]):
        step(dW[k], lr, weight_decay, W[k])
    step_of_bias(delta, db, lr, weight_decay, b)


@rung("descend", "tiled", allocates=True)
def descend_tiled(X: Matrix, delta: Matrix, lr: float, weight_decay: float, W: Matrix, b: Vector) -> None:
    """Like the rung above, but a tile of sums stays in registers for all samples; saves loading and storing them."""
    dW, db = np.empty(W.shape, W.dtype), np.empty(b.shape, b.dtype)
    Xt = X.T
    for block in prange(X.shape[1] // ROWS):
        row_of_tiles(Xt, delta, dW, ROWS * block)
    for k in prange(X.shape[1]):
        edge(Xt, delta, dW, k)
    for k in prange(X.shape[1]):
        step(dW[k], lr, weight_decay, W[k])
    step_of_bias(delta, db, lr, weight_decay, b)


@rung("descend", "packed", allocates=True)
def descend_packed(X: Matrix, delta: Matrix, lr: float, weight_decay: float, W: Matrix, b: Vector) -> None:
    """Like the rung above, but delta is packed into panels if that is faster; saves misses of the L2 cache, and loads
    across cache lines."""
    dW, db = np.empty(W.shape, W.dtype), np.empty(b.shape, b.dtype)
    shape = shape_of_a_part(X.T, delta, dW, loop_threads())
    for t in prange(number_of_parts(dW, shape)):
        plain_part(X.T, delta, dW, part_of(dW, shape, t))
    for k in prange(X.shape[1]):
        step(dW[k], lr, weight_decay, W[k])
    step_of_bias(delta, db, lr, weight_decay, b)


@part_of_kernels
def part_of_descend(X: Matrix, delta: Matrix, lr: float, keep: float, W: Matrix, b: Vector, part: Part) -> None:
    k0, k1, j0, j1 = part
    if keep != 1:
        for k in range(k0, k1):
            w = window(W, k * W.shape[1] + j0, j1 - j0)
            for j in range(w.size):
                w[j] = w[j] * keep
    product_of_part(X.T, delta, W, part, DESCENT, window(b, 0, 0), lr)
    if k0 == 0 and b.size > 0:
        for j in range(j0, j1, lanes(b)):
            old = masked_load(b, j, 1, j1 - j)
            masked_store(keep * old - lr * column_sums(delta, j, j1 - j), b, j, j1 - j)


@rung("descend", "fused")
def descend_fused(X: Matrix, delta: Matrix, lr: float, weight_decay: float, W: Matrix, b: Vector) -> None:
    """Like the rung above, but the tile subtracts its sums from W; saves writing and loading the gradient."""
    shape = shape_of_a_part(X.T, delta, W, loop_threads())
    keep = W.dtype.type(1) - lr * weight_decay
    for t in prange(number_of_parts(W, shape)):
        part_of_descend(X, delta, lr, keep, W, b, part_of(W, shape, t))
