"""The activations, each beside its derivative, so that one can be checked against the other by eye.

Forward, A = f(Z). Backward, the chain rule through f: given dA = ∂L/∂A it writes delta = ∂L/∂Z. Where f works
on each number alone that is delta = dA ⊙ f'(Z); softmax mixes the units of a sample, so its backward does too.
f' is always taken from A, which is at hand, and `delta` may be `dA` itself.

The rungs `polynomial` stand at the end: the same formulas with e^x from `exponential.py`, in loops that fill vectors.
"""

import math
from typing import Any

from numba import prange

from .exponential import decay, sigmoid_of, tanh_of
from .jit import part_of_kernels
from .ladders import operation, rung
from .legend import Matrix, Vector
from .linking import linked
from .threads import PART, parts_of, threads_pay
from .vector import VECTOR_BYTES, lanes, stack_array, wide, window

IDENTITY, SIGMOID, TANH, RELU = range(4)

STRIP_BYTES = 4 * VECTOR_BYTES

NARROW_BYTES = 4096
"""Numbers of narrow rows that softmax takes at a time."""

CODES = {"identity": IDENTITY, "sigmoid": SIGMOID, "tanh": TANH, "relu": RELU}
"""The activations that work on each number alone, as the kernels in `layer.py` are told of them."""


@operation("T[:,::1], T[:,::1]")
def identity(Z: Matrix, A: Matrix) -> None:
    """No activation: the layer stays linear.

    Formula   A[i,j] = Z[i,j]
    Shapes    Z (m, n), A (m, n); rows contiguous
    Dtype     float32 or float64, all equal
    Writes    A, which may be Z
    Parallel  over i
    Cost      one read and one write per number
    Errors    none here: checks.py has spoken before
    Source    the definition
    """
    m, n = Z.shape
    for i in prange(m):
        for j in range(n):
            A[i, j] = Z[i, j]


@operation("T[:,::1], T[:,::1], T[:,::1]")
def identity_derivative(A: Matrix, dA: Matrix, delta: Matrix) -> None:
    """f' = 1, so delta = dA. Shapes (m, n) each; delta may be dA."""
    m, n = A.shape
    for i in prange(m):
        for j in range(n):
            delta[i, j] = dA[i, j]


@operation("T[:,::1], T[:,::1]")
def sigmoid(Z: Matrix, A: Matrix) -> None:
    """The logistic function, with range (0, 1).

    Formula   A = 1/(1 + e^{−Z}); for Z < 0 the same thing is e^Z/(1 + e^Z). Written with e^{−|Z|}, which never
              overflows, the denominator is the same for both signs
    Shapes    Z (m, n), A (m, n); rows contiguous
    Dtype     float32 or float64, all equal
    Writes    A, which may be Z
    Parallel  over i
    Cost      one exponential, one division per number
    Errors    none here: NaN stays NaN
    Source    https://en.wikipedia.org/wiki/Logistic_function
    """
    m, n = Z.shape
    one = Z.dtype.type(1)
    for i in prange(m):
        for j in range(n):
            z = Z[i, j]
            e = math.exp(-abs(z))
            A[i, j] = (one if z >= 0 else e) / (one + e)


@operation("T[:,::1], T[:,::1], T[:,::1]")
def sigmoid_derivative(A: Matrix, dA: Matrix, delta: Matrix) -> None:
    """f' = A(1 − A), so delta = dA ⊙ A(1 − A). Shapes (m, n) each; delta may be dA."""
    m, n = A.shape
    one = A.dtype.type(1)
    for i in prange(m):
        for j in range(n):
            a = A[i, j]
            delta[i, j] = dA[i, j] * (a * (one - a))


@operation("T[:,::1], T[:,::1]")
def tanh(Z: Matrix, A: Matrix) -> None:
    """The hyperbolic tangent, with range (−1, 1): a sigmoid stretched about the origin.

    Formula   A = (e^Z − e^{−Z})/(e^Z + e^{−Z})
    Shapes    Z (m, n), A (m, n); rows contiguous
    Dtype     float32 or float64, all equal
    Writes    A, which may be Z
    Parallel  over i
    Cost      one call of the mathematics library per number
    Errors    none here: NaN stays NaN
    Source    https://en.wikipedia.org/wiki/Hyperbolic_functions
    """
    m, n = Z.shape
    for i in prange(m):
        for j in range(n):
            A[i, j] = math.tanh(Z[i, j])


@operation("T[:,::1], T[:,::1], T[:,::1]")
def tanh_derivative(A: Matrix, dA: Matrix, delta: Matrix) -> None:
    """f' = 1 − A², so delta = dA ⊙ (1 − A²). Shapes (m, n) each; delta may be dA."""
    m, n = A.shape
    one = A.dtype.type(1)
    for i in prange(m):
        for j in range(n):
            a = A[i, j]
            delta[i, j] = dA[i, j] * (one - a * a)


