"""The losses, one number per sample, with delta of the output layer.

The caller averages each loss over the batch. The derivative of each is the error A − Y times a constant, so one kernel
can compute both:

    loss                    scale         scale·(A − Y) is
    half_squared_error      1/m           ∂L/∂A; times the activation's derivative it is delta
    mse                     2/(m·n_out)   ∂L/∂A; times the activation's derivative it is delta
    cross_entropy           1/m           delta = ∂L/∂Z: softmax's derivative cancels against the logarithm's
    binary_cross_entropy    1/m           delta = ∂L/∂Z: sigmoid's derivative cancels against the logarithm's

The cross-entropies are computed from Z and not from A: log(A) would be −inf as soon as A has rounded to 0.

Other losses are entries at the end: ℓ(a, y) of one output and ∂ℓ/∂a, averaged over outputs and batch.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numba import prange

from ..compiler.jit import Kernel
from ..compiler.registry import LADDERS, baseline, operation
from ..compiler.scalar import on_arrays, scalar, where
from ..compiler.types import Matrix, Vector
from .activations import CODES, times_derivative
from .elementwise import ACTIVATIONS, Function, named

Targets = Literal["numbers", "signs", "probabilities", "distributions"]


@dataclass(eq=False)
class Loss:
    """A loss: what a network needs to know, and its functions unless its kernel is written out."""

    name: str
    """Its name, and that of its kernel."""
    f: Any
    """ℓ(a, y) of one output."""
    f_prime: Any = None
    """∂ℓ/∂a."""
    made_for: str | None = None
    """The required activation of the output layer, or None for any."""
    reads_Z: bool = False
    """True if it is also computed from the pre-activation, which is more accurate, and differentiated together with the
    activation: the scaled error A − Y is already ∂L/∂Z."""
    averages_outputs: bool = True
    """True if it is also averaged over the outputs of a sample."""
    factor: float = 1.0
    """The constant factor of A − Y, or of ∂ℓ/∂a, in its kernel, without the averages."""
    targets: Targets = "numbers"
    """What Y may contain: any numbers; 1, 0 and −1; numbers from 0 to 1; or such numbers in rows that add up to 1."""
    jacobian: Callable[[Any, Any], Any] | None = None
    """(a, y) of one sample -> ∂ℓ[j]/∂z[i], simplified by hand: a[j] can round to 0, and must not be a divisor."""
    is_written_out: bool = False
    """True if its kernels are written out, and do not follow from f and f_prime."""

    @property
    def goes_with(self) -> tuple[str, ...]:
        """Activations of the output layer for which it is defined."""
        return (self.made_for,) if self.made_for else tuple(ACTIVATIONS)

    def scale(self, m: int, n_out: int) -> float:
        """The constant factor for a batch of m samples."""
        return self.factor / (m * n_out) if self.averages_outputs else self.factor / m

    def __call__(self, a: float, y: float) -> float:
        return self.f(a, y)  # type: ignore[no-any-return]

    def derivative(self, f_prime: Function) -> "Loss":
        """Set ∂ℓ/∂a, and register the loss."""
        self.f_prime = f_prime
        register_loss(self)
        return self


LossName = Literal["half_squared_error", "mse", "cross_entropy", "binary_cross_entropy", "huber", "hinge"]
"""The names for type checkers."""

LOSSES: dict[str, Loss] = {}
"""All registered losses, in the order of messages."""


def loss(name: str, made_for: str | None = None, targets: Targets = "numbers") -> Callable[[Function], Loss]:
    """Define a loss by ℓ(a, y); `derivative` completes it."""
    return lambda f: Loss(name, f, made_for=made_for, targets=targets)


SIGNATURE = "T[:,::1], T[:,::1], T, int64, T[:,::1], T[::1]"


def register_loss(entry: Loss) -> None:
    """The operation of that name, with all its rungs."""
    f, f_prime = entry.f, entry.f_prime
    operation(SIGNATURE)(named(loop_loss(scalar(f, {}), scalar(f_prime, {})), entry.name, f, f_prime))
    of_outputs, by_outputs = on_arrays(f), on_arrays(f_prime)

    def in_numpy(A: Matrix, Y: Matrix, scale: float, f: int, delta: Matrix, losses: Vector) -> None:
        np.divide(of_outputs(A, Y).sum(axis=1), A.dtype.type(A.shape[1]), out=losses)
        LADDERS[f"{list(CODES)[f]}_derivative"]["numpy"](A, scale * by_outputs(A, Y), delta)

    baseline(entry.name)(in_numpy)
    LOSSES[entry.name] = entry


def loop_loss(of_output: Function, by_output: Function) -> Kernel:
    def entry(A: Matrix, Y: Matrix, scale: float, f: int, delta: Matrix, losses: Vector) -> None:
        """{f}. Arguments as for `mse`, losses[i] = 1/n_out Σ_j ℓ(A[i,j], Y[i,j]), delta = scale·∂ℓ/∂a·f'(Z)."""
        m, n_out = A.shape
        one = A.dtype.type(1)
        for i in prange(m):
            total = A.dtype.type(0)
            for j in range(n_out):
                total += of_output(A[i, j], Y[i, j])
                delta[i, j] = times_derivative(scale * by_output(A[i, j], Y[i, j]), f, A[i, j], one)
            losses[i] = total / A.dtype.type(n_out)

    return entry


