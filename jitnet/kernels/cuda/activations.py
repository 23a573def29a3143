"""The activations that work on each number alone, each beside its derivative, as in the file of this name for the CPU.

The formulas and their edges are the same: NaN stays NaN, and nothing overflows. e^x is CUDA's own, within 2 units in
the last place.
"""

import math

from numba import float32

from ...compiler.cuda.device import cuda, device
from ...compiler.types import Vector
from ..activations import RELU, SIGMOID, TANH
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
def slope(f, a):
    """f'(z) for one number, from a = f(z): a − a² for sigmoid, 1 − a² for tanh. Values are chosen, no way branches."""
    square = a * a if f == SIGMOID or f == TANH else float32(0)  # noqa: SIM109  `in` would become a loop that can fail
    base = a if f == SIGMOID else float32(1)
    if f == RELU and not a > 0:
        base = float32(0)
    return base - square


@element_rung("exp", 2)
def exp(x: Vector, y: Vector) -> None:
    """y = e^x. Reads each number once and writes one."""
    i = cuda.grid(1)
    if i < y.size:
        y[i] = math.exp(x[i])


@element_rung("identity", 2)
def identity(z: Vector, a: Vector) -> None:
    """a = z. Reads each number once and writes one."""
    i = cuda.grid(1)
    if i < a.size:
        a[i] = z[i]


@element_rung("identity_derivative", 3)
def identity_derivative(a: Vector, da: Vector, delta: Vector) -> None:
    """delta = da. Reads each number once and writes one."""
    i = cuda.grid(1)
    if i < delta.size:
        delta[i] = da[i]


@element_rung("sigmoid", 2)
def sigmoid(z: Vector, a: Vector) -> None:
    """a = 1/(1 + e^{−z}), by e^{−|z|}. Reads each number once and writes one."""
    i = cuda.grid(1)
    if i < a.size:
        a[i] = sigmoid_of(z[i])


@element_rung("sigmoid_derivative", 3)
def sigmoid_derivative(a: Vector, da: Vector, delta: Vector) -> None:
    """delta = da·a(1 − a). Reads two numbers once and writes one."""
    i = cuda.grid(1)
    if i < delta.size:
        delta[i] = da[i] * (a[i] * (float32(1) - a[i]))


@element_rung("tanh", 2)
def tanh(z: Vector, a: Vector) -> None:
    """a = tanh z. Reads each number once and writes one."""
    i = cuda.grid(1)
    if i < a.size:
        a[i] = math.tanh(z[i])


@element_rung("tanh_derivative", 3)
def tanh_derivative(a: Vector, da: Vector, delta: Vector) -> None:
    """delta = da·(1 − a²). Reads two numbers once and writes one."""
    i = cuda.grid(1)
    if i < delta.size:
        delta[i] = da[i] * (float32(1) - a[i] * a[i])


@element_rung("relu", 2)
def relu(z: Vector, a: Vector) -> None:
    """a = max(z, 0), and NaN stays NaN. Reads each number once and writes one."""
    i = cuda.grid(1)
    if i < a.size:
        a[i] = float32(0) if z[i] < 0 else z[i]


@element_rung("relu_derivative", 3)
def relu_derivative(a: Vector, da: Vector, delta: Vector) -> None:
    """delta = da where a > 0, else 0. Reads two numbers once and writes one."""
    i = cuda.grid(1)
    if i < delta.size:
        delta[i] = da[i] if a[i] > 0 else float32(0)
