"""The formulas of a layer, each as one kernel: what follows a product is done while its result is still in the cache.

    layer        A     = f(X·W + b)
    delta        delta = (delta_next·W_nextᵀ) ⊙ f'(Z)
    gradients    dW    = Xᵀ·delta,    db = Σ_rows delta
    descend      W     ← W − lr·Xᵀ·delta,    b ← b − lr·Σ_rows delta: gradients and update in one

f is one of the activations that work on each number alone, by its number in `activation.CODES`. b and db may be
empty: then the layer has no bias. A backend trains with these; the bare products stand in `matmul.py`.
"""

from typing import Any

from numba import prange

from ..compiler.intrinsics import lanes, window
from ..compiler.jit import part_of_kernels
from ..compiler.registry import operation, rung
from ..compiler.simd import broadcast, masked_load, masked_store
from ..compiler.threads import threads_pay
from ..compiler.types import Matrix, Vector
from .activations import IDENTITY, activate, activated, slope, times_slope
from .register_tile import number_of_parts, part_of, product, shape_of_a_part


@operation("T[:,::1], T[:,::1], T[::1], int64, T[:,::1]", flop=lambda X, W, b, f, A: 2 * X.size * W.shape[1])
def layer(X: Matrix, W: Matrix, b: Vector, f: int, A: Matrix) -> None:
    """A layer forward.

    Formula   A[i,j] = f(b[j] + Σ_k X[i,k]·W[k,j])
    Shapes    X (m, n_in), W (n_in, n_out), b (n_out,) or (0,), f a number, A (m, n_out); rows contiguous
    Dtype     float32 or float64, all equal
    Writes    A, which must not overlap an input
    Parallel  over i
    Cost      2·m·n_in·n_out FLOP, and f for m·n_out numbers
    Errors    none here: checks.py has spoken before
    Source    the first of the four formulas
    """
    m, n_in = X.shape
    n_out = W.shape[1]
    for i in prange(m):
        for j in range(n_out):
            total = b[j] if b.size > 0 else A.dtype.type(0)
            for k in range(n_in):
                total += X[i, k] * W[k, j]
            A[i, j] = activated(f, total)


@part_of_kernels
def part_of_layer(X: Matrix, W: Matrix, b: Vector, f: int, A: Matrix, shape: tuple[int, int], t: int) -> None:
    i0, i1, j0, j1 = part_of(A, shape, t)
    product(X, W, False, b, A.dtype.type(0), A, i0, i1, j0, j1)
    if f != IDENTITY:
        activate(f, A, i0, i1, j0, j1)


@rung("layer", "tile")
def layer_tile(X: Matrix, W: Matrix, b: Vector, f: int, A: Matrix) -> None:
    """Like the rung above, but with the register tile, whose sums begin with b, and f by polynomials."""
    flop = 2 * X.size * W.shape[1]
    shape = shape_of_a_part(A, flop)
    strided = X[:, ::1]
    if threads_pay(flop):
        for t in prange(number_of_parts(A, shape)):
            part_of_layer(strided, W, b, f, A, shape, t)
    else:
        for t in range(number_of_parts(A, shape)):
            part_of_layer(strided, W, b, f, A, shape, t)


@operation(
    "T[:,::1], T[:,::1], T[:,::1], int64, T[:,::1]",
    flop=lambda delta_next, W_next, *rest: 2 * delta_next.shape[0] * W_next.size,
)
def delta(delta_next: Matrix, W_next: Matrix, A: Matrix, f: int, delta: Matrix) -> None:
    """delta one layer back.

    Formula   delta[i,k] = f'(Z[i,k]) · Σ_j delta_next[i,j]·W_next[k,j], with f' taken from A = f(Z)
    Shapes    delta_next (m, n_next), W_next (n, n_next), A (m, n), f a number, delta (m, n); rows contiguous
    Dtype     float32 or float64, all equal
    Writes    delta, which must not overlap an input
    Parallel  over i
    Cost      2·m·n·n_next FLOP
    Errors    none here: checks.py has spoken before
    Source    the third of the four formulas, the chain rule through the next layer and through f
    """
    m, n_next = delta_next.shape
    n = W_next.shape[0]
    one = delta.dtype.type(1)
    for i in prange(m):
        for k in range(n):
            total = delta.dtype.type(0)
            for j in range(n_next):
                total += delta_next[i, j] * W_next[k, j]
            delta[i, k] = total * slope(f, A[i, k], one)


@part_of_kernels
def part_of_delta(
    delta_next: Matrix, W_next: Matrix, A: Matrix, f: int, delta: Matrix, shape: tuple[int, int], t: int
) -> None:
    i0, i1, j0, j1 = part_of(delta, shape, t)
    product(delta_next, W_next, True, window(A, 0, 0), delta.dtype.type(0), delta, i0, i1, j0, j1)
    if f != IDENTITY:
        times_slope(f, A, delta, i0, i1, j0, j1)


@rung("delta", "tile")
def delta_tile(delta_next: Matrix, W_next: Matrix, A: Matrix, f: int, delta: Matrix) -> None:
    """Like the rung above, but with the register tile; W_nextᵀ is laid out panel by panel, turned over in registers."""
    flop = 2 * delta_next.shape[0] * W_next.size
    shape = shape_of_a_part(delta, flop)
    strided = delta_next[:, ::1]
    if threads_pay(flop):
        for t in prange(number_of_parts(delta, shape)):
            part_of_delta(strided, W_next, A, f, delta, shape, t)
    else:
        for t in range(number_of_parts(delta, shape)):
            part_of_delta(strided, W_next, A, f, delta, shape, t)