@operation("T[:,::1], T[:,::1]")
def relu(Z: Matrix, A: Matrix) -> None:
    """The rectified linear unit: negative numbers become zero.

    Formula   A = max(Z, 0), asked as "is Z < 0?" so that NaN, of which nothing is true, stays NaN
    Shapes    Z (m, n), A (m, n); rows contiguous
    Dtype     float32 or float64, all equal
    Writes    A, which may be Z
    Parallel  over i
    Cost      one comparison per number
    Errors    none here: NaN stays NaN
    Source    Nair and Hinton, Rectified Linear Units Improve Restricted Boltzmann Machines, 2010
    """
    m, n = Z.shape
    zero = Z.dtype.type(0)
    for i in prange(m):
        for j in range(n):
            z = Z[i, j]
            A[i, j] = zero if z < zero else z


@operation("T[:,::1], T[:,::1], T[:,::1]")
def relu_derivative(A: Matrix, dA: Matrix, delta: Matrix) -> None:
    """f' = 1 where A > 0 and 0 elsewhere, the kink at 0 included. Shapes (m, n) each; delta may be dA."""
    m, n = A.shape
    zero = A.dtype.type(0)
    for i in prange(m):
        for j in range(n):
            delta[i, j] = dA[i, j] if A[i, j] > zero else zero


@operation("T[:,::1], T[:,::1]")
def softmax(Z: Matrix, A: Matrix) -> None:
    """Probabilities out of scores: positive, each row adding up to 1.

    Formula   A[i,j] = e^{Z[i,j] − c_i} / Σ_l e^{Z[i,l] − c_i} with c_i = max_l Z[i,l]; c cancels, and with it no
              exponential exceeds 1
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
def activated(f: int, z: Any) -> Any:
    """f(z) for one number."""
    if f == SIGMOID:
        return sigmoid_of(z)
    if f == TANH:
        return tanh_of(z)
    if f == RELU:
        return z - z if z < 0 else z
    return z


@linked
def activate(f: int, A: Matrix, i0: int, i1: int, j0: int, j1: int) -> None:
    """A[i0:i1, j0:j1] ← f of itself; asked once which f, and then loops that fill vectors."""
    wide(A)
    n, zero = A.shape[1], A.dtype.type(0)
    if j1 - j0 == n:  # whole rows are one long row
        i1, j1 = min(i0 + 1, i1), (i1 - i0) * n
    for i in range(i0, i1):
        a = window(A, i * n + j0, j1 - j0)
        if f == SIGMOID:
            for j in range(a.size):
                a[j] = sigmoid_of(a[j])
        elif f == TANH:
            for j in range(a.size):
                a[j] = tanh_of(a[j])
        elif f == RELU:
            for j in range(a.size):
                a[j] = zero if a[j] < zero else a[j]


@part_of_kernels
def slope(f: int, a: Any, one: Any) -> Any:
    """f'(z) for one number, from a = f(z); `one` has the dtype of a."""
    if f == SIGMOID:
        return a * (one - a)
    if f == TANH:
        return one - a * a
    if f == RELU and not a > 0:
        return one - one
    return one


@linked
def times_slope(f: int, A: Matrix, delta: Matrix, i0: int, i1: int, j0: int, j1: int) -> None:
    """delta[i0:i1, j0:j1] ← delta ⊙ f'(Z), with f' taken from A = f(Z)."""
    wide(A)
    n, zero, one = A.shape[1], A.dtype.type(0), A.dtype.type(1)
    if j1 - j0 == n:
        i1, j1 = min(i0 + 1, i1), (i1 - i0) * n
    for i in range(i0, i1):
        a, d = window(A, i * n + j0, j1 - j0), window(delta, i * n + j0, j1 - j0)
        if f == SIGMOID:
            for j in range(a.size):
                d[j] = d[j] * (a[j] * (one - a[j]))
        elif f == TANH:
            for j in range(a.size):
                d[j] = d[j] * (one - a[j] * a[j])
        elif f == RELU:
            for j in range(a.size):
                d[j] = d[j] if a[j] > zero else zero


@linked
def sigmoid_all(z: Vector, a: Vector) -> None:
    wide(z)
    for j in range(z.size):
        a[j] = sigmoid_of(z[j])


