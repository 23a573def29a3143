"""One gradient step: all parameters of the network in one loop over one flat vector.

`weight_decay` adds ½·weight_decay·‖theta‖² to the loss (an L2 penalty), so its gradient is grad + weight_decay·theta.
That of AdamW is not part of the gradient.

The state of an optimizer is never subnormal: a number below the smallest normal one is stored as 0. Where gradients
have become 0, as those of a dead unit, beta·velocity would otherwise shrink into the subnormal numbers and stay there,
since the smallest ones round to themselves; every operation with them takes the CPU over a hundred cycles.

An optimizer can also be a rule for one parameter, as in jitnet/optimizers.py: the loops for it are at the end.
"""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numba import prange

from ..compiler.intrinsics import lanes, quotient, wide, window
from ..compiler.jit import Kernel, part_of_kernels
from ..compiler.registry import baseline, operation, rung
from ..compiler.scalar import on_arrays, scalar
from ..compiler.threads import PART, parts_of
from ..compiler.types import Vector
from .elementwise import Function, named


def assumed_flop(grad: Vector, *rest: Any) -> int:
    """FLOP that a backend assumes when it chooses between one thread and several: more than the arithmetic, so that an
    update uses threads from LEAST_FLOP / 50 = 40 000 parameters on. The threads that computed the gradient have their
    parts of it in their own caches, from which a single thread would have to fetch them."""
    return 50 * grad.size


@operation("T[::1], T, T, T[::1]", assumed_flop)
def sgd(grad: Vector, lr: float, weight_decay: float, theta: Vector) -> None:
    """Stochastic gradient descent.

    Formula   g = grad + weight_decay·theta
              theta ← theta − lr·g
    Shapes    grad (n,), theta (n,)
    Dtype     float32 or float64, all equal, numbers included
    Writes    theta, in place
    Parallel  over the parameters
    Cost      4 FLOP per parameter
    Errors    none: inputs are validated by the caller
    Source    Robbins and Monro, A Stochastic Approximation Method, 1951
    """
    for i in prange(theta.size):
        theta[i] -= lr * (grad[i] + weight_decay * theta[i])


@part_of_kernels
def sgd_part(grad: Vector, lr: float, weight_decay: float, theta: Vector) -> None:
    wide(theta)
    for i in range(theta.size):
        theta[i] -= lr * (grad[i] + weight_decay * theta[i])


@rung("sgd", "wide")
def sgd_wide(grad: Vector, lr: float, weight_decay: float, theta: Vector) -> None:
    """Like the rung above, but with the widest vectors of the CPU; saves up to half of the instructions."""
    n = theta.size
    for t in prange(parts_of(n)):
        at, size = t * PART, min(PART, n - t * PART)
        sgd_part(window(grad, at, size), lr, weight_decay, window(theta, at, size))


@part_of_kernels
def normal(x: float, tiny: float) -> float:
    """x, or 0 if it is a subnormal number; NaN stays NaN. `tiny` is the smallest normal number, of x's dtype."""
    return x - x if abs(x) < tiny else x  # x − x is a 0 of x's dtype


@part_of_kernels
def normal_square(x: float, tiny: float) -> float:
    """The same for an x that is not negative; saves an instruction."""
    return x - x if x < tiny else x


@operation("T[::1], T, T, T, T[::1], T[::1]", assumed_flop)
def momentum(grad: Vector, lr: float, beta: float, weight_decay: float, velocity: Vector, theta: Vector) -> None:
    """Gradient descent with a running sum of past steps.

    Formula   g = grad + weight_decay·theta
              velocity ← beta·velocity + g
              theta ← theta − lr·velocity
    Shapes    grad (n,), velocity (n,), theta (n,)
    Dtype     float32 or float64, all equal, numbers included
    Writes    velocity and theta, in place
    Parallel  over the parameters
    Cost      6 FLOP per parameter
    Errors    none: inputs are validated by the caller
    Source    Polyak, Some methods of speeding up the convergence of iteration methods, 1964
    """
    tiny = np.finfo(theta.dtype).tiny
    for i in prange(theta.size):
        g = grad[i] + weight_decay * theta[i]
        v = normal(beta * velocity[i] + g, tiny)
        velocity[i] = v
        theta[i] -= lr * v


@operation("T[::1], T, T, T, T[::1], T[::1]", assumed_flop)
def nesterov(grad: Vector, lr: float, beta: float, weight_decay: float, velocity: Vector, theta: Vector) -> None:
    """Momentum that looks one step ahead: like `momentum`, but theta ← theta − lr·(g + beta·velocity).

    Source    Sutskever et al., On the importance of initialization and momentum in deep learning, 2013
    """
    tiny = np.finfo(theta.dtype).tiny
    for i in prange(theta.size):
        g = grad[i] + weight_decay * theta[i]
        v = normal(beta * velocity[i] + g, tiny)
        velocity[i] = v
        theta[i] -= lr * (g + beta * v)


