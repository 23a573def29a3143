"""The losses: the delta of the output layer, and the loss of each sample."""

from typing import Any

import numpy as np

from ...kernels.activations import CODES
from ...kernels.losses import LOSSES
from .case import LARGE, Array, Draw, Expected, formula, wide
from .functions import ACTIVATIONS, DERIVATIVES, derivative_of, f_of, log_sum_exp, sigmoid, softmax

SCALE = 0.37
"""The constant factor of the delta."""


@formula("half_squared_error", "mse")
def squared_error(draw: Draw) -> Expected:
    m, _, n = draw.shape
    f, scale = sum(draw.shape) % len(CODES), draw.number(SCALE)
    name = list(CODES)[f]
    A, Y = draw.rounded(ACTIVATIONS[name](draw.rng.standard_normal((m, n)))), draw(m, n)
    a, error = wide(A), wide(A) - wide(Y)
    losses = (0.5 if draw.operation == "half_squared_error" else 1 / max(n, 1)) * (error**2).sum(axis=1)
    if draw.operation == "mse" and n == 0:
        losses = np.full(m, np.nan)
    results = [float(scale) * error * DERIVATIVES[name](a), losses]
    return Expected([A, Y, scale, f], results, [6 * np.abs(float(scale) * error), (n + 6) * losses])


@formula("cross_entropy")
def cross_entropy(draw: Draw) -> Expected:
    """Of softmax(Z)."""
    m, _, n = draw.shape
    Z = draw(m, n, scale=3)
    Z[1::2] += draw.number(LARGE)
    z = wide(Z)
    A, Y = draw.rounded(softmax(z)), draw.rounded(softmax(draw.rng.standard_normal((m, n))))
    terms = wide(Y) * (log_sum_exp(z) - z)
    return _entropy(draw, Z, A, Y, terms, np.abs(log_sum_exp(z)) + np.abs(z))


@formula("binary_cross_entropy")
def binary_cross_entropy(draw: Draw) -> Expected:
    """Of sigmoid(Z)."""
    m, _, n = draw.shape
    Z = draw(m, n, scale=3)
    Z[1::2] *= draw.number(LARGE)
    z = wide(Z)
    A, Y = draw.rounded(sigmoid(z)), draw.rounded(draw.rng.uniform(0, 1, (m, n)))
    terms = np.maximum(z, 0) - z * wide(Y) + np.log1p(np.exp(-np.abs(z)))
    return _entropy(draw, Z, A, Y, terms, np.abs(z) + terms)


def _entropy(draw: Draw, Z: Array, A: Array, Y: Array, terms: Array, size: Any) -> Expected:
    scale, n = draw.number(SCALE), draw.shape[2]
    results = [float(scale) * (wide(A) - wide(Y)), terms.sum(axis=1)]
    sizes = [3 * np.abs(float(scale)) * (wide(A) + wide(Y)), (n + 8) * size.sum(axis=1)]
    return Expected([Z, A, Y, scale], results, sizes)


def of_numbers(draw: Draw) -> Expected:
    """A loss that is a function of one output and its target, averaged over the outputs."""
    m, _, n = draw.shape
    f, scale, loss = sum(draw.shape) % len(CODES), draw.number(SCALE), LOSSES[draw.operation]
    name = list(CODES)[f]
    A, Y = draw.rounded(f_of(name)(draw.rng.standard_normal((m, n)))), draw(m, n, scale=2)
    a, y = wide(A), wide(Y)
    of_outputs, by_a = (np.vectorize(g, otypes=[np.float64])(a, y) for g in (loss.f, loss.f_prime))
    results = [float(scale) * by_a * derivative_of(name)(a), of_outputs.mean(axis=1)]
    sizes = [12 * np.abs(float(scale)) * (1 + np.abs(a) + np.abs(y)), (n + 12) * np.abs(of_outputs).sum(axis=1)]
    return Expected([A, Y, scale, f], results, sizes)
