"""Dropout: in training, each number of a layer is set to 0 with a given probability, independently in every step.

A hash of the index, the layer, the step and the seed decides. There is no sequential random generator and no stored
mask, so the backward pass drops the same numbers as the forward pass, with any number of threads, and a resumed run
drops the same numbers as an uninterrupted one.
"""

from typing import Any

import numpy as np
from numba import prange

from ..compiler.intrinsics import wide, window
from ..compiler.jit import part_of_kernels
from ..compiler.registry import baseline, operation, rung
from ..compiler.threads import PART, parts_of
from ..compiler.types import Matrix, Vector

WORD = 0xFFFFFFFF
"""Mask of the 32 bits of a hash, which is computed in 64-bit integers without overflow."""


@part_of_kernels
def mixed(x: int) -> int:
    """A bijective hash of 32 bits: a change of any bit changes about half of the others."""
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
    """Dropped numbers become 0; the others are scaled, so that the expected value is unchanged.

    Formula   A[i,j] = scale·X[i,j] if hash(seed, step, layer, i·n + j) < threshold, else 0, where threshold/2³² is the
              probability to stay and scale its inverse. The backward pass is the same: ∂L/∂X from ∂L/∂A
    Shapes    X (m, n), threshold, scale and layer numbers, clock (2,): seed and step, A (m, n); rows contiguous
    Dtype     float32 or float64, scale included; the others int64
    Writes    A, which may be X
    Parallel  over i
    Cost      two hashes, about 16 operations, per number
    Errors    none: inputs are validated by the caller
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
    """Like the rung above, but over all rows as one vector, with the widest SIMD vectors; saves the edges of rows."""
    key = key_of(clock, layer)
    for t in prange(parts_of(X.size)):
        at, size = t * PART, min(PART, X.size - t * PART)
        dropout_part(window(X, at, size), at, key, threshold, scale, window(A, at, size))


def mixed_numpy(x: Any) -> Any:
    """The same hash for an array of uint32, whose products keep their lowest 32 bits."""
    for _ in range(2):
        x = (x ^ (x >> 16)) * np.uint32(0x45D9F3B)
    return x ^ (x >> 16)


@baseline("dropout")
def dropout_numpy(X: Matrix, threshold: int, scale: float, layer: int, clock: Vector, A: Matrix) -> None:
    key = np.zeros(1, np.uint32)
    for word in (clock[0] & WORD, clock[0] >> 32, clock[1] & WORD, layer):
        key = mixed_numpy(key ^ np.uint32(word))
    stays = mixed_numpy(key ^ mixed_numpy(np.arange(X.size, dtype=np.uint32))) < threshold
    A[...] = np.where(stays.reshape(X.shape), scale * X, X.dtype.type(0))
