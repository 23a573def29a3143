"""The elementwise activations, each next to its derivative.

Forward, A = f(Z). Backward, the chain rule through f: given dA = ∂L/∂A it writes delta = ∂L/∂Z = dA ⊙ f'(Z), and
`delta` may be `dA` itself. The loops of sigmoid are written out here. `elementwise.py` creates the same loops for the
other f and f', and the rung `polynomial` with the functions of `exponential.py`.
"""

import math
from typing import Any, Literal

from numba import prange

from ..compiler.intrinsics import wide, window
from ..compiler.jit import linked, part_of_kernels
from ..compiler.registry import operation
from ..compiler.scalar import where
from ..compiler.types import Matrix
from .elementwise import ACTIVATIONS, FUSED, activation, log1p
from .exponential import sigmoid_of, tanh_of

ActivationName = Literal[
    "sigmoid", "tanh", "relu", "identity", "gelu", "silu", "leaky_relu", "softplus", "softmax"
]  # fmt: skip
"""The names for type checkers."""

__all__ = [
    "ACTIVATIONS", "CODES", "IDENTITY", "ActivationName", "activate", "activated", "multiply_by_derivative",
    "times_derivative",
]  # fmt: skip


@operation("T[:,::1], T[:,::1]", flop=lambda Z, A: 32 * Z.size)
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


@activation("sigmoid", fast=sigmoid_of)
def logistic(z: float) -> float:
    """1/(1 + e^{−z}), with range (0, 1)."""
    e = math.exp(-abs(z))
    return where(z >= 0, 1, e) / (1 + e)


@logistic.derivative
def _(a: float) -> float:
    return a * (1 - a)


@activation("tanh", fast=tanh_of)
def tanh(z: float) -> float:
    """The hyperbolic tangent, with range (−1, 1): a stretched sigmoid around the origin."""
    return math.tanh(z)


@tanh.derivative
def _(a: float) -> float:
    return 1 - a * a


@operation("T[:,::1], T[:,::1], T[:,::1]")
def relu_derivative(A: Matrix, dA: Matrix, delta: Matrix) -> None:
    """f' = 1 where A > 0, else 0. Shapes (m, n) each; delta may be dA.

    A condition instead of a product, so that delta is 0 where f' is 0: dA·0 would be NaN for an infinite dA, and −0 for
    a negative one.
    """
    m, n = A.shape
    zero = A.dtype.type(0)
    for i in prange(m):
        for j in range(n):
            delta[i, j] = dA[i, j] if A[i, j] > zero else zero


@activation("relu")
def relu(z: float) -> float:
    """max(z, 0), with the test z < 0, so that NaN stays NaN: every comparison with it is false.

    Nair and Hinton, Rectified Linear Units Improve Restricted Boltzmann Machines, 2010
    """
    return where(z < 0, 0, z)


@relu.derivative
def _(a: float) -> float:  # 0 at the kink
    return where(a > 0, 1, 0)


@activation("identity")
def identity(z: float) -> float:
    """No activation: the layer is linear."""
    return z


@identity.derivative
def _(a: float) -> float:
    return 1


GELU_SCALE, GELU_CUBIC = math.sqrt(2 / math.pi), 0.044715


@activation("gelu")
def gelu(z: float) -> float:
    """z·Φ(z) with Φ, the normal distribution, approximated by a sigmoid: PyTorch's F.gelu(z, approximate="tanh").

    Hendrycks and Gimpel, Gaussian Error Linear Units, 2016
    """
    return z * logistic(2 * GELU_SCALE * (z + GELU_CUBIC * (z * z * z)))


@gelu.derivative
def _(z: float) -> float:
    s = logistic(2 * GELU_SCALE * (z + GELU_CUBIC * (z * z * z)))
    return s + z * s * (1 - s) * (2 * GELU_SCALE * (1 + 3 * GELU_CUBIC * (z * z)))


@activation("silu")
def silu(z: float) -> float:
    """z times its sigmoid, also called swish.

    Elfwing, Uchibe and Doya, Sigmoid-Weighted Linear Units for Neural Network Function Approximation, 2017
    """
    return z * logistic(z)


@silu.derivative
def _(z: float) -> float:
    s = logistic(z)
    return s * (1 + z * (1 - s))


@activation("leaky_relu")
def leaky_relu(z: float) -> float:
    """z, or z/100 below 0, so that every unit has a gradient.

    Maas, Hannun and Ng, Rectifier Nonlinearities Improve Neural Network Acoustic Models, 2013
    """
    return where(z > 0, z, 0.01 * z)


@leaky_relu.derivative
def _(a: float) -> float:  # a has the sign of z
    return where(a > 0, 1, 0.01)


@activation("softplus")
def softplus(z: float) -> float:
    """log(1 + e^z), a relu without a kink; written with e^{−|z|}, which never overflows.

    Dugas et al., Incorporating Second-Order Functional Knowledge for Better Option Pricing, 2001
    """
    return max(z, 0) + log1p(math.exp(-abs(z)))


@softplus.derivative
def _(z: float) -> float:
    return logistic(z)


IDENTITY, SIGMOID, TANH, RELU = range(4)

CODES = dict(zip(FUSED, (IDENTITY, SIGMOID, TANH, RELU), strict=True))
"""Fused activation -> its number in `dense.py`."""


@part_of_kernels
def activated(f: int, z: Any, zero: Any) -> Any:
    """f(z) for one number; `zero` has its dtype."""
    if f == SIGMOID:
        return sigmoid_of(z)
    if f == TANH:
        return tanh_of(z)
    if f == RELU and z < zero:
        return zero
    return z


@linked
def activate(f: int, A: Matrix, i0: int, i1: int, j0: int, j1: int) -> None:
    """A[i0:i1, j0:j1] ← f of itself; one branch on f, then vectorized loops."""
    wide(A)
    n, zero = A.shape[1], A.dtype.type(0)
    if j1 - j0 == n:  # whole rows are contiguous
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
def times_derivative(d: Any, f: int, a: Any, one: Any) -> Any:
    """d·f'(z) for one number, with f' taken from a = f(z); `one` has the dtype of a."""
    if f == SIGMOID:
        return d * (a * (one - a))
    if f == TANH:
        return d * (one - a * a)
    if f == RELU and not a > 0:
        return one - one
    return d


@linked
def multiply_by_derivative(f: int, A: Matrix, delta: Matrix, i0: int, i1: int, j0: int, j1: int) -> None:
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
