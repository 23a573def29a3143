"""Gradient clipping: a gradient that is longer than a limit is shortened to it, and keeps its direction.

The squares are added up in a fixed number of parts, so that the sum has the same bits with any number of threads.
"""

import math

import numpy as np
from numba import prange

from ..compiler.intrinsics import window
from ..compiler.registry import baseline, operation, rung
from ..compiler.types import Vector

LANES = 8
"""Sums that the fast rung computes at a time."""


@operation("T[::1], T[::1]")
def squares(grad: Vector, sums: Vector) -> None:
    """The squared length of a vector, in parts.

    Formula   sums[t] = Σ grad[i]² over part t of len(sums) equal parts
    Shapes    grad (n,), sums (parts,)
    Dtype     float32 or float64, all equal; the sums are added up in float64
    Writes    sums
    Parallel  over t
    Cost      2 FLOP per number
    Errors    none
    Source    the Euclidean norm
    """
    n, parts = grad.size, sums.size
    for t in prange(parts):
        part = grad[t * n // parts : (t + 1) * n // parts]
        total = 0.0
        for i in range(part.size):
            total += float(part[i]) * float(part[i])
        sums[t] = total


@rung("squares", "lanes")
def squares_in_lanes(grad: Vector, sums: Vector) -> None:
    """Like the rung above, but with eight sums at a time; saves a chain of waiting additions."""
    n, parts = grad.size, sums.size
    for t in prange(parts):
        start, stop = t * n // parts, (t + 1) * n // parts
        g = window(grad, start, stop - start)
        whole = g.size - g.size % LANES
        s0, s1, s2, s3, s4, s5, s6, s7 = 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0
        for i in range(0, whole, LANES):
            s0 += float(g[i]) * float(g[i])
            s1 += float(g[i + 1]) * float(g[i + 1])
            s2 += float(g[i + 2]) * float(g[i + 2])
            s3 += float(g[i + 3]) * float(g[i + 3])
            s4 += float(g[i + 4]) * float(g[i + 4])
            s5 += float(g[i + 5]) * float(g[i + 5])
            s6 += float(g[i + 6]) * float(g[i + 6])
            s7 += float(g[i + 7]) * float(g[i + 7])
        for i in range(whole, g.size):
            s0 += float(g[i]) * float(g[i])
        sums[t] = ((s0 + s4) + (s1 + s5)) + ((s2 + s6) + (s3 + s7))


@baseline("squares")
def squares_numpy(grad: Vector, sums: Vector) -> None:
    n, parts = grad.size, sums.size
    for t in range(parts):
        part = grad[t * n // parts : (t + 1) * n // parts].astype(np.float64)
        sums[t] = part @ part


@operation("T[::1], T, T[::1], T[::1]")
def shrink(sums: Vector, limit: float, grad: Vector, clipped: Vector) -> None:
    """Shorten a vector, unless it is short enough.

    Formula   clipped[i] = grad[i]·min(1, limit / √Σ_t sums[t])
    Shapes    sums (parts,), limit a number, grad (n,), clipped (n,)
    Dtype     float32 or float64, all equal, limit included; the sum is added up in float64
    Writes    clipped, which may be grad
    Parallel  over i
    Cost      1 FLOP per number
    Errors    none here: with a NaN in sums, nothing is changed, and the caller sees a gradient with NaN
    Source    Pascanu et al., On the difficulty of training recurrent neural networks, 2013
    """
    total = 0.0
    for t in range(sums.size):
        total += float(sums[t])
    length = math.sqrt(total)
    factor = grad.dtype.type(limit / length if length > limit else 1.0)
    for i in prange(grad.size):
        clipped[i] = factor * grad[i]


@baseline("shrink")
def shrink_numpy(sums: Vector, limit: float, grad: Vector, clipped: Vector) -> None:
    length = math.sqrt(sums.astype(np.float64).sum())
    np.multiply(grad, grad.dtype.type(limit / length if length > limit else 1), out=clipped)
