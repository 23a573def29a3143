"""A layer, forward and backward: a product, followed by f or f' of each number.

    layer        A     = f(X·W + b)
    delta        delta = (delta_next·W_nextᵀ) ⊙ f'(Z)

f is the number of an elementwise activation in `activations.CODES`. Without a bias, b is empty. A backend trains with
these and with `gradients.py`.

The rungs are those of the products, with the same helpers (`matmul.py`). Up to `packed`, b and f follow in a separate
pass. The top rung, `fused`, applies them while the product is in registers and caches.
"""

import numpy as np
from numba import prange

from ..compiler.jit import part_of_kernels
from ..compiler.registry import operation, rung
from ..compiler.threads import loop_threads
from ..compiler.types import Matrix, Vector
from .activations import IDENTITY, activate, activated, multiply_by_derivative, times_derivative
from .matmul import four_dots, four_rows, four_sums, one_row, transpose
from .parts import Part, number_of_parts, part_of, plain_part, product_of_part, shape_of_a_part
from .register_tile import PLAIN, ROWS, WITH_BIAS, edge, row_of_tiles


@operation("T[:,::1], T[:,::1], T[::1], int64, T[:,::1]", flop=lambda X, W, b, f, A: 2 * X.size * W.shape[1])
def layer(X: Matrix, W: Matrix, b: Vector, f: int, A: Matrix) -> None:
    """A layer forward.

    Formula   A[i,j] = f(b[j] + Σ_k X[i,k]·W[k,j])
    Shapes    X (m, n_in), W (n_in, n_out), b (n_out,) or (0,), f a number, A (m, n_out); rows contiguous
    Dtype     float32 or float64, all equal
    Writes    A, which must not overlap an input
    Parallel  over i
    Cost      2·m·n_in·n_out FLOP, and f for m·n_out numbers
    Errors    none: inputs are validated by the caller
    Source    the first of the four formulas
    """
    m, n_in = X.shape
    n_out = W.shape[1]
    zero = A.dtype.type(0)
    for i in prange(m):
        for j in range(n_out):
            total = b[j] if b.size > 0 else zero
            for k in range(n_in):
                total += X[i, k] * W[k, j]
            A[i, j] = activated(f, total, zero)


@part_of_kernels
def bias_and_activation(b: Vector, f: int, A: Matrix) -> None:
    """A ← f(A + b), in a separate pass over A."""
    for i in range(A.shape[0]):
        a = A[i]
        for j in range(b.size):
            a[j] += b[j]
    activate(f, A, 0, A.shape[0], 0, A.shape[1])


@rung("layer", "unrolled")
def layer_unrolled(X: Matrix, W: Matrix, b: Vector, f: int, A: Matrix) -> None:
    """Like the rung above, but four sums at a time, then b and f; saves three of four waits, and strided loads of W."""
    for i in prange(X.shape[0]):
        four_sums(X, W, A, i)
    bias_and_activation(b, f, A)


@rung("layer", "reordered")
def layer_reordered(X: Matrix, W: Matrix, b: Vector, f: int, A: Matrix) -> None:
    """Like the rung above, but with a whole row of sums instead of four, k outside j; saves the strided loads: the
    loop along rows is vectorized."""
    for i in prange(X.shape[0]):
        one_row(X, W, A, i)
    bias_and_activation(b, f, A)