@operation("T[::1], T, T, T, T, T, T, T, T, T, T[::1], T[::1], T[::1]", assumed_flop)
def adam(
    grad: Vector,
    lr: float,
    beta1: float,
    beta2: float,
    rest1: float,
    rest2: float,
    epsilon: float,
    weight_decay: float,
    correction1: float,
    correction2: float,
    mean: Vector,
    square: Vector,
    theta: Vector,
) -> None:
    """Steps of a similar size for every parameter, independent of the size of its gradient.

    Formula   g = grad + weight_decay·theta
              mean ← beta1·mean + rest1·g
              square ← beta2·square + rest2·g²
              theta ← theta − lr·(mean/correction1) / (√(square/correction2) + epsilon)
              with rest1 = 1 − beta1, rest2 = 1 − beta2 and, because both averages begin at 0, correction1 =
              1 − beta1^t, correction2 = 1 − beta2^t at step t = 1, 2, ...; the caller computes all four in float64,
              because they can be differences of nearly equal numbers
    Shapes    grad (n,), mean (n,), square (n,), theta (n,)
    Dtype     float32 or float64, all equal, numbers included
    Writes    mean, square and theta, in place
    Parallel  over the parameters
    Cost      one square root, three divisions per parameter
    Errors    none: inputs are validated by the caller
    Source    Kingma and Ba, Adam: A Method for Stochastic Optimization, 2015
    """
    tiny = np.finfo(theta.dtype).tiny
    for i in prange(theta.size):
        g = grad[i] + weight_decay * theta[i]
        first = normal(beta1 * mean[i] + rest1 * g, tiny)
        second = normal_square(beta2 * square[i] + rest2 * (g * g), tiny)
        mean[i] = first
        square[i] = second
        theta[i] -= lr * (first / correction1) / (theta.dtype.type(math.sqrt(second / correction2)) + epsilon)


@part_of_kernels
def next_averages(
    g: float, mean: float, square: float, beta1: float, beta2: float, rest1: float, rest2: float, tiny: float
) -> tuple[float, float]:
    first = normal(beta1 * mean + rest1 * g, tiny)
    return first, normal_square(beta2 * square + rest2 * (g * g), tiny)


@part_of_kernels
def adam_part(
    grad: Vector, step: float, beta1: float, beta2: float, rest1: float, rest2: float, epsilon: float,
    weight_decay: float, shrink: float, mean: Vector, square: Vector, theta: Vector,
) -> None:  # fmt: skip
    """`quotient` is for whole SIMD vectors. What remains is divided, so that its bits depend on no compiler."""
    wide(theta)
    tiny, root = np.finfo(theta.dtype).tiny, theta.dtype.type
    whole = theta.size - theta.size % lanes(theta)
    for i in range(whole):
        g = grad[i] + weight_decay * theta[i]
        mean[i], square[i] = next_averages(g, mean[i], square[i], beta1, beta2, rest1, rest2, tiny)
        theta[i] -= quotient(step * mean[i], root(math.sqrt(square[i])) * shrink + epsilon)
    for i in range(whole, theta.size):
        g = grad[i] + weight_decay * theta[i]
        mean[i], square[i] = next_averages(g, mean[i], square[i], beta1, beta2, rest1, rest2, tiny)
        theta[i] -= step * mean[i] / (root(math.sqrt(square[i])) * shrink + epsilon)


@rung("adam", "wide")
def adam_wide(
    grad: Vector, lr: float, beta1: float, beta2: float, rest1: float, rest2: float, epsilon: float,
    weight_decay: float, correction1: float, correction2: float, mean: Vector, square: Vector, theta: Vector,
) -> None:  # fmt: skip
    """Like the rung above, but both corrections are factors outside the loop, and the quotient needs no divider; saves
    all three divisions."""
    step = lr / correction1
    shrink = theta.dtype.type(1) / theta.dtype.type(math.sqrt(correction2))
    epsilon = max(epsilon, np.finfo(theta.dtype).tiny)  # a quotient needs a normal divisor
    n = theta.size
    for t in prange(parts_of(n)):
        at, size = t * PART, min(PART, n - t * PART)
        adam_part(
            window(grad, at, size), step, beta1, beta2, rest1, rest2, epsilon, weight_decay, shrink,
            window(mean, at, size), window(square, at, size), window(theta, at, size),
        )  # fmt: skip


RULES: dict[str, tuple[Function, int, int]] = {}
"""Operation -> a rule for one parameter, how many numbers it takes per step, and how many state vectors."""


