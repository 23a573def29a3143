"""Dropout: in training, each number of a layer is left out with a given probability, anew in every step.

Whether one is left out is decided by a hash of its place, of the layer, of the step and of the seed. Nothing is drawn
one after the other and nothing is kept, so the pass back leaves out the same numbers as the pass forward, at any number
of threads, and a resumed run those of the run that was interrupted.
"""

import numpy as np
from numba import prange

from ..compiler.intrinsics import wide, window
from ..compiler.jit import part_of_kernels
from ..compiler.registry import baseline, operation, rung
from ..compiler.threads import PART, parts_of
from ..compiler.types import Matrix, Vector

WORD = 0xFFFFFFFF
"""The 32 bits that a hash has. It is calculated in 64, of which no product of two hashes' factors overflows."""


@part_of_kernels
def mixed(x: int) -> int:
    """Another number of 32 bits for each: a change of any bit changes about half of the others."""
    x = ((x ^ (x >> 16)) * 0x45D9F3B) & WORD
    x = ((x ^ (x >> 16)) * 0x45D9F3B) & WORD
    return x ^ (x >> 16)


@part_of_kernels
def key_of(clock: Vector, layer: int) -> int:
    """The hash of seed, step and layer."""
    key = mixed(clock[0] & WORD)
    key = mixed(key ^ (clock[0] >> 32))
    key = mixed(key ^ (clock[1] & WORD))
    return mixed(key ^ layer)  # type: ignore[no-any-return]


@operation("T[:,::1], int64, T, int64, int64[::1], T[:,::1]", flop=lambda X, *others: 16 * X.size)
def dropout(X: Matrix, threshold: int, scale: float, layer: int, clock: Vector, A: Matrix) -> None:
    """Numbers that are left out become 0; the others grow, so that the expected value stays what it was.

    Formula   A[i,j] = scale·X[i,j] if hash(seed, step, layer, i·n + j) < threshold, else 0, where threshold/2³² is the
              probability to stay and scale its inverse. Backward it is the same: ∂L/∂X from ∂L/∂A
    Shapes    X (m, n), threshold, scale and layer numbers, clock (2,): seed and step, A (m, n); rows contiguous
    Dtype     float32 or float64, scale included; the others int64
    Writes    A, which may be X
    Parallel  over i
    Cost      two hashes, some 16 operations, per number
    Errors    none here: inputs are validated by the caller
    Source    Srivastava et al., Dropout: A Simple Way to Prevent Neural Networks from Overfitting, 2014; inverted, so
              that prediction needs no factor. The hash: Mueller, an integer hash by multiplication and shifts
    """
    m, n = X.shape
    key = key_of(clock, layer)
    zero = X.dtype.type(0)
    for i in prange(m):
        for j in range(n):
            stays = mixed(key ^ mixed((i * n + j) & WORD)) < threshold
            A[i, j] = scale * X[i, j] if stays else zero


@part_of_kernels
def dropout_part(x: Vector, at: int, key: int, threshold: int, scale: float, a: Vector) -> None:
    wide(a)
    zero = x.dtype.type(0)
    for t in range(x.size):
        a[t] = scale * x[t] if mixed(key ^ mixed((at + t) & WORD)) < threshold else zero


@rung("dropout", "wide")
def dropout_wide(X: Matrix, threshold: int, scale: float, layer: int, clock: Vector, A: Matrix) -> None:
    """Like the rung above, but all rows are one long row, taken with the widest vectors."""
    key = key_of(clock, layer)
    for t in prange(parts_of(X.size)):
        at, size = t * PART, min(PART, X.size - t * PART)
        dropout_part(window(X, at, size), at, key, threshold, scale, window(A, at, size))


@baseline("dropout")
def dropout_numpy(X: Matrix, threshold: int, scale: float, layer: int, clock: Vector, A: Matrix) -> None:
    stays = mixed(key_of(clock, layer) ^ mixed(np.arange(X.size).reshape(X.shape))) < threshold
    A[...] = np.where(stays, scale * X, X.dtype.type(0))
