"""Softmax, which depends on all units of a sample, next to its derivative.

Forward, A = f(Z). Backward, the chain rule through f: given dA = ∂L/∂A it writes delta = ∂L/∂Z, which may be `dA`
itself. The rung `polynomial` is at the end: the same formula with e^x from `exponential.py`.

Maximum and sum are computed per SIMD lane (`compiler/simd.py`). Combining the lanes of one row is slow, because each
step waits for the one before; several short rows are therefore processed together, so that their waits overlap.
"""

import math
from typing import Any

import numpy as np
from numba import prange

from ..compiler.intrinsics import VECTOR_BYTES, lanes, stack_array, wide, window
from ..compiler.jit import linked, part_of_kernels
from ..compiler.registry import operation, rung
from ..compiler.simd import broadcast, first, larger, load, masked_load, store, swapped
from ..compiler.types import Matrix, Vector
from .elementwise import ACTIVATIONS, Activation
from .exponential import decay

PART_BYTES = 4096
"""Short rows are processed together, up to this many bytes."""

SCRATCH_BYTES = PART_BYTES + VECTOR_BYTES
"""One number per element, and space for the vector that `fill` may write past the last one."""


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
        mean = A.dtype.type(0)  # of dA, weighted by the probabilities
        for l in range(n):
            mean += dA[i, l] * A[i, l]
        for j in range(n):
            delta[i, j] = A[i, j] * (dA[i, j] - mean)


@part_of_kernels
def over_lanes(step: Any, value: Any, size: int) -> Any:
    """All lanes combined, in every lane: step(value, k) combines each lane with the one k away, for k = 8, 4, 2, 1."""
    if size > 8:
        value = step(value, 8)
    if size > 4:
        value = step(value, 4)
    if size > 2:
        value = step(value, 2)
    return step(value, 1)


@part_of_kernels
def larger_step(simd: Any, k: int) -> Any:
    return larger(simd, swapped(simd, k))


@part_of_kernels
def sum_step(simd: Any, k: int) -> Any:
    return simd + swapped(simd, k)


@part_of_kernels
def largest_of(z: Vector) -> Any:
    """The maximum, first per lane: a scalar variable would not be vectorized."""
    n, size = z.size, lanes(z)
    c = z.dtype.type(-math.inf)
    if n < size:
        for j in range(n):
            c = z[j] if z[j] > c else c
        return c
    largest = broadcast(c, z, 1)
    for j in range(0, n - size, size):
        largest = larger(largest, load(z, j, 1))
    largest = larger(largest, load(z, n - size, 1))  # overlaps the vector before, which changes no maximum
    return first(over_lanes(larger_step, largest, size))


@part_of_kernels
def sum_of(e: Vector) -> Any:
    """The sum, first per lane, as in `largest_of`."""
    size = lanes(e)
    total = broadcast(e.dtype.type(0), e, 1)
    for j in range(0, e.size, size):
        total = total + masked_load(e, j, 1, e.size - j)
    return first(over_lanes(sum_step, total, size))


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
    """z − c, and its rounding error, which is NaN if the difference is infinite."""
    x = z - c
    back = z - x  # c as it was subtracted
    return x, (z - (x + back)) + (back - c)


@part_of_kernels
def two_sum(a: Any, b: Any, lost: Any) -> Any:
    """a + b, and lost plus the rounding error of that sum: Knuth's TwoSum."""
    total = a + b
    b_seen = total - a
    return total, lost + ((a - (total - b_seen)) + (b - b_seen))


@part_of_kernels
def fast_two_sum(a: Any, b: Any, lost: Any) -> Any:
    """The same for |a| ≥ |b|, with fewer operations: Dekker's Fast2Sum."""
    total = a + b
    return total, lost + (b - (total - a))


@part_of_kernels
def two_sum_step(sums: Any, k: int) -> Any:
    total, lost = sums
    return two_sum(total, swapped(total, k), lost + swapped(lost, k))


@part_of_kernels
def compensated_sum_of(e: Vector) -> Any:
    """The sum of numbers in [0, 1] and its rounding error, first per lane, as in `largest_of`.

    The sum of each lane begins with 1, so no number added to it is larger; the 1s are subtracted at the end.
    """
    size = lanes(e)
    whole = e.size - e.size % size
    total, lost = broadcast(e.dtype.type(1), e, 1), broadcast(e.dtype.type(0), e, 1)
    for j in range(0, whole, size):
        total, lost = fast_two_sum(total, load(e, j, 1), lost)
    total, lost = fast_two_sum(total, masked_load(e, whole, 1, e.size - whole), lost)
    total, lost = over_lanes(two_sum_step, (total, lost), size)
    return two_sum(first(total), e.dtype.type(-size), first(lost))


