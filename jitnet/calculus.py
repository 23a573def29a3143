"""Derivatives computed in slower, independent ways, for study and for tests: full Jacobians and finite differences.

One sample x (n,), one layer: z = xᵀW + b, a = f(z), and a loss that is a sum over the outputs, L = Σ_j ℓ_j:

    loss                    ℓ_j
    mse                     (1/z)(a_j − y_j)², with z the number of outputs
    half_squared_error      ½(a_j − y_j)²
    cross_entropy           −y_j log a_j
    binary_cross_entropy    −y_j log a_j − (1 − y_j) log(1 − a_j)
    others                  (1/z) ℓ(a_j, y_j), in kernels/losses.py

The Jacobian contains the derivative of every ℓ_j with respect to every parameter. Its sum over j is the gradient, which
backpropagation computes as one outer product, dW = x·deltaᵀ, without the Jacobian.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from . import checks, losses
from .arrays import expect_finite, numeric
from .kernels.activations import ACTIVATIONS, ActivationName
from .kernels.elementwise import Activation
from .losses import Loss, LossName

Array = NDArray[np.float64]


def bias_jacobian(
    x: ArrayLike,
    W: ArrayLike,
    b: ArrayLike,
    y: ArrayLike,
    activation: ActivationName | Activation = "identity",
    loss: LossName | Loss = "mse",
) -> Array:
    """Derivative of each output's share of the loss with respect to each bias.

    Formula   J[i,j] = ∂ℓ_j/∂b_i = ∂ℓ_j/∂a_j · ∂a_j/∂z_i; Σ_j J[i,j] = db[i]
              after softmax, cross_entropy has y_j(a_i − 1{i=j}); after sigmoid, binary_cross_entropy (a_j − y_j)1{i=j}
    Shapes    x (n,), W (n, z), b (z,), y (z,) -> J (z, z); diagonal unless f is softmax
    Dtype     computed in float64
    Errors    ValueError for shapes that do not fit, unknown names, and numbers that are not finite or too large
    Source    the chain rule, written out
    """
    x, W, b, y = _layer(x, W, b, y)
    name = checks.name_of("activation", activation, ACTIVATIONS) if isinstance(activation, Activation) else activation
    f = checks.one_of("activation", name, ACTIVATIONS, can_define=True)
    which = losses.get(loss, f)
    with np.errstate(all="ignore"):  # overflow is reported below
        a, da_dz = _activation(x @ W + b, f)
        if which.jacobian:
            J = which.jacobian(a, y)
        else:
            by_a = np.array([which.f_prime(*pair) for pair in zip(a, y, strict=True)])
            J = da_dz * (by_a / len(y) if which.averages_outputs else by_a)  # column j times ∂ℓ_j/∂a_j
    return _finite(J)


def weight_jacobian(
    x: ArrayLike,
    W: ArrayLike,
    b: ArrayLike,
    y: ArrayLike,
    activation: ActivationName | Activation = "identity",
    loss: LossName | Loss = "mse",
) -> Array:
    """Derivative of each output's share of the loss with respect to each weight.

    Formula   J[k,i,j] = ∂ℓ_j/∂W[k,i] = x_k · ∂ℓ_j/∂b_i; Σ_j J[k,i,j] = dW[k,i]
    Shapes    x (n,), W (n, z), b (z,), y (z,) -> J (n, z, z)
    Dtype     computed in float64
    Errors    ValueError for shapes that do not fit, unknown names, and numbers that are not finite or too large
    Source    z_i = Σ_k x_k·W[k,i] + b_i, so ∂z_i/∂W[k,i] = x_k
    """
    J = bias_jacobian(x, W, b, y, activation, loss)
    with np.errstate(all="ignore"):
        return _finite(np.asarray(x, np.float64)[:, None, None] * J)


def numerical_gradient(function: Callable[[Any], float], theta: NDArray[np.float64], h: float = 1e-4) -> Array:
    """Gradient of a function by central differences, one element of theta at a time.

    Formula   g_i = (f(θ−2h e_i) − 8 f(θ−h e_i) + 8 f(θ+h e_i) − f(θ+2h e_i)) / 12h, with an error of order h⁴
    Shapes    theta of any shape -> g of the same shape
    Dtype     theta float64; in float32 rounding would dominate the differences
    Writes    theta, and restores every element exactly, so that theta can be `net.theta` itself
    Cost      4 calls per number
    Errors    ValueError if theta is not float64 or is read-only, or the function is not a finite number there
    Source    Fornberg, Generation of finite difference formulas on arbitrarily spaced grids, 1988

    >>> import jitnet, numpy as np
    >>> jitnet.calculus.numerical_gradient(lambda theta: (theta**2).sum(), np.array([1.0, 3.0])).round(6)
    array([2., 6.])
    """
    if not isinstance(theta, np.ndarray) or theta.dtype != np.float64:
        raise checks.Error("theta must be a float64 array, as in Network(..., dtype='float64').theta")
    if not theta.flags.writeable:
        raise checks.Error("theta is read-only, but its elements must change for the differences; write theta.copy()")
    if not callable(function):
        raise checks.Error(f"function is {checks.shown(function)}, but must be a function of theta")
    checks.number("h", h, above=0)
    gradient = np.zeros(theta.shape)
    for i in np.ndindex(theta.shape):
        gradient[i] = _central_difference(function, theta, i, h)
    return gradient


def _central_difference(
    function: Callable[[Any], float], theta: NDArray[np.float64], i: tuple[int, ...], h: float
) -> float:
    """The derivative with respect to theta[i], which is restored."""
    before, total = theta[i], 0.0
    try:
        for steps, weight in ((-2, 1.0), (-1, -8.0), (1, 8.0), (2, -1.0)):
            theta[i] = before + steps * h
            total += weight * _number(function(theta))
            if not np.isfinite(total):
                place = ", ".join(map(str, i))
                raise checks.Error(f"function(theta) is not finite with theta[{place}] = {theta[i]:g}")
    finally:
        theta[i] = before
    return total / (12 * h)


def _number(value: Any) -> float:
    try:
        return float(value)
    except (TypeError, ValueError, OverflowError):
        raise checks.Error(f"function(theta) is {checks.shown(value)}, but must be a number") from None


def _layer(x: ArrayLike, W: ArrayLike, b: ArrayLike, y: ArrayLike) -> tuple[Array, Array, Array, Array]:
    given = zip("xWby", (x, W, b, y), strict=True)
    arrays = tuple(numeric(name, array).astype(np.float64) for name, array in given)
    shapes = [array.shape for array in arrays]
    n, z = shapes[1] if arrays[1].ndim == 2 else (-1, -1)
    if shapes != [(n,), (n, z), (z,), (z,)]:
        raise checks.Error(f"x, W, b, y have shapes {shapes}, but must be (n,), (n, z), (z,), (z,)")
    for name, array in zip("xWby", arrays, strict=True):
        expect_finite(name, array)
    return arrays  # type: ignore[return-value]


def _finite(J: Array) -> Array:
    if not np.isfinite(J).all():
        raise checks.Error("the Jacobian is not finite in float64: x, W, b or y are too large; scale the inputs")
    return J


def _activation(z: Array, f: str) -> tuple[Array, Array]:
    """a and the matrix ∂a_j/∂z_i."""
    activation = ACTIVATIONS[f]
    if activation.jacobian:  # f of all numbers of a sample, which fills an array
        a = np.empty((1, len(z)))
        activation.f(z[None], a)
        return a[0], activation.jacobian(a[0])
    a = np.array([activation.f(number) for number in z], np.float64)
    derivatives = [activation.f_prime(number) for number in (z if activation.reads_Z else a)]
    return a, np.diag(np.array(derivatives, np.float64))