@operation("T[:,::1], T[:,::1], T, int64, T[:,::1], T[::1]")
def half_squared_error(A: Matrix, Y: Matrix, scale: float, f: int, delta: Matrix, losses: Vector) -> None:
    """Half the squared length of the error; its derivative with respect to A is the error itself.

    Formula   losses[i] = ½ Σ_j (A[i,j] − Y[i,j])²
              delta[i,j] = scale·(A[i,j] − Y[i,j])·f'(Z[i,j]), with f' taken from A = f(Z)
    Shapes    A (m, n_out), Y (m, n_out), scale a number, f one of `activations.CODES`, delta (m, n_out), losses (m,);
              rows contiguous
    Dtype     float32 or float64, all equal
    Writes    delta and losses
    Parallel  over i
    Cost      about 6 FLOP per number
    Errors    none: inputs are validated by the caller
    Source    the textbook definition
    """
    m, n_out = A.shape
    half, one = A.dtype.type(0.5), A.dtype.type(1)
    for i in prange(m):
        total = A.dtype.type(0)
        for j in range(n_out):
            error = A[i, j] - Y[i, j]
            total += error * error
            delta[i, j] = times_derivative(scale * error, f, A[i, j], one)
        losses[i] = half * total


@operation("T[:,::1], T[:,::1], T, int64, T[:,::1], T[::1]")
def mse(A: Matrix, Y: Matrix, scale: float, f: int, delta: Matrix, losses: Vector) -> None:
    """Mean squared error, averaged over the outputs too.

    Formula   losses[i] = (1/n_out) Σ_j (A[i,j] − Y[i,j])²
              delta[i,j] = scale·(A[i,j] − Y[i,j])·f'(Z[i,j]), with f' taken from A = f(Z)
    Shapes    A (m, n_out), Y (m, n_out), scale a number, f one of `activations.CODES`, delta (m, n_out), losses (m,);
              rows contiguous
    Dtype     float32 or float64, all equal
    Writes    delta and losses
    Parallel  over i
    Cost      about 6 FLOP per number
    Errors    none: inputs are validated by the caller
    Source    the textbook definition
    """
    m, n_out = A.shape
    one = A.dtype.type(1)
    for i in prange(m):
        total = A.dtype.type(0)
        for j in range(n_out):
            error = A[i, j] - Y[i, j]
            total += error * error
            delta[i, j] = times_derivative(scale * error, f, A[i, j], one)
        losses[i] = total / A.dtype.type(n_out)