@rung("sigmoid", "polynomial")
def sigmoid_polynomial(Z: Matrix, A: Matrix) -> None:
    """Like the rung above, but e^x is a polynomial times a power of two; the loop fills vectors, no call is left."""
    if threads_pay(32 * Z.size):
        for t in prange(parts_of(Z.size)):
            size = min(PART, Z.size - t * PART)
            sigmoid_all(window(Z, t * PART, size), window(A, t * PART, size))
    else:
        sigmoid_all(window(Z, 0, Z.size), window(A, 0, Z.size))


@linked
def tanh_all(z: Vector, a: Vector) -> None:
    wide(z)
    for j in range(z.size):
        a[j] = tanh_of(z[j])


@rung("tanh", "polynomial")
def tanh_polynomial(Z: Matrix, A: Matrix) -> None:
    """Like the rung above, but e^x is a polynomial times a power of two; the loop fills vectors, no call is left."""
    if threads_pay(32 * Z.size):
        for t in prange(parts_of(Z.size)):
            size = min(PART, Z.size - t * PART)
            tanh_all(window(Z, t * PART, size), window(A, t * PART, size))
    else:
        tanh_all(window(Z, 0, Z.size), window(A, 0, Z.size))


@part_of_kernels
def difference(z: Any, c: Any) -> Any:
    """z − c, and what it lost to rounding."""
    x = z - c
    back = z - x  # c as it was taken off
    low = (z - (x + back)) + (back - c)
    return x, low if low == low else c - c  # an infinite difference lost nothing


@part_of_kernels
def exact_sum(a: Any, b: Any, lost: Any) -> Any:
    """a + b, and lost plus what that sum lost to rounding (Knuth's TwoSum)."""
    total = a + b
    b_seen = total - a
    return total, lost + ((a - (total - b_seen)) + (b - b_seen))


@linked
def softmax_of_row(z: Vector, a: Vector) -> None:
    """Softmax within 2 ULP: what z − c and the sum lose to rounding is kept and put back.

    The largest number and the sum are taken over strips of four vectors first: one variable cannot fill a vector, and
    a shorter strip is unrolled before it is vectorised.
    """
    wide(z)
    strip, n = 4 * lanes(z), z.size
    zero = z.dtype.type(0)
    whole = n - n % strip
    c, s, lost = z.dtype.type(-math.inf), zero, zero
    largest, total = stack_array(STRIP_BYTES, z), stack_array(STRIP_BYTES, z)
    total_lost = stack_array(STRIP_BYTES, z)
    if whole > 0:
        for l in range(strip):
            largest[l], total[l], total_lost[l] = z[l], zero, zero
        for j in range(strip, whole, strip):
            x = window(z, j, strip)
            for l in range(strip):
                largest[l] = x[l] if x[l] > largest[l] else largest[l]
        half = strip // 2
        while half > 0:  # the upper half of the strip onto the lower, until one number is left
            for l in range(half):
                largest[l] = largest[half + l] if largest[half + l] > largest[l] else largest[l]
            half //= 2
        c = largest[0]
    for j in range(whole, n):
        c = z[j] if z[j] > c else c
    for j in range(n):
        x, low = difference(z[j], c)
        a[j] = decay(x, low)
    if whole > 0:
        for j in range(0, whole, strip):
            e = window(a, j, strip)
            for l in range(strip):
                total[l], total_lost[l] = exact_sum(total[l], e[l], total_lost[l])
        half = strip // 2
        while half > 0:
            for l in range(half):
                total[l], total_lost[l] = exact_sum(total[l], total[half + l], total_lost[l] + total_lost[half + l])
            half //= 2
        s, lost = total[0], total_lost[0]
    for j in range(whole, n):
        s, lost = exact_sum(s, a[j], lost)
    divide(a, s, lost)


@part_of_kernels
def divide(a: Vector, s: Any, lost: Any) -> None:
    """a ← a/(s + lost), and what the division leaves over is divided once more."""
    total = s + lost
    lost -= total - s
    inverse = a.dtype.type(1) / total
    for j in range(a.size):
        y = a[j] * inverse
        a[j] = y + ((a[j] - y * total) - y * lost) * inverse


@linked
def softmax_of_narrow_rows(z: Vector, a: Vector, n: int) -> None:
    """The same for rows of n numbers, too few to fill a strip: the exponentials of all rows go through one loop."""
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
    """Like the rung above, but e^x is a polynomial times a power of two; maximum and sum go by vectors."""
    m, n = Z.shape
    rows = NARROW_BYTES // Z.itemsize // max(n, 1) if n < 4 * lanes(Z) else 1
    if threads_pay(40 * Z.size):
        for t in prange((m + rows - 1) // rows):
            softmax_of_rows(Z, A, t * rows, min(rows, m - t * rows))
    else:
        for t in range((m + rows - 1) // rows):
            softmax_of_rows(Z, A, t * rows, min(rows, m - t * rows))
