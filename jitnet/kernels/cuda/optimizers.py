"""One gradient step on the GPU: one thread per parameter. The formulas are those of the CPU."""

import math

from ...compiler.cuda.device import cuda, device
from ...compiler.cuda.registry import FLOAT, VECTOR, Launch, rung
from ...compiler.types import Vector
from .elements import THREADS, one_thread_each


def sgd_step(grad: Vector, lr: float, weight_decay: float, theta: Vector) -> None:
    i = cuda.grid(1)
    if i < theta.size:
        theta[i] -= lr * (grad[i] + weight_decay * theta[i])


SGD = Launch(sgd_step, [VECTOR, FLOAT, FLOAT, VECTOR], THREADS, one_thread_each)


@rung("sgd", "elements", SGD)
def sgd(grad: Vector, lr: float, weight_decay: float, theta: Vector) -> None:
    """theta ← theta − lr·g. Reads grad and theta once and writes theta once."""
    SGD(grad, lr, weight_decay, theta)


def momentum_step(
    grad: Vector, lr: float, beta: float, weight_decay: float, velocity: Vector, theta: Vector
) -> None:  # fmt: skip
    i = cuda.grid(1)
    if i < theta.size:
        v = beta * velocity[i] + (grad[i] + weight_decay * theta[i])
        velocity[i] = v
        theta[i] -= lr * v


def nesterov_step(
    grad: Vector, lr: float, beta: float, weight_decay: float, velocity: Vector, theta: Vector
) -> None:  # fmt: skip
    i = cuda.grid(1)
    if i < theta.size:
        g = grad[i] + weight_decay * theta[i]
        v = beta * velocity[i] + g
        velocity[i] = v
        theta[i] -= lr * (g + beta * v)


MOMENTUM, NESTEROV = (
    Launch(body, [VECTOR, FLOAT, FLOAT, FLOAT, VECTOR, VECTOR], THREADS, one_thread_each)
    for body in (momentum_step, nesterov_step)
)


@rung("momentum", "elements", MOMENTUM, writes=2)
def momentum(grad: Vector, lr: float, beta: float, weight_decay: float, velocity: Vector, theta: Vector) -> None:
    """velocity ← beta·velocity + g, theta ← theta − lr·velocity. Reads three vectors once and writes two."""
    MOMENTUM(grad, lr, beta, weight_decay, velocity, theta)


@rung("nesterov", "elements", NESTEROV, writes=2)
def nesterov(grad: Vector, lr: float, beta: float, weight_decay: float, velocity: Vector, theta: Vector) -> None:
    """Like `momentum`, but theta ← theta − lr·(g + beta·velocity)."""
    NESTEROV(grad, lr, beta, weight_decay, velocity, theta)


@device
def adam_at(
    i, grad, lr, beta1, beta2, rest1, rest2, epsilon, weight_decay, correction1, correction2, mean, square, theta
):  # fmt: skip
    g = grad[i] + weight_decay * theta[i]
    first = beta1 * mean[i] + rest1 * g
    second = beta2 * square[i] + rest2 * (g * g)
    mean[i] = first
    square[i] = second
    theta[i] -= lr * (first / correction1) / (math.sqrt(second / correction2) + epsilon)


def adam_step(
    grad, lr, beta1, beta2, rest1, rest2, epsilon, weight_decay, correction1, correction2, mean, square, theta
):  # fmt: skip
    i = cuda.grid(1)
    if i < theta.size:
        adam_at(
            i, grad, lr, beta1, beta2, rest1, rest2, epsilon, weight_decay, correction1, correction2, mean, square,
            theta,
        )  # fmt: skip


ADAM = Launch(adam_step, [VECTOR, *[FLOAT] * 9, VECTOR, VECTOR, VECTOR], THREADS, one_thread_each)


@rung("adam", "elements", ADAM, writes=3)
def adam(
    grad: Vector, lr: float, beta1: float, beta2: float, rest1: float, rest2: float, epsilon: float,
    weight_decay: float, correction1: float, correction2: float, mean: Vector, square: Vector, theta: Vector,
) -> None:  # fmt: skip
    """mean, square, theta by averages of g and g². Reads four vectors once and writes three."""
    ADAM(
        grad, lr, beta1, beta2, rest1, rest2, epsilon, weight_decay, correction1, correction2, mean, square, theta
    )  # fmt: skip
