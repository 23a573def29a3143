"""The elementwise activations: those that are registered for the CPU, and the same formulas for the products.

The formulas and their edge cases are the same: NaN stays NaN, and nothing overflows. e^x is CUDA's own, within 2 units
in the last place.
"""

import math
from typing import Any

import numpy as np
from numba import float32

from ...compiler import scalar
from ...compiler.cuda.device import cuda, device
from ...compiler.scalar import of_dtype
from ...compiler.types import Vector
from ..activations import ACTIVATIONS, RELU, SIGMOID, TANH
from ..elementwise import Activation, named
from .elements import element_rung


@device
def sigmoid_of(z):
    e = math.exp(-abs(z))
    return (float32(1) if z >= 0 else e) / (float32(1) + e)


@device
def activated(f, z):
    """f(z) for one number."""
    if f == SIGMOID:
        return sigmoid_of(z)
    if f == TANH:
        return math.tanh(z)
    if f == RELU and z < 0:
        return float32(0)
    return z


@device
def times_derivative(d, f, a):
    """d·f'(z) for one number, from a = f(z), where f' is a − a² for sigmoid, 1 − a² for tanh. No branches."""
    square = a * a if f == SIGMOID or f == TANH else float32(0)  # noqa: SIM109  `in` becomes a loop that can raise
    base = a if f == SIGMOID else float32(1)
    product = d * (base - square)
    if f == RELU and not a > 0:
        product = float32(0)
    return product


@element_rung("exp", 2)
def exp(x: Vector, y: Vector) -> None:
    """y = e^x. Reads each number once and writes one."""
    i = cuda.grid(1)
    if i < y.size:
        y[i] = math.exp(x[i])


@device
def where(condition, yes, no):
    return yes if condition else no


def on_the_gpu(f: Any) -> Any:
    """The same function of one number, for one thread."""
    return device(of_dtype(f, np.float32, {scalar.where: where}, device))


def register(entry: Activation) -> None:
    """The operations `name` and `name_derivative`: one thread per number, which is read once and written once."""
    f, f_prime = on_the_gpu(entry.f), on_the_gpu(entry.f_prime)

    def forward(z: Vector, a: Vector) -> None:
        """A = f(Z)."""
        i = cuda.grid(1)
        if i < a.size:
            a[i] = f(z[i])

    def back(s: Vector, da: Vector, delta: Vector) -> None:
        """delta = dA ⊙ f'."""
        i = cuda.grid(1)
        if i < delta.size:
            delta[i] = da[i] * f_prime(s[i])

    element_rung(entry.name, 2)(named(forward, entry.name, entry.f))
    element_rung(f"{entry.name}_derivative", 3)(named(back, f"{entry.name}_derivative", entry.f_prime))


DONE: dict[str, Activation] = {}


def complete() -> None:
    """Register the activations of the CPU, except those that depend on all units of a sample."""
    for entry in ACTIVATIONS.values():
        if not entry.jacobian and DONE.get(entry.name) is not entry:
            register(entry)
            DONE[entry.name] = entry


complete()


@element_rung("relu_derivative", 3)
def relu_derivative(a: Vector, da: Vector, delta: Vector) -> None:
    """delta = dA where A > 0, else 0: a condition instead of a product, as on the CPU."""
    i = cuda.grid(1)
    if i < delta.size:
        delta[i] = da[i] if a[i] > 0 else float32(0)
