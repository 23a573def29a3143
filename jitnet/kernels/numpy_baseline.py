"""The same operations in NumPy: the baseline of each ladder.

NumPy calls BLAS for the products; everything else is its own compiled loops.
"""

from typing import Any

import numpy as np

from ..compiler.registry import LADDERS, baseline
from ..compiler.types import Matrix, Vector
from .activations import CODES


@baseline("matmul")
def matmul(X: Matrix, W: Matrix, Z: Matrix) -> None:
    np.matmul(X, W, out=Z)


@baseline("matmul_tn")
def matmul_tn(X: Matrix, delta: Matrix, dW: Matrix) -> None:
    np.matmul(X.T, delta, out=dW)


@baseline("matmul_nt")
def matmul_nt(delta: Matrix, W: Matrix, dX: Matrix) -> None:
    np.matmul(delta, W.T, out=dX)


@baseline("exp")
def exp(Z: Matrix, A: Matrix) -> None:
    np.exp(Z, out=A)


@baseline("relu_derivative")
def relu_derivative(A: Matrix, dA: Matrix, delta: Matrix) -> None:
    delta[...] = np.where(A > 0, dA, A.dtype.type(0))


@baseline("softmax")
def softmax(Z: Matrix, A: Matrix) -> None:
    np.exp(Z - Z.max(axis=1, keepdims=True, initial=-np.inf), out=A)
    np.divide(A, A.sum(axis=1, keepdims=True), out=A)


@baseline("softmax_derivative")
def softmax_derivative(A: Matrix, dA: Matrix, delta: Matrix) -> None:
    np.multiply(A, dA - np.sum(dA * A, axis=1, keepdims=True), out=delta)


FORWARD = [LADDERS[f]["numpy"] for f in CODES]
BACK = [LADDERS[f"{f}_derivative"]["numpy"] for f in CODES]
"""By the numbers in `activations.CODES`."""


@baseline("layer")
def layer(X: Matrix, W: Matrix, b: Vector, f: int, A: Matrix) -> None:
    np.matmul(X, W, out=A)
    if b.size > 0:
        np.add(A, b, out=A)
    FORWARD[f](A, A)


@baseline("delta")
def delta(delta_next: Matrix, W_next: Matrix, A: Matrix, f: int, delta: Matrix) -> None:
    np.matmul(delta_next, W_next.T, out=delta)
    BACK[f](A, delta, delta)


@baseline("gradients")
def gradients(X: Matrix, delta: Matrix, dW: Matrix, db: Vector) -> None:
    np.matmul(X.T, delta, out=dW)
    if db.size > 0:
        np.sum(delta, axis=0, out=db)


@baseline("descend")
def descend(X: Matrix, delta: Matrix, lr: float, weight_decay: float, W: Matrix, b: Vector) -> None:
    W -= lr * (X.T @ delta + weight_decay * W)
    if b.size:
        b -= lr * (delta.sum(axis=0) + weight_decay * b)


@baseline("half_squared_error")
def half_squared_error(A: Matrix, Y: Matrix, scale: float, f: int, delta: Matrix, losses: Vector) -> None:
    error = A - Y
    np.multiply(A.dtype.type(0.5), np.square(error).sum(axis=1), out=losses)
    np.multiply(scale, error, out=error)
    BACK[f](A, error, delta)


@baseline("mse")
def mse(A: Matrix, Y: Matrix, scale: float, f: int, delta: Matrix, losses: Vector) -> None:
    error = A - Y
    np.divide(np.square(error).sum(axis=1), A.dtype.type(A.shape[1]), out=losses)
    np.multiply(scale, error, out=error)
    BACK[f](A, error, delta)


@baseline("cross_entropy")
def cross_entropy(Z: Matrix, A: Matrix, Y: Matrix, scale: float, delta: Matrix, losses: Vector) -> None:
    largest = Z.max(axis=1, keepdims=True, initial=-np.inf)
    log_total = np.log(np.exp(Z - largest).sum(axis=1, keepdims=True))
    np.sum(Y * ((largest - Z) + log_total), axis=1, out=losses)
    np.multiply(scale, A - Y, out=delta)


@baseline("binary_cross_entropy")
def binary_cross_entropy(Z: Matrix, A: Matrix, Y: Matrix, scale: float, delta: Matrix, losses: Vector) -> None:
    np.sum(np.maximum(Z, 0) - Z * Y + np.log1p(np.exp(-np.abs(Z))), axis=1, out=losses)
    np.multiply(scale, A - Y, out=delta)


@baseline("sgd")
def sgd(grad: Vector, lr: float, weight_decay: float, theta: Vector) -> None:
    theta -= lr * (grad + weight_decay * theta)


@baseline("momentum")
def momentum(grad: Vector, lr: float, beta: float, weight_decay: float, velocity: Vector, theta: Vector) -> None:
    velocity *= beta
    velocity += grad + weight_decay * theta
    theta -= lr * velocity


@baseline("nesterov")
def nesterov(grad: Vector, lr: float, beta: float, weight_decay: float, velocity: Vector, theta: Vector) -> None:
    g = grad + weight_decay * theta
    velocity *= beta
    velocity += g
    theta -= lr * (g + beta * velocity)


@baseline("adam")
def adam(
    grad: Vector,
    lr: Any,
    beta1: Any,
    beta2: Any,
    rest1: Any,
    rest2: Any,
    epsilon: Any,
    weight_decay: Any,
    correction1: Any,
    correction2: Any,
    mean: Vector,
    square: Vector,
    theta: Vector,
) -> None:
    g = grad + weight_decay * theta
    mean *= beta1
    mean += rest1 * g
    square *= beta2
    square += rest2 * (g * g)
    theta -= lr * (mean / correction1) / (np.sqrt(square / correction2) + epsilon)


@baseline("gather")
def gather(X: Matrix, Y: Matrix, order: Vector, start: int, X_batch: Matrix, Y_batch: Matrix) -> None:
    rows = order[start : start + len(X_batch)]
    np.take(X, rows, axis=0, out=X_batch, mode="clip")  # the other modes use a buffer
    np.take(Y, rows, axis=0, out=Y_batch, mode="clip")