@operation("T[:,::1], T[:,::1], T[:,::1], T, T[:,::1], T[::1]")
def cross_entropy(Z: Matrix, A: Matrix, Y: Matrix, scale: float, delta: Matrix, losses: Vector) -> None:
    """Negative log-likelihood of the true class for A = softmax(Z).

    Formula   losses[i] = −Σ_j Y[i,j]·log A[i,j] = Σ_j Y[i,j]·((Z[i,c] − Z[i,j]) − log A[i,c]), where c is the class
              with the largest Z: A[i,c] ≥ 1/n_out, so no logarithm of 0 occurs, and softmax's sum is not needed again
              delta[i,j] = scale·(A[i,j] − Y[i,j])
    Shapes    Z, A, Y (m, n_out), rows of Y add up to 1, scale a number, delta (m, n_out), losses (m,); rows contiguous
    Dtype     float32 or float64, all equal
    Writes    delta and losses
    Parallel  over i
    Cost      about 5 FLOP per number, one logarithm per sample
    Errors    none: inputs are validated by the caller
    Source    the logarithm of the softmax, relative to its largest term
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


@operation("T[:,::1], T[:,::1], T[:,::1], T, T[:,::1], T[::1]", flop=lambda Z, *rest: 40 * Z.size)
def binary_cross_entropy(Z: Matrix, A: Matrix, Y: Matrix, scale: float, delta: Matrix, losses: Vector) -> None:
    """Negative log-likelihood of binary targets for A = sigmoid(Z), summed over the outputs.

    Formula   losses[i] = −Σ_j (Y log A + (1 − Y) log(1 − A))
                        = Σ_j (max(Z, 0) − Z·Y + log(1 + e^{−|Z|})), in which nothing overflows
              delta[i,j] = scale·(A[i,j] − Y[i,j])
    Shapes    Z, A, Y (m, n_out), Y from 0 to 1, scale a number, delta (m, n_out), losses (m,); rows contiguous
    Dtype     float32 or float64, all equal
    Writes    delta and losses
    Parallel  over i
    Cost      one exponential, one logarithm per number
    Errors    none: inputs are validated by the caller
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


LOSSES |= {
    each.name: each
    for each in (
        Loss(
            "half_squared_error", lambda a, y: 0.5 * (a - y) * (a - y), lambda a, y: a - y,
            averages_outputs=False, is_written_out=True,
        ),
        Loss("mse", lambda a, y: (a - y) * (a - y), lambda a, y: 2 * (a - y), factor=2.0, is_written_out=True),
        Loss(
            "cross_entropy", lambda a, y: -y * math.log(a), lambda a, y: -y / a, made_for="softmax", reads_Z=True,
            averages_outputs=False, targets="distributions", jacobian=lambda a, y: y * (a[:, None] - np.eye(len(y))),
            is_written_out=True,
        ),
        Loss(
            "binary_cross_entropy", lambda a, y: -y * math.log(a) - (1 - y) * math.log(1 - a),
            lambda a, y: (a - y) / (a * (1 - a)), made_for="sigmoid", reads_Z=True, averages_outputs=False,
            targets="probabilities", jacobian=lambda a, y: np.diag(a - y), is_written_out=True,
        ),
    )
}  # fmt: skip


@loss("huber")
def huber(a: float, y: float) -> float:
    """Half the squared error, or its absolute value minus ½ above 1: PyTorch's HuberLoss.

    Huber, Robust Estimation of a Location Parameter, 1964
    """
    error = abs(a - y)
    return where(error < 1, 0.5 * (error * error), error - 0.5)


@huber.derivative
def _(a: float, y: float) -> float:
    return min(max(a - y, -1), 1)


@loss("hinge", targets="signs")
def hinge(a: float, y: float) -> float:
    """max(0, 1 − a) where y > 0, and max(0, 1 + a) where it is not: for targets of 1 and −1, or 1 and 0.

    Rosasco et al., Are Loss Functions All the Same?, 2004
    """
    return max(1 - a * where(y > 0, 1, -1), 0)


@hinge.derivative
def _(a: float, y: float) -> float:
    sign = where(y > 0, 1, -1)
    return where(a * sign < 1, -sign, 0)
