"""The activations, each beside its derivative, so that one can be checked against the other by eye.

Forward, A = f(Z). Backward, the chain rule through f: given dA = ∂L/∂A it writes delta = ∂L/∂Z. Where f works
on each number alone that is delta = dA ⊙ f'(Z); softmax mixes the units of a sample, so its backward does too.
f' is always taken from A, which is at hand, and `delta` may be `dA` itself.
"""

import math

from numba import prange

from .ladders import operation
from .legend import Matrix


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
