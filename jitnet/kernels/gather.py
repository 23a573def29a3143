"""Mini-batches: rows of the data in shuffled order."""

from numba import prange

from ..compiler.intrinsics import lanes
from ..compiler.jit import part_of_kernels
from ..compiler.registry import operation, rung
from ..compiler.simd import load, masked_load, masked_store, prefetch, store
from ..compiler.types import Matrix, Vector

VECTORS = 4
"""Registers that are copied at a time."""

AHEAD = 4
"""Prefetch distance in rows."""


@operation(
    "T[:,::1], T[:,::1], int64[::1], int64, T[:,::1], T[:,::1]",
    flop=lambda X, Y, order, start, X_batch, Y_batch: 4 * X_batch.size,
)
def gather(X: Matrix, Y: Matrix, order: Vector, start: int, X_batch: Matrix, Y_batch: Matrix) -> None:
    """Copy the samples of a batch into contiguous memory.

    Formula   X_batch[i,k] = X[order[start + i],k], Y_batch[i,j] = Y[order[start + i],j]
    Shapes    X (n, n_in), Y (n, n_out), order (n,) with numbers from 0 to n − 1, X_batch (m, n_in), Y_batch
              (m, n_out); rows contiguous
    Dtype     float32 or float64; order int64
    Writes    X_batch and Y_batch, which must not overlap an input
    Parallel  over i
    Cost      one read and one write per number
    Errors    none here: the caller creates `order`
    Source    the definition
    """
    m, n_in = X_batch.shape
    n_out = Y_batch.shape[1]
    for i in prange(m):
        x, y = X[order[start + i]], Y[order[start + i]]
        x_target, y_target = X_batch[i], Y_batch[i]
        for k in range(n_in):
            x_target[k] = x[k]
        for j in range(n_out):
            y_target[j] = y[j]


@part_of_kernels
def copy_row(source: Matrix, order: Vector, at: int, target: Matrix, i: int) -> None:
    """target[i] = source[order[at]], with a prefetch of source[order[at + AHEAD]]."""
    n = source.shape[1]
    whole = n - n % (VECTORS * lanes(source))
    here, there = order[at] * n, i * n
    next_one = order[min(at + AHEAD, order.size - 1)] * n
    for k in range(0, whole, VECTORS * lanes(source)):
        prefetch(source, next_one + k, VECTORS)
        store(load(source, here + k, VECTORS), target, there + k)
    if whole < n:
        prefetch(source, next_one + whole, VECTORS)
        masked_store(masked_load(source, here + whole, VECTORS, n - whole), target, there + whole, n - whole)


@rung("gather", "ahead")
def gather_ahead(X: Matrix, Y: Matrix, order: Vector, start: int, X_batch: Matrix, Y_batch: Matrix) -> None:
    """Like the rung above, but prefetches rows; saves waiting for memory at the start of each row."""
    m = X_batch.shape[0]
    for i in prange(m):
        copy_row(X, order, start + i, X_batch, i)
        copy_row(Y, order, start + i, Y_batch, i)
