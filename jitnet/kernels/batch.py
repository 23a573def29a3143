"""Mini-batches: rows picked out of the data in shuffled order."""

from numba import prange

from .ladders import operation
from .legend import Matrix, Vector


@operation("T[:,::1], T[:,::1], int64[::1], int64, T[:,::1], T[:,::1]")
def gather(X: Matrix, Y: Matrix, order: Vector, start: int, X_batch: Matrix, Y_batch: Matrix) -> None:
    """Copy the samples of a batch next to each other.

    Formula   X_batch[i,k] = X[order[start + i],k], Y_batch[i,j] = Y[order[start + i],j]
    Shapes    X (n, n_in), Y (n, n_out), order (n,) with numbers from 0 to n − 1, X_batch (m, n_in), Y_batch
              (m, n_out); rows contiguous
    Dtype     float32 or float64; order int64
    Writes    X_batch and Y_batch, which must not overlap an input
    Parallel  over i
    Cost      one read and one write per number
    Errors    none here: the caller makes `order` itself
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