def register_rule(name: str, rule: Function, numbers: int, vectors: int) -> None:
    """The operation of that name, with all its rungs, from a rule for one parameter.

    rule      (g, w, *memory, numbers) -> (*memory, w): the gradient, the parameter, its state from earlier steps, and a
              tuple of the numbers of this step; returns the new state and parameter

    Errors    ValueError unless there are one or two state vectors, or if another operation has this name
    """
    if vectors not in (1, 2):
        raise ValueError(f"optimizer {name!r} has {vectors} state vectors, but a rule has one or two")
    loops, fast = (loop_of_one, fast_of_one) if vectors == 1 else (loop_of_two, fast_of_two)
    one_by_one, as_tuple = scalar(rule, {}), tuple_of(numbers)
    first_rung = named(loops(one_by_one, as_tuple), name, rule)
    operation(f"T[::1], T[::1], {'T[::1], ' * vectors}T[::1]", assumed_flop)(first_rung)
    rung(name, "wide")(named(fast(one_by_one, as_tuple), f"{name}_wide", rule))
    of_arrays = on_arrays(rule)

    def in_numpy(grad: Vector, numbers: Vector, *memory_and_theta: Vector) -> None:
        *memory, theta = memory_and_theta
        for vector, values in zip(memory_and_theta, of_arrays(grad, theta, *memory, tuple(numbers)), strict=True):
            vector[...] = values

    baseline(name)(in_numpy)
    RULES[name] = rule, numbers, vectors


def tuple_of(count: int, helper: Callable[..., Any] = part_of_kernels) -> Function:
    """The first `count` numbers of a vector as a tuple."""
    last = count - 1

    def the_first(numbers: Vector) -> Any:
        return (numbers[0],)

    if count == 1:
        return helper(the_first)  # type: ignore[no-any-return]
    others = tuple_of(last, helper)

    def all_of_them(numbers: Vector) -> Any:
        return others(numbers) + (numbers[last],)  # noqa: RUF005  which Numba does not know

    return helper(all_of_them)  # type: ignore[no-any-return]


def loop_of_one(rule: Function, as_tuple: Function) -> Kernel:
    def step(grad: Vector, numbers: Vector, memory: Vector, theta: Vector) -> None:
        """{f}. Shapes grad, memory and theta (n,); writes memory and theta, in place."""
        given, tiny = as_tuple(numbers), np.finfo(theta.dtype).tiny
        for i in prange(theta.size):
            m, theta[i] = rule(grad[i], theta[i], memory[i], given)
            memory[i] = normal(m, tiny)

    return step


def loop_of_two(rule: Function, as_tuple: Function) -> Kernel:
    def step(grad: Vector, numbers: Vector, first: Vector, second: Vector, theta: Vector) -> None:
        """{f}. Shapes grad, first, second and theta (n,); writes first, second and theta, in place."""
        given, tiny = as_tuple(numbers), np.finfo(theta.dtype).tiny
        for i in prange(theta.size):
            m1, m2, theta[i] = rule(grad[i], theta[i], first[i], second[i], given)
            first[i], second[i] = normal(m1, tiny), normal(m2, tiny)

    return step


def fast_of_one(rule: Function, as_tuple: Function) -> Kernel:
    @part_of_kernels
    def part(grad: Vector, numbers: Vector, memory: Vector, theta: Vector) -> None:
        wide(theta)
        given, tiny = as_tuple(numbers), np.finfo(theta.dtype).tiny
        for i in range(theta.size):
            m, theta[i] = rule(grad[i], theta[i], memory[i], given)
            memory[i] = normal(m, tiny)

    def step(grad: Vector, numbers: Vector, memory: Vector, theta: Vector) -> None:
        """Like the rung above, but with the widest vectors of the CPU; saves up to half of the instructions."""
        n = theta.size
        for t in prange(parts_of(n)):
            at, size = t * PART, min(PART, n - t * PART)
            part(window(grad, at, size), numbers, window(memory, at, size), window(theta, at, size))

    return step


def fast_of_two(rule: Function, as_tuple: Function) -> Kernel:
    @part_of_kernels
    def part(grad: Vector, numbers: Vector, first: Vector, second: Vector, theta: Vector) -> None:
        wide(theta)
        given, tiny = as_tuple(numbers), np.finfo(theta.dtype).tiny
        for i in range(theta.size):
            m1, m2, theta[i] = rule(grad[i], theta[i], first[i], second[i], given)
            first[i], second[i] = normal(m1, tiny), normal(m2, tiny)

    def step(grad: Vector, numbers: Vector, first: Vector, second: Vector, theta: Vector) -> None:
        """Like the rung above, but with the widest vectors of the CPU; saves up to half of the instructions."""
        n = theta.size
        for t in prange(parts_of(n)):
            at, size = t * PART, min(PART, n - t * PART)
            part(
                window(grad, at, size), numbers, window(first, at, size), window(second, at, size),
                window(theta, at, size),
            )  # fmt: skip

    return step
