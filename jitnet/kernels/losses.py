"""The losses, one number a sample, and delta where it begins: at the output.

Each loss is averaged over the batch by whoever asked for it. The derivative of each is the error A − Y times a
constant, which is why a kernel can write both in one go:

    loss                    scale         scale·(A − Y) is
    half_squared_error      1/m           ∂L/∂A; times the activation's derivative it is delta
    mse                     2/(m·n_out)   ∂L/∂A; times the activation's derivative it is delta
    cross_entropy           1/m           delta = ∂L/∂Z: softmax's derivative cancels against the logarithm's
    binary_cross_entropy    1/m           delta = ∂L/∂Z: sigmoid's derivative cancels against the logarithm's

The cross-entropies are computed from Z and not from A: log(A) would be −inf as soon as A has rounded to 0.
"""

import math

from numba import prange

from ..compiler.registry import operation
from ..compiler.types import Matrix, Vector
from .activations import slope


@operation("T[:,::1], T[:,::1], T, int64, T[:,::1], T[::1]")
def half_squared_error(A: Matrix, Y: Matrix, scale: float, f: int, delta: Matrix, losses: Vector) -> None:
    """Half the squared length of the error; its derivative by A is the error itself.

    Formula   losses[i] = ½ Σ_j (A[i,j] − Y[i,j])²
              delta[i,j] = scale·(A[i,j] − Y[i,j])·f'(Z[i,j]), with f' taken from A = f(Z)
    Shapes    A (m, n_out), Y (m, n_out), scale a number, f one of `activation.CODES`, delta (m, n_out), losses (m,);
              rows contiguous
    Dtype     float32 or float64, all equal
    Writes    delta and losses
    Parallel  over i
    Cost      some 6 FLOP per number
    Errors    none here: checks.py has spoken before
    Source    the textbook definition
    """
    m, n_out = A.shape
    half, one = A.dtype.type(0.5), A.dtype.type(1)
    for i in prange(m):
        total = A.dtype.type(0)
        for j in range(n_out):
            error = A[i, j] - Y[i, j]
            total += error * error
            delta[i, j] = scale * error * slope(f, A[i, j], one)
        losses[i] = half * total


@operation("T[:,::1], T[:,::1], T, int64, T[:,::1], T[::1]")
def mse(A: Matrix, Y: Matrix, scale: float, f: int, delta: Matrix, losses: Vector) -> None:
    """Mean squared error, averaged over the outputs too.

    Formula   losses[i] = (1/n_out) Σ_j (A[i,j] − Y[i,j])²
              delta[i,j] = scale·(A[i,j] − Y[i,j])·f'(Z[i,j]), with f' taken from A = f(Z)
    Shapes    A (m, n_out), Y (m, n_out), scale a number, f one of `activation.CODES`, delta (m, n_out), losses (m,);
              rows contiguous
    Dtype     float32 or float64, all equal
    Writes    delta and losses
    Parallel  over i
    Cost      some 6 FLOP per number
    Errors    none here: checks.py has spoken before
    Source    the textbook definition
    """
    m, n_out = A.shape
    one = A.dtype.type(1)
    for i in prange(m):
        total = A.dtype.type(0)
        for j in range(n_out):
            error = A[i, j] - Y[i, j]
            total += error * error
            delta[i, j] = scale * error * slope(f, A[i, j], one)
        losses[i] = total / A.dtype.type(n_out)


@operation("T[:,::1], T[:,::1], T[:,::1], T, T[:,::1], T[::1]")
def cross_entropy(Z: Matrix, A: Matrix, Y: Matrix, scale: float, delta: Matrix, losses: Vector) -> None:
    """Surprise of the true class under A = softmax(Z).

    Formula   losses[i] = −Σ_j Y[i,j]·log A[i,j] = Σ_j Y[i,j]·((Z[i,c] − Z[i,j]) − log A[i,c]), where c is the class
              with the largest Z: A[i,c] ≥ 1/n_out, so no logarithm meets 0, and softmax's sum is not needed again
              delta[i,j] = scale·(A[i,j] − Y[i,j])
    Shapes    Z, A, Y (m, n_out), rows of Y add up to 1, scale a number, delta (m, n_out), losses (m,); rows contiguous
    Dtype     float32 or float64, all equal
    Writes    delta and losses
    Parallel  over i
    Cost      some 5 FLOP per number, one logarithm per sample
    Errors    none here: checks.py has spoken before
    Source    the logarithm of the softmax, seen from its largest term
    """
    m, n_out = Z.shape
    for i in prange(m):
        c = 0
        for j in range(1, n_out):
            if Z[i, j] > Z[i, c]:
                c = j
        log_largest = Z.dtype.type(math.log(A[i, c]))
        loss = Z.dtype.type(0)
        for j in range(n_out):
            loss += Y[i, j] * ((Z[i, c] - Z[i, j]) - log_largest)
            delta[i, j] = scale * (A[i, j] - Y[i, j])
        losses[i] = loss


@operation("T[:,::1], T[:,::1], T[:,::1], T, T[:,::1], T[::1]")
def binary_cross_entropy(Z: Matrix, A: Matrix, Y: Matrix, scale: float, delta: Matrix, losses: Vector) -> None:
    """Surprise of yes-or-no answers under A = sigmoid(Z), summed over the outputs.

    Formula   losses[i] = −Σ_j (Y log A + (1 − Y) log(1 − A))
                        = Σ_j (max(Z, 0) − Z·Y + log(1 + e^{−|Z|})), in which nothing overflows
              delta[i,j] = scale·(A[i,j] − Y[i,j])
    Shapes    Z, A, Y (m, n_out), Y from 0 to 1, scale a number, delta (m, n_out), losses (m,); rows contiguous
    Dtype     float32 or float64, all equal
    Writes    delta and losses
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
            delta[i, j] = scale * (A[i, j] - Y[i, j])
        losses[i] = loss