@rung("layer", "blocked")
def layer_blocked(X: Matrix, W: Matrix, b: Vector, f: int, A: Matrix) -> None:
    """Like the rung above, but in blocks of four rows by four k; saves three of four loads of W and A."""
    for block in prange((X.shape[0] + 3) // 4):
        four_rows(X, W, A, 4 * block)
    bias_and_activation(b, f, A)


@rung("layer", "tiled")
def layer_tiled(X: Matrix, W: Matrix, b: Vector, f: int, A: Matrix) -> None:
    """Like the rung above, but a tile of sums stays in registers for all of k; saves loading and storing them."""
    for block in prange(X.shape[0] // ROWS):
        row_of_tiles(X, W, A, ROWS * block)
    for i in prange(X.shape[0]):
        edge(X, W, A, i)
    bias_and_activation(b, f, A)


@rung("layer", "packed")
def layer_packed(X: Matrix, W: Matrix, b: Vector, f: int, A: Matrix) -> None:
    """Like the rung above, but W is packed into panels if that is faster; saves misses of the L2 cache, and loads
    across cache lines."""
    shape = shape_of_a_part(X, W, A, loop_threads())
    for t in prange(number_of_parts(A, shape)):
        plain_part(X, W, A, part_of(A, shape, t))
    bias_and_activation(b, f, A)


@part_of_kernels
def fused_part(X: Matrix, W: Matrix, b: Vector, f: int, A: Matrix, part: Part) -> None:
    """A[i0:i1, j0:j1] = f(X·W + b) there."""
    i0, i1, j0, j1 = part
    product_of_part(X, W, A, part, WITH_BIAS if b.size > 0 else PLAIN, b, A.dtype.type(0))
    if f != IDENTITY:
        activate(f, A, i0, i1, j0, j1)


@rung("layer", "fused")
def layer_fused(X: Matrix, W: Matrix, b: Vector, f: int, A: Matrix) -> None:
    """Like the rung above, but the sums start with b, and f is applied to each part at once; saves loading A again."""
    shape = shape_of_a_part(X, W, A, loop_threads())
    for t in prange(number_of_parts(A, shape)):
        fused_part(X, W, b, f, A, part_of(A, shape, t))


@operation(
    "T[:,::1], T[:,::1], T[:,::1], int64, T[:,::1]",
    flop=lambda delta_next, W_next, *rest: 2 * delta_next.shape[0] * W_next.size,
)
def delta(delta_next: Matrix, W_next: Matrix, A: Matrix, f: int, delta: Matrix) -> None:
    """delta of the previous layer.

    Formula   delta[i,k] = f'(Z[i,k]) · Σ_j delta_next[i,j]·W_next[k,j], with f' taken from A = f(Z)
    Shapes    delta_next (m, n_next), W_next (n, n_next), A (m, n), f a number, delta (m, n); rows contiguous
    Dtype     float32 or float64, all equal
    Writes    delta, which must not overlap an input
    Parallel  over i
    Cost      2·m·n·n_next FLOP
    Errors    none: inputs are validated by the caller
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
            delta[i, k] = times_derivative(total, f, A[i, k], one)


@rung("delta", "unrolled")
def delta_unrolled(delta_next: Matrix, W_next: Matrix, A: Matrix, f: int, delta: Matrix) -> None:
    """Like the rung above, but four sums at a time, f' after them; saves three of four waits."""
    for i in prange(delta.shape[0]):
        four_dots(delta_next, W_next, delta, i)
    multiply_by_derivative(f, A, delta, 0, delta.shape[0], 0, delta.shape[1])


@rung("delta", "reordered", allocates=True)
def delta_reordered(delta_next: Matrix, W_next: Matrix, A: Matrix, f: int, delta: Matrix) -> None:
    """Like the rung above, but with a whole row of sums instead of four: W_nextᵀ is copied once, and its rows are read
    as vectors; saves loads of single numbers."""
    Wt = np.empty((W_next.shape[1], W_next.shape[0]), W_next.dtype)
    for j in prange(W_next.shape[1]):
        transpose(W_next, Wt, j)
    for i in prange(delta.shape[0]):
        one_row(delta_next, Wt, delta, i)
    multiply_by_derivative(f, A, delta, 0, delta.shape[0], 0, delta.shape[1])


@rung("delta", "blocked", allocates=True)
def delta_blocked(delta_next: Matrix, W_next: Matrix, A: Matrix, f: int, delta: Matrix) -> None:
    """Like the rung above, but in blocks of four rows by four j; saves three of four loads of both."""
    Wt = np.empty((W_next.shape[1], W_next.shape[0]), W_next.dtype)
    for j in prange(W_next.shape[1]):
        transpose(W_next, Wt, j)
    for block in prange((delta.shape[0] + 3) // 4):
        four_rows(delta_next, Wt, delta, 4 * block)
    multiply_by_derivative(f, A, delta, 0, delta.shape[0], 0, delta.shape[1])


@rung("delta", "tiled", allocates=True)
def delta_tiled(delta_next: Matrix, W_next: Matrix, A: Matrix, f: int, delta: Matrix) -> None:
    """Like the rung above, but a tile of sums stays in registers for all of j; saves loading and storing them."""
    Wt = np.empty((W_next.shape[1], W_next.shape[0]), W_next.dtype)
    for j in prange(W_next.shape[1]):
        transpose(W_next, Wt, j)
    for block in prange(delta.shape[0] // ROWS):
        row_of_tiles(delta_next, Wt, delta, ROWS * block)
    for i in prange(delta.shape[0]):
        edge(delta_next, Wt, delta, i)
    multiply_by_derivative(f, A, delta, 0, delta.shape[0], 0, delta.shape[1])


@rung("delta", "packed")
def delta_packed(delta_next: Matrix, W_next: Matrix, A: Matrix, f: int, delta: Matrix) -> None:
    """Like the rung above, but W_next is transposed by panels, in registers; saves copying all of W_nextᵀ."""
    shape = shape_of_a_part(delta_next, W_next.T, delta, loop_threads())
    for t in prange(number_of_parts(delta, shape)):
        plain_part(delta_next, W_next.T, delta, part_of(delta, shape, t))
    multiply_by_derivative(f, A, delta, 0, delta.shape[0], 0, delta.shape[1])


@rung("delta", "fused")
def delta_fused(delta_next: Matrix, W_next: Matrix, A: Matrix, f: int, delta: Matrix) -> None:
    """Like the rung above, but f' is applied to each part at once; saves loading delta again."""
    shape = shape_of_a_part(delta_next, W_next.T, delta, loop_threads())
    for t in prange(number_of_parts(delta, shape)):
        i0, i1, j0, j1 = part = part_of(delta, shape, t)
        plain_part(delta_next, W_next.T, delta, part)
        if f != IDENTITY:
            multiply_by_derivative(f, A, delta, i0, i1, j0, j1)
