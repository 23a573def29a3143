"""The activations and their derivatives, in float64 NumPy."""

from collections.abc import Callable
from typing import Any

import numpy as np

from ...kernels import activations
from .case import LARGE, Array, Draw, Expected, formula, wide


def sigmoid(z: Array) -> Array:
    return np.asarray(np.where(z >= 0, 1, np.exp(-np.abs(z))) / (1 + np.exp(-np.abs(z))))


def softmax(z: Array) -> Array:
    e = np.exp(z - z.max(axis=1, keepdims=True, initial=-np.inf))
    return np.asarray(e / e.sum(axis=1, keepdims=True))


ACTIVATIONS: dict[str, Callable[[Array], Array]] = {
    "identity": lambda z: z,
    "sigmoid": sigmoid,
    "tanh": np.tanh,
    "relu": lambda z: np.maximum(z, 0),
    "softmax": softmax,
}

DERIVATIVES: dict[str, Callable[[Array], Array]] = {  # f' from a = f(z)
    "identity": lambda a: np.ones_like(a),
    "sigmoid": lambda a: a * (1 - a),
    "tanh": lambda a: 1 - a * a,
    "relu": lambda a: (a > 0) * 1.0,
}


def f_of(name: str) -> Callable[[Array], Array]:
    """The activation. Without a formula here, its f is interpreted in float64 for each number."""
    return ACTIVATIONS.get(name) or np.vectorize(activations.ACTIVATIONS[name].f, otypes=[np.float64])


def derivative_of(name: str) -> Callable[[Array], Array]:
    """f' from its input, A or Z; finite differences check that it is the derivative of f."""
    return DERIVATIVES.get(name) or np.vectorize(activations.ACTIVATIONS[name].f_prime, otypes=[np.float64])


def log_sum_exp(z: Array) -> Any:
    top = z.max(axis=1, keepdims=True, initial=-np.inf)
    with np.errstate(divide="ignore"):
        return top + np.log(np.exp(z - top).sum(axis=1, keepdims=True))


@formula("exp")
def exp(draw: Draw) -> Expected:
    m, _, n = draw.shape
    Z = draw(m, n, scale=3)
    result = np.exp(wide(Z))
    return Expected([Z], [result], [6 * result])


def activation(draw: Draw) -> Expected:
    """A = f(Z), for every activation."""
    name, (m, _, n) = draw.operation, draw.shape
    Z = draw(m, n, scale=3)
    if name == "softmax":
        Z[1::2] += draw.number(LARGE)
    else:
        Z[1::2, ::7] *= draw.number(LARGE)
        Z[1::3, 3::5] = 0
    z = wide(Z)
    a = f_of(name)(z)
    if name == "softmax":  # Z − c is rounded before e^ sees it, which costs |Z − c| roundings
        return Expected([Z], [a], [(6 + n + 2 * np.abs(z - z.max(axis=1, keepdims=True, initial=-np.inf))) * np.abs(a)])
    smallest = float(np.finfo(draw.dtype).tiny / np.finfo(draw.dtype).eps)  # an exponential below may be 0
    size = 6 * np.abs(a) + (1 + np.abs(z)) * smallest
    if name not in ACTIVATIONS:  # f multiplies by f' what Z loses to rounding on the way
        size += 6 * np.abs(z * derivative_of(name)(z if activations.ACTIVATIONS[name].reads_Z else a))
    return Expected([Z], [a], [size])


def derivative(draw: Draw) -> Expected:
    """dA ⊙ f'(Z), for every activation."""
    name, (m, _, n) = draw.operation.removesuffix("_derivative"), draw.shape
    Z, dA = draw.rng.standard_normal((m, n)), draw(m, n)
    source = draw.rounded(Z if activations.ACTIVATIONS[name].reads_Z else f_of(name)(Z))
    a, g = wide(source), wide(dA)
    if name == "softmax":
        result = a * (g - (a * g).sum(axis=1, keepdims=True))
        return Expected(
            [source, dA], [result], [(n + 4) * a * (np.abs(g) + (a * np.abs(g)).sum(axis=1, keepdims=True))]
        )
    return Expected([source, dA], [g * derivative_of(name)(a)], [(4 if name in DERIVATIVES else 12) * np.abs(g)])