@operation("T[:,::1], T[:,::1], T[:,::1], T[::1]", flop=lambda X, delta, *rest: 2 * X.size * delta.shape[1])
def gradients(X: Matrix, delta: Matrix, dW: Matrix, db: Vector) -> None:
    """Gradients of the loss by a layer's parameters.

    Formula   dW[k,j] = Σ_i X[i,k]·delta[i,j],    db[j] = Σ_i delta[i,j]
    Shapes    X (m, n_in), delta (m, n_out), dW (n_in, n_out), db (n_out,) or (0,); rows contiguous
    Dtype     float32 or float64, all equal
    Writes    dW and db, which must not overlap an input
    Parallel  over k, and over j for db; never over the sum, so that any number of threads gives the same bits
    Cost      2·m·n_in·n_out + m·n_out FLOP
    Errors    none here: checks.py has spoken before
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
def column_sums(delta: Matrix, j: int, count: int) -> Any:
    """Σ_rows delta[:, j : j+count], a strip."""
    total = broadcast(delta.dtype.type(0), delta, 1)
    for i in range(delta.shape[0]):
        total = total + masked_load(delta, i * delta.shape[1] + j, 1, count)
    return total


@part_of_kernels
def part_of_gradients(Xt: Matrix, delta: Matrix, dW: Matrix, db: Vector, shape: tuple[int, int], t: int) -> None:
    k0, k1, j0, j1 = part_of(dW, shape, t)
    product(Xt, delta, False, window(db, 0, 0), dW.dtype.type(0), dW, k0, k1, j0, j1)
    if k0 == 0 and db.size > 0:
        for j in range(j0, j1, lanes(db)):
            masked_store(column_sums(delta, j, j1 - j), db, j, j1 - j)


@rung("gradients", "tile")
def gradients_tile(X: Matrix, delta: Matrix, dW: Matrix, db: Vector) -> None:
    """Like the rung above, but with the register tile, which reads X by columns as it is; db is summed by rows."""
    flop = 2 * X.size * delta.shape[1]
    shape = shape_of_a_part(dW, flop)
    strided = X.T[:, ::1]
    if threads_pay(flop):
        for t in prange(number_of_parts(dW, shape)):
            part_of_gradients(strided, delta, dW, db, shape, t)
    else:
        for t in range(number_of_parts(dW, shape)):
            part_of_gradients(strided, delta, dW, db, shape, t)


@operation("T[:,::1], T[:,::1], T, T, T[:,::1], T[::1]", flop=lambda X, delta, *rest: 2 * X.size * delta.shape[1])
def descend(X: Matrix, delta: Matrix, lr: float, weight_decay: float, W: Matrix, b: Vector) -> None:
    """A step of gradient descent for a layer; its gradients, `gradients` above, are never written to memory.

    Formula   W[k,j] ← W[k,j] − lr·(Σ_i X[i,k]·delta[i,j] + weight_decay·W[k,j])
              b[j] ← b[j] − lr·(Σ_i delta[i,j] + weight_decay·b[j])
    Shapes    X (m, n_in), delta (m, n_out), W (n_in, n_out), b (n_out,) or (0,); rows contiguous
    Dtype     float32 or float64, all equal, numbers included; lr is not 0
    Writes    W and b, in place, which must not overlap an input
    Parallel  over k, and over j for b; never over the sum, so that any number of threads gives the same bits
    Cost      2·m·n_in·n_out + m·n_out FLOP
    Errors    none here: checks.py has spoken before
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
def part_of_descend(
    Xt: Matrix, delta: Matrix, lr: float, keep: float, W: Matrix, b: Vector, shape: tuple[int, int], t: int
) -> None:
    k0, k1, j0, j1 = part_of(W, shape, t)
    if keep != 1:
        for k in range(k0, k1):
            w = window(W, k * W.shape[1] + j0, j1 - j0)
            for j in range(w.size):
                w[j] = w[j] * keep
    product(Xt, delta, False, window(b, 0, 0), lr, W, k0, k1, j0, j1)
    if k0 == 0 and b.size > 0:
        for j in range(j0, j1, lanes(b)):
            old = masked_load(b, j, 1, j1 - j)
            masked_store(keep * old - lr * column_sums(delta, j, j1 - j), b, j, j1 - j)


@rung("descend", "tile")
def descend_tile(X: Matrix, delta: Matrix, lr: float, weight_decay: float, W: Matrix, b: Vector) -> None:
    """Like the rung above, but with the register tile, which subtracts its sums from W on its way out."""
    flop = 2 * X.size * delta.shape[1]
    shape = shape_of_a_part(W, flop)
    keep = W.dtype.type(1) - lr * weight_decay
    strided = X.T[:, ::1]
    if threads_pay(flop):
        for t in prange(number_of_parts(W, shape)):
            part_of_descend(strided, delta, lr, keep, W, b, shape, t)
    else:
        for t in range(number_of_parts(W, shape)):
            part_of_descend(strided, delta, lr, keep, W, b, shape, t)
