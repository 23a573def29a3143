"""Mini-batches: rows picked out of the data in shuffled order."""

from numba import prange

from .ladders import operation
from .legend import Matrix, Vector


@operation("T[:,::1], int64[::1], T[:,::1]")
def gather(data: Matrix, rows: Vector, batch: Matrix) -> None:
    """Copy the chosen samples next to each other.

    Formula   batch[i,j] = data[rows[i],j]
    Shapes    data (n, n_in), rows (m,) with numbers from 0 to n − 1, batch (m, n_in); rows contiguous
    Dtype     float32 or float64; rows int64
    Writes    batch, which must not overlap an input
    Parallel  over i
    Cost      one read and one write per number
    Errors    none here: the caller makes `rows` itself
    Source    the definition
    """
    m, n = batch.shape
    for i in prange(m):
        source = data[rows[i]]
        target = batch[i]
        for j in range(n):
            target[j] = source[j]
