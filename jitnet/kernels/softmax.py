"""Softmax, which depends on all units of a sample, next to its derivative.

Forward, A = f(Z). Backward, the chain rule through f: given dA = ∂L/∂A it writes delta = ∂L/∂Z, which may be `dA`
itself. The rung `polynomial` is at the end: the same formula with e^x from `exponential.py`.
"""

import math
from typing import Any

import numpy as np
from numba import prange

from ..compiler.intrinsics import VECTOR_BYTES, lanes, stack_array, wide, window
from ..compiler.jit import linked, part_of_kernels
from ..compiler.registry import operation, rung
from ..compiler.types import Matrix, Vector
from .elementwise import ACTIVATIONS, Activation
from .exponential import decay

BLOCK_BYTES = 4 * VECTOR_BYTES

NARROW_BYTES = 4096
"""How many numbers of narrow rows softmax processes at a time."""


@operation("T[:,::1], T[:,::1]", flop=lambda Z, A: 40 * Z.size)
def softmax(Z: Matrix, A: Matrix) -> None:
    """Probabilities from scores: positive, and each row adds up to 1.

    Formula   A[i,j] = e^{Z[i,j] − c_i} / Σ_l e^{Z[i,l] − c_i} with c_i = max_l Z[i,l]; c cancels out, and keeps every
              exponential at most 1
    Shapes    Z (m, n), A (m, n); rows contiguous
    Dtype     float32 or float64, all equal
    Writes    A, which may be Z
    Parallel  over i
    Cost      one exponential, one division per number
    Errors    none here: a NaN makes its row NaN
    Source    https://en.wikipedia.org/wiki/Softmax_function
    """
    m, n = Z.shape
    for i in prange(m):
        largest = Z.dtype.type(-math.inf)
        for j in range(n):
            if Z[i, j] > largest:
                largest = Z[i, j]
        total = Z.dtype.type(0)
        for j in range(n):
            A[i, j] = math.exp(Z[i, j] - largest)
            total += A[i, j]
        for j in range(n):
            A[i, j] /= total


@operation("T[:,::1], T[:,::1], T[:,::1]")
def softmax_derivative(A: Matrix, dA: Matrix, delta: Matrix) -> None:
    """∂A[j]/∂Z[l] = A[j](1{j=l} − A[l]), so delta[j] = A[j](dA[j] − Σ_l dA[l]·A[l]). Shapes (m, n); delta may be dA."""
    m, n = A.shape
    for i in prange(m):
        mean = A.dtype.type(0)  # of dA, weighted with the probabilities
        for l in range(n):
            mean += dA[i, l] * A[i, l]
        for j in range(n):
            delta[i, j] = A[i, j] * (dA[i, j] - mean)


@part_of_kernels
def largest_of(z: Vector) -> Any:
    """The maximum, first per lane over blocks of four SIMD vectors: a scalar variable would not be vectorized, and a
    loop over a shorter block is unrolled before it is vectorized."""
    block, n = 4 * lanes(z), z.size
    whole = n - n % block
    c, largest = z.dtype.type(-math.inf), stack_array(BLOCK_BYTES, z)
    if whole > 0:
        for l in range(block):
            largest[l] = z[l]
        for j in range(block, whole, block):
            x = window(z, j, block)
            for l in range(block):
                largest[l] = x[l] if x[l] > largest[l] else largest[l]
        half = block // 2
        while half > 0:  # combine the upper half of the block with the lower, until one number is left
            for l in range(half):
                largest[l] = largest[half + l] if largest[half + l] > largest[l] else largest[l]
            half //= 2
        c = largest[0]
    for j in range(whole, n):
        c = z[j] if z[j] > c else c
    return c


@part_of_kernels
def sum_of(e: Vector) -> Any:
    """The sum, first per lane, as in `largest_of`."""
    block, n = 4 * lanes(e), e.size
    whole = n - n % block
    s, total = e.dtype.type(0), stack_array(BLOCK_BYTES, e)
    if whole > 0:
        for l in range(block):
            total[l] = e[l]
        for j in range(block, whole, block):
            x = window(e, j, block)
            for l in range(block):
                total[l] += x[l]
        half = block // 2
        while half > 0:
            for l in range(half):
                total[l] += total[half + l]
            half //= 2
        s = total[0]
    for j in range(whole, n):
        s += e[j]
    return s


@rung("softmax", "lanes")
def softmax_lanes(Z: Matrix, A: Matrix) -> None:
    """Like the rung above, but maximum and sum are computed per SIMD lane; saves a chain of dependent additions."""
    m, n = Z.shape
    wide(Z)
    for i in prange(m):
        z, a = window(Z, i * n, n), window(A, i * n, n)
        c = largest_of(z)
        for j in range(n):
            a[j] = math.exp(z[j] - c)
        total = sum_of(a)
        for j in range(n):
            a[j] /= total


