"""Weights of samples: turns delta of a mean into delta of a weighted mean."""

import numpy as np
from numba import prange

from ..compiler.registry import baseline, operation
from ..compiler.types import Matrix, Vector


@operation("T[::1], T[:,::1], T[:,::1]")
def weigh(w: Vector, delta: Matrix, weighted: Matrix) -> None:
    """The derivative of Σ w[i]·losses[i] / Σ w[i], from that of the mean of the losses.

    Formula   weighted[i,j] = delta[i,j]·w[i]·m / Σ_l w[l], or 0 if that sum is 0
    Shapes    w (m,), delta (m, n_out), weighted (m, n_out); rows contiguous
    Dtype     float32 or float64, all equal
    Writes    weighted, which may be delta
    Parallel  over i
    Cost      1 FLOP per number
    Errors    none: inputs are validated by the caller
    Source    the definition of a weighted mean
    """
    m, n_out = delta.shape
    total = w.dtype.type(0)
    for i in range(m):
        total += w[i]
    factor = w.dtype.type(m) / total if total > 0 else w.dtype.type(0)
    for i in prange(m):
        for j in range(n_out):
            weighted[i, j] = delta[i, j] * (w[i] * factor)


@baseline("weigh")
def weigh_numpy(w: Vector, delta: Matrix, weighted: Matrix) -> None:
    total = w.sum()
    factor = w.dtype.type(w.size) / total if total > 0 else w.dtype.type(0)
    np.multiply(delta, (w * factor)[:, None], out=weighted)