@part_of_kernels
def inverse_of(s: Any, lost: Any, one: Any) -> Any:
    """1/(s + lost), and its rounding error."""
    total = s + lost
    inverse = one / total
    return inverse, ((one - inverse * total) - inverse * (lost - (total - s))) * inverse


@part_of_kernels
def divide(a: Vector, s: Any, lost: Any) -> None:
    """a ← a/(s + lost)."""
    inverse, low = inverse_of(s, lost, a.dtype.type(1))
    for j in range(a.size):
        a[j] = a[j] * inverse + a[j] * low


@rung("softmax", "compensated")
def softmax_compensated(Z: Matrix, A: Matrix) -> None:
    """Like the rung above, but with the rounding errors of z − c, sum and division; saves the digits that wide rows
    would lose."""
    m, n = Z.shape
    wide(Z)
    for i in prange(m):
        z, a = window(Z, i * n, n), window(A, i * n, n)
        c = largest_of(z)
        for j in range(n):
            x, low = difference(z[j], c)
            e = Z.dtype.type(math.exp(x))
            a[j] = e + e * low if low == low else e  # e^(x + low) for a small low; where low is NaN, e is right
        s, lost = compensated_sum_of(a)
        divide(a, s, lost)


@linked
def softmax_of_row(z: Vector, a: Vector) -> None:
    """Softmax of one row; the largest measured error is below 2 ULP."""
    wide(z)
    c = largest_of(z)
    for j in range(z.size):
        x, low = difference(z[j], c)
        a[j] = decay(x, low)
    s, lost = compensated_sum_of(a)
    divide(a, s, lost)


@part_of_kernels
def fill(x: Vector, start: int, n: int, value: Any) -> None:
    """x[start:start + n] ← value, and up to lanes − 1 numbers after them, which the next row overwrites."""
    for j in range(start, start + n, lanes(x)):
        store(broadcast(value, x, 1), x, j)


@linked
def softmax_of_short_rows(z: Vector, a: Vector, n: int) -> None:
    """The same for several rows of n numbers; the elementwise loops run over all of them at once."""
    wide(z)
    one = z.dtype.type(1)
    largest, inverse, low = stack_array(SCRATCH_BYTES, z), stack_array(SCRATCH_BYTES, z), stack_array(SCRATCH_BYTES, z)
    for start in range(0, z.size, max(n, 1)):
        fill(largest, start, n, largest_of(window(z, start, n)))
    for j in range(z.size):
        x, rounding = difference(z[j], largest[j])
        a[j] = decay(x, rounding)
    for start in range(0, z.size, max(n, 1)):
        s, lost = compensated_sum_of(window(a, start, n))
        of_row, of_row_low = inverse_of(s, lost, one)
        fill(inverse, start, n, of_row)
        fill(low, start, n, of_row_low)
    for j in range(z.size):
        a[j] = a[j] * inverse[j] + a[j] * low[j]


@part_of_kernels
def softmax_of_rows(Z: Matrix, A: Matrix, i: int, rows: int) -> None:
    n = Z.shape[1]
    z, a = window(Z, i * n, rows * n), window(A, i * n, rows * n)
    if rows > 1:
        softmax_of_short_rows(z, a, n)
    else:
        softmax_of_row(z, a)


@rung("softmax", "polynomial")
def softmax_polynomial(Z: Matrix, A: Matrix) -> None:
    """Like the rung above, but e^x is a polynomial times a power of two; saves a call for each number."""
    m, n = Z.shape
    rows = max(1, PART_BYTES // Z.itemsize // max(n, 1))
    for t in prange((m + rows - 1) // rows):
        softmax_of_rows(Z, A, t * rows, min(rows, m - t * rows))


def jacobian(a: Vector) -> Any:
    """∂a[j]/∂z[l] = a[j](1{j=l} − a[l]) for one sample, from a = softmax(z)."""
    return np.diag(a) - np.outer(a, a)


ACTIVATIONS["softmax"] = Activation("softmax", softmax, jacobian=jacobian)
