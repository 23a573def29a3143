"""One gradient step on the GPU: one thread per parameter. The formulas are those of the CPU.
State that becomes subnormal is kept: it does not slow a GPU down.

The arguments of a recorded step are fixed. Where numbers change in each step, a launch takes them as a vector in GPU
memory, which `clock.begin` fills: see FROM_MEMORY.
"""

import math
from typing import Any

from ...compiler.cuda.device import cuda, device
from ...compiler.cuda.registry import FLOAT, VECTOR, Kernel, Launch, rung
from ...compiler.types import Vector
from ..elementwise import named
from ..optimizers import RULES, tuple_of
from .activations import on_the_gpu
from .elements import THREADS, one_thread_each

FROM_MEMORY: dict[str, Launch] = {}
"""Operation -> its launch with (grad, numbers, *memory, theta): all numbers of the step are in one vector."""

CHANGING = {"adam", *RULES}
"""The operations whose numbers are always in a vector; those of the others change with a schedule only."""


def sgd_step(grad: Vector, lr: float, weight_decay: float, theta: Vector) -> None:
    i = cuda.grid(1)
    if i < theta.size:
        theta[i] -= lr * (grad[i] + weight_decay * theta[i])


SGD = Launch(sgd_step, [VECTOR, FLOAT, FLOAT, VECTOR], THREADS, one_thread_each)


@rung("sgd", "elements", SGD)
def sgd(grad: Vector, lr: float, weight_decay: float, theta: Vector) -> None:
    """theta ← theta − lr·g. Reads grad and theta once and writes theta once."""
    SGD(grad, lr, weight_decay, theta)


def sgd_from_memory(grad: Vector, numbers: Vector, theta: Vector) -> None:
    i = cuda.grid(1)
    if i < theta.size:
        theta[i] -= numbers[0] * (grad[i] + numbers[1] * theta[i])


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


def momentum_from_memory(grad: Vector, numbers: Vector, velocity: Vector, theta: Vector) -> None:
    i = cuda.grid(1)
    if i < theta.size:
        v = numbers[1] * velocity[i] + (grad[i] + numbers[2] * theta[i])
        velocity[i] = v
        theta[i] -= numbers[0] * v


def nesterov_from_memory(grad: Vector, numbers: Vector, velocity: Vector, theta: Vector) -> None:
    i = cuda.grid(1)
    if i < theta.size:
        g = grad[i] + numbers[2] * theta[i]
        v = numbers[1] * velocity[i] + g
        velocity[i] = v
        theta[i] -= numbers[0] * (g + numbers[1] * v)


FROM_MEMORY["sgd"] = Launch(sgd_from_memory, [VECTOR] * 3, THREADS, one_thread_each)
FROM_MEMORY["momentum"] = Launch(momentum_from_memory, [VECTOR] * 4, THREADS, one_thread_each)
FROM_MEMORY["nesterov"] = Launch(nesterov_from_memory, [VECTOR] * 4, THREADS, one_thread_each)

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
def adam_at(i, grad, numbers, mean, square, theta):
    lr, beta1, beta2, rest1, rest2, epsilon, weight_decay, correction1, correction2 = numbers
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
        numbers = lr, beta1, beta2, rest1, rest2, epsilon, weight_decay, correction1, correction2
        adam_at(i, grad, numbers, mean, square, theta)


nine_of = tuple_of(9, device)


def adam_from_memory(grad, numbers, mean, square, theta):
    i = cuda.grid(1)
    if i < theta.size:
        adam_at(i, grad, nine_of(numbers), mean, square, theta)


ADAM = Launch(adam_step, [VECTOR, *[FLOAT] * 9, VECTOR, VECTOR, VECTOR], THREADS, one_thread_each)
FROM_MEMORY["adam"] = Launch(adam_from_memory, [VECTOR] * 5, THREADS, one_thread_each)


@rung("adam", "elements", ADAM, writes=3)
def adam(
    grad: Vector, lr: float, beta1: float, beta2: float, rest1: float, rest2: float, epsilon: float,
    weight_decay: float, correction1: float, correction2: float, mean: Vector, square: Vector, theta: Vector,
) -> None:  # fmt: skip
    """mean, square, theta by averages of g and g². Reads four vectors once and writes three."""
    ADAM(
        grad, lr, beta1, beta2, rest1, rest2, epsilon, weight_decay, correction1, correction2, mean, square, theta
    )  # fmt: skip


def step_by_rule(name: str) -> Kernel:
    """A rule for one parameter as a kernel, whose numbers are a vector."""
    rule, count, vectors = RULES[name]
    at, as_tuple = on_the_gpu(rule), tuple_of(count, device)

    def one(grad, numbers, memory, theta):
        i = cuda.grid(1)
        if i < theta.size:
            memory[i], theta[i] = at(grad[i], theta[i], memory[i], as_tuple(numbers))

    def two(grad, numbers, first, second, theta):
        i = cuda.grid(1)
        if i < theta.size:
            first[i], second[i], theta[i] = at(grad[i], theta[i], first[i], second[i], as_tuple(numbers))

    bodies: dict[int, Kernel] = {1: one, 2: two}
    return named(bodies[vectors], name, rule)


def register(name: str) -> None:
    """The operation of that name. One thread per parameter, which reads and writes each of its numbers once."""
    _, _, vectors = RULES[name]
    FROM_MEMORY[name] = launch = Launch(step_by_rule(name), [VECTOR] * (vectors + 3), THREADS, one_thread_each)

    def run(*arguments: Any) -> None:
        launch(*arguments)

    run.__doc__ = f"{name}, by the rule for one parameter. Reads each vector once, and writes all but the gradient."
    rung(name, "elements", launch, writes=vectors + 1)(run)


for name in RULES:
    register(name)