@part_of_kernels
def difference(z: Any, c: Any) -> Any:
    """z − c, and its rounding error."""
    x = z - c
    back = z - x  # c as it was subtracted
    low = (z - (x + back)) + (back - c)
    return x, low if low == low else c - c  # an infinite difference has no rounding error


@part_of_kernels
def exact_sum(a: Any, b: Any, lost: Any) -> Any:
    """a + b, and lost plus the rounding error of that sum (Knuth's TwoSum)."""
    total = a + b
    b_seen = total - a
    return total, lost + ((a - (total - b_seen)) + (b - b_seen))


@part_of_kernels
def exact_sum_of(e: Vector) -> Any:
    """The sum and its rounding error, first per lane, as in `largest_of`."""
    block, n = 4 * lanes(e), e.size
    zero = e.dtype.type(0)
    whole = n - n % block
    s, lost = zero, zero
    total, total_lost = stack_array(BLOCK_BYTES, e), stack_array(BLOCK_BYTES, e)
    if whole > 0:
        for l in range(block):
            total[l], total_lost[l] = zero, zero
        for j in range(0, whole, block):
            x = window(e, j, block)
            for l in range(block):
                total[l], total_lost[l] = exact_sum(total[l], x[l], total_lost[l])
        half = block // 2
        while half > 0:
            for l in range(half):
                total[l], total_lost[l] = exact_sum(total[l], total[half + l], total_lost[l] + total_lost[half + l])
            half //= 2
        s, lost = total[0], total_lost[0]
    for j in range(whole, n):
        s, lost = exact_sum(s, e[j], lost)
    return s, lost


@part_of_kernels
def divide(a: Vector, s: Any, lost: Any) -> None:
    """a ← a/(s + lost), with a correction by the remainder of the division."""
    total = s + lost
    lost -= total - s
    inverse = a.dtype.type(1) / total
    for j in range(a.size):
        y = a[j] * inverse
        a[j] = y + ((a[j] - y * total) - y * lost) * inverse


@rung("softmax", "compensated")
def softmax_compensated(Z: Matrix, A: Matrix) -> None:
    """Like the rung above, but with the rounding errors of z − c, sum and division; saves digits in wide rows."""
    m, n = Z.shape
    wide(Z)
    for i in prange(m):
        z, a = window(Z, i * n, n), window(A, i * n, n)
        c = largest_of(z)
        for j in range(n):
            x, low = difference(z[j], c)
            e = Z.dtype.type(math.exp(x))
            a[j] = e + e * low  # e^(x + low), since low is small
        s, lost = exact_sum_of(a)
        divide(a, s, lost)


@linked
def softmax_of_row(z: Vector, a: Vector) -> None:
    """Softmax within 2 ULP."""
    wide(z)
    c = largest_of(z)
    for j in range(z.size):
        x, low = difference(z[j], c)
        a[j] = decay(x, low)
    s, lost = exact_sum_of(a)
    divide(a, s, lost)


@linked
def softmax_of_narrow_rows(z: Vector, a: Vector, n: int) -> None:
    """The same for rows of n numbers, shorter than a block: one loop computes the exponentials of all rows."""
    wide(z)
    low, zero = stack_array(NARROW_BYTES, z), z.dtype.type(0)
    for start in range(0, z.size, max(n, 1)):
        row, target, rest = window(z, start, n), window(a, start, n), window(low, start, n)
        c = z.dtype.type(-math.inf)
        for j in range(n):
            c = row[j] if row[j] > c else c
        for j in range(n):
            target[j], rest[j] = difference(row[j], c)
    for j in range(z.size):
        a[j] = decay(a[j], low[j])
    for start in range(0, z.size, max(n, 1)):
        target = window(a, start, n)
        s, lost = zero, zero
        for j in range(n):
            s, lost = exact_sum(s, target[j], lost)
        divide(target, s, lost)


@part_of_kernels
def softmax_of_rows(Z: Matrix, A: Matrix, i: int, rows: int) -> None:
    n = Z.shape[1]
    z, a = window(Z, i * n, rows * n), window(A, i * n, rows * n)
    if rows > 1:
        softmax_of_narrow_rows(z, a, n)
    else:
        softmax_of_row(z, a)


@rung("softmax", "polynomial")
def softmax_polynomial(Z: Matrix, A: Matrix) -> None:
    """Like the rung above, but e^x is a polynomial times a power of two; saves a call for each number."""
    m, n = Z.shape
    rows = NARROW_BYTES // Z.itemsize // max(n, 1) if n < 4 * lanes(Z) else 1
    for t in prange((m + rows - 1) // rows):
        softmax_of_rows(Z, A, t * rows, min(rows, m - t * rows))


def jacobian(a: Vector) -> Any:
    """∂a[j]/∂z[l] = a[j](1{j=l} − a[l]) for one sample, from a = softmax(z)."""
    return np.diag(a) - np.outer(a, a)


ACTIVATIONS["softmax"] = Activation("softmax", softmax, jacobian=jacobian)
