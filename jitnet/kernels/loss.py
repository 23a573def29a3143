"""The losses, one number a sample, and delta where it begins: at the output.

Each loss is averaged over the batch by whoever asked for it. All four share one delta kernel, because the
derivative of each is the error A − Y times a constant:

    loss                    constant      times A − Y gives
    half_squared_error      1/m           ∂L/∂A; the activation's derivative is still to come
    mse                     2/(m·n_out)   ∂L/∂A; the activation's derivative is still to come
    cross_entropy           1/m           delta = ∂L/∂Z, softmax's derivative included
    binary_cross_entropy    1/m           delta = ∂L/∂Z, sigmoid's derivative included

The cross-entropies are computed from Z and not from A: log(A) would be −inf as soon as A has rounded to 0.
"""

import math

from numba import prange

from .ladders import operation
from .legend import Matrix, Vector


@operation("T[:,::1], T[:,::1], T, T[:,::1]")
def output_delta(A: Matrix, Y: Matrix, scale: float, delta: Matrix) -> None:
    """Where the backward pass begins: the error, scaled.

    Formula   delta[i,j] = scale·(A[i,j] − Y[i,j])
    Shapes    A (m, n_out), Y (m, n_out), scale a number, delta (m, n_out); rows contiguous
    Dtype     float32 or float64, all equal
    Writes    delta
    Parallel  over i
    Cost      2 FLOP per number
    Errors    none here: checks.py has spoken before
    Source    the table above; for softmax and sigmoid, f' cancels against the derivative of the logarithm
    """
    m, n_out = A.shape
    for i in prange(m):
        for j in range(n_out):
            delta[i, j] = scale * (A[i, j] - Y[i, j])


@operation("T[:,::1], T[:,::1], T[::1]")
def half_squared_error(A: Matrix, Y: Matrix, losses: Vector) -> None:
    """Half the squared length of the error; its derivative by A is the error itself.

    Formula   losses[i] = ½ Σ_j (A[i,j] − Y[i,j])²
    Shapes    A (m, n_out), Y (m, n_out), losses (m,); rows contiguous
    Dtype     float32 or float64, all equal
    Writes    losses
    Parallel  over i
    Cost      3 FLOP per number
    Errors    none here: checks.py has spoken before
    Source    the textbook definition
    """
    m, n_out = A.shape
    half = A.dtype.type(0.5)
    for i in prange(m):
        total = A.dtype.type(0)
        for j in range(n_out):
            error = A[i, j] - Y[i, j]
            total += error * error
        losses[i] = half * total


@operation("T[:,::1], T[:,::1], T[::1]")
def mse(A: Matrix, Y: Matrix, losses: Vector) -> None:
    """Mean squared error, averaged over the outputs too.

    Formula   losses[i] = (1/n_out) Σ_j (A[i,j] − Y[i,j])²
    Shapes    A (m, n_out), Y (m, n_out), losses (m,); rows contiguous
    Dtype     float32 or float64, all equal
    Writes    losses
    Parallel  over i
    Cost      3 FLOP per number
    Errors    none here: checks.py has spoken before
    Source    the textbook definition
    """
    m, n_out = A.shape
    for i in prange(m):
        total = A.dtype.type(0)
        for j in range(n_out):
            error = A[i, j] - Y[i, j]
            total += error * error
        losses[i] = total / A.dtype.type(n_out)


@operation("T[:,::1], T[:,::1], T[::1]")
def cross_entropy(Z: Matrix, Y: Matrix, losses: Vector) -> None:
    """Surprise of the true class under softmax(Z).

    Formula   losses[i] = −Σ_j Y[i,j]·log softmax(Z)[i,j] = Σ_j Y[i,j]·(c_i + log Σ_l e^{Z[i,l] − c_i} − Z[i,j])
              with c_i = max_l Z[i,l], so that no exponential overflows and no logarithm meets 0
    Shapes    Z (m, n_out), Y (m, n_out) with rows that add up to 1, losses (m,); rows contiguous
    Dtype     float32 or float64, all equal
    Writes    losses
    Parallel  over i
    Cost      one exponential per number, one logarithm per sample
    Errors    none here: checks.py has spoken before
    Source    the logarithm of the softmax, by log-sum-exp
    """
    m, n_out = Z.shape
    for i in prange(m):
        largest = Z.dtype.type(-math.inf)
        for j in range(n_out):
            if Z[i, j] > largest:
                largest = Z[i, j]
        total = Z.dtype.type(0)
        for j in range(n_out):
            total += Z.dtype.type(math.exp(Z[i, j] - largest))
        log_total = Z.dtype.type(math.log(total))
        loss = Z.dtype.type(0)
        for j in range(n_out):
            loss += Y[i, j] * ((largest - Z[i, j]) + log_total)
        losses[i] = loss


@operation("T[:,::1], T[:,::1], T[::1]")
def binary_cross_entropy(Z: Matrix, Y: Matrix, losses: Vector) -> None:
    """Surprise of yes-or-no answers under sigmoid(Z), summed over the outputs.

    Formula   losses[i] = −Σ_j (Y log A + (1 − Y) log(1 − A)) with A = sigmoid(Z)
                        = Σ_j (max(Z, 0) − Z·Y + log(1 + e^{−|Z|})), in which nothing overflows
    Shapes    Z (m, n_out), Y (m, n_out) with numbers from 0 to 1, losses (m,); rows contiguous
    Dtype     float32 or float64, all equal
    Writes    losses
    Parallel  over i
    Cost      one exponential, one logarithm per number
    Errors    none here: checks.py has spoken before
    Source    put A = 1/(1 + e^{−Z}) into the first line, and treat both signs of Z
    """
    m, n_out = Z.shape
    zero = Z.dtype.type(0)
    for i in prange(m):
        loss = Z.dtype.type(0)
        for j in range(n_out):
            z = Z[i, j]
            loss += (zero if z < zero else z) - z * Y[i, j] + Z.dtype.type(math.log1p(math.exp(-abs(z))))
        losses[i] = loss
