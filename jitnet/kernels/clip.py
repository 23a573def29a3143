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
    Dtype     float32 or float64, all equal
    Writes    sums
    Parallel  over t
    Cost      2 FLOP per number
    Errors    none
    Source    the Euclidean norm
    """
    n, parts = grad.size, sums.size
    for t in prange(parts):
        part = grad[t * n // parts : (t + 1) * n // parts]
        total = grad.dtype.type(0)
        for i in range(part.size):
            total += part[i] * part[i]
        sums[t] = total


@rung("squares", "lanes")
def squares_in_lanes(grad: Vector, sums: Vector) -> None:
    """Like the rung above, but with eight sums at a time; saves a chain of dependent additions."""
    n, parts = grad.size, sums.size
    for t in prange(parts):
        start, stop = t * n // parts, (t + 1) * n // parts
        g = window(grad, start, stop - start)
        whole = g.size - g.size % LANES
        zero = grad.dtype.type(0)
        s0, s1, s2, s3, s4, s5, s6, s7 = zero, zero, zero, zero, zero, zero, zero, zero
        for i in range(0, whole, LANES):
            s0 += g[i] * g[i]
            s1 += g[i + 1] * g[i + 1]
            s2 += g[i + 2] * g[i + 2]
            s3 += g[i + 3] * g[i + 3]
            s4 += g[i + 4] * g[i + 4]
            s5 += g[i + 5] * g[i + 5]
            s6 += g[i + 6] * g[i + 6]
            s7 += g[i + 7] * g[i + 7]
        for i in range(whole, g.size):
            s0 += g[i] * g[i]
        sums[t] = ((s0 + s4) + (s1 + s5)) + ((s2 + s6) + (s3 + s7))


@baseline("squares")
def squares_numpy(grad: Vector, sums: Vector) -> None:
    n, parts = grad.size, sums.size
    for t in range(parts):
        part = grad[t * n // parts : (t + 1) * n // parts]
        sums[t] = part @ part


@operation("T[::1], T, T[::1], T[::1]")
def shrink(sums: Vector, limit: float, grad: Vector, clipped: Vector) -> None:
    """Shorten a vector, unless it is short enough.

    Formula   clipped[i] = grad[i]·min(1, limit / √Σ_t sums[t])
    Shapes    sums (parts,), limit a number, grad (n,), clipped (n,)
    Dtype     float32 or float64, all equal, limit included
    Writes    clipped, which may be grad
    Parallel  over i
    Cost      1 FLOP per number
    Errors    none here: with a NaN in sums, nothing is changed, and the caller sees a gradient with NaN
    Source    Pascanu et al., On the difficulty of training recurrent neural networks, 2013
    """
    one = grad.dtype.type(1)
    total = grad.dtype.type(0)
    for t in range(sums.size):
        total += sums[t]
    length = grad.dtype.type(math.sqrt(total))
    factor = limit / length if length > limit else one
    for i in prange(grad.size):
        clipped[i] = factor * grad[i]


@baseline("shrink")
def shrink_numpy(sums: Vector, limit: float, grad: Vector, clipped: Vector) -> None:
    length = grad.dtype.type(math.sqrt(sums.sum()))
    np.multiply(grad, limit / length if length > limit else grad.dtype.type(1), out=clipped)
