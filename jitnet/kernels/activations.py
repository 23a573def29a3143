"""The activations that work on each number alone, each beside its derivative, to be checked against it by eye.

Forward, A = f(Z). Backward, the chain rule through f: given dA = ∂L/∂A it writes delta = ∂L/∂Z = dA ⊙ f'(Z).
f' is always taken from A, which is at hand, and `delta` may be `dA` itself.

The rungs `polynomial` stand at the end: the same formulas with e^x from `exponential.py`, in loops that fill vectors.
"""

import math
from typing import Any

from numba import prange

from ..compiler.intrinsics import wide, window
from ..compiler.jit import linked, part_of_kernels
from ..compiler.registry import operation, rung
from ..compiler.threads import PART, parts_of, threads_pay
from ..compiler.types import Matrix, Vector
from .exponential import sigmoid_of, tanh_of

IDENTITY, SIGMOID, TANH, RELU = range(4)

CODES = {"identity": IDENTITY, "sigmoid": SIGMOID, "tanh": TANH, "relu": RELU}
"""The activations that work on each number alone, as the kernels in `dense.py` are told of them."""


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
