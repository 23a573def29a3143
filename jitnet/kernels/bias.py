"""The bias, forward and back: one number per unit is added to every sample, so its gradient sums over samples."""

from numba import prange

from .ladders import operation, rung
from .legend import Matrix, Vector


@operation("T[::1], T[:,::1]")
def add_bias(b: Vector, Z: Matrix) -> None:
    """Shift every sample by the bias.

    Formula   Z[i,j] ← Z[i,j] + b[j]
    Shapes    b (n_out,), Z (m, n_out); rows contiguous
    Dtype     float32 or float64, all equal
    Writes    Z, in place
    Parallel  over i
    Cost      m·n_out FLOP
    Errors    none here: checks.py has spoken before
    Source    the second half of Z = X·W + b
    """
    m, n_out = Z.shape
    for i in prange(m):
        for j in range(n_out):
            Z[i, j] += b[j]


@operation("T[:,::1], T[::1]")
def column_sums(delta: Matrix, db: Vector) -> None:
    """Gradient of the loss by the bias.

    Formula   db[j] = Σ_i delta[i,j]
    Shapes    delta (m, n_out), db (n_out,); rows contiguous
    Dtype     float32 or float64, all equal
    Writes    db, which must not overlap delta
    Parallel  over j, never over the sum, so that any number of threads gives the same bits
    Cost      m·n_out FLOP
    Errors    none here: checks.py has spoken before
    Source    the chain rule with ∂Z[i,j]/∂b[j] = 1
    """
    m, n_out = delta.shape
    for j in prange(n_out):
        total = db.dtype.type(0)
        for i in range(m):
            total += delta[i, j]
        db[j] = total


@rung("column_sums", "reordered")
def column_sums_reordered(delta: Matrix, db: Vector) -> None:
    """Like the rung above, but i outside j, in strips of 64 columns; the inner loop walks along rows."""
    m, n_out = delta.shape
    for strip in prange((n_out + 63) // 64):
        first = 64 * strip
        sums = db[first : min(first + 64, n_out)]
        for j in range(sums.size):
            sums[j] = db.dtype.type(0)
        for i in range(m):
            d = delta[i, first : first + sums.size]
            for j in range(sums.size):
                sums[j] += d[j]
