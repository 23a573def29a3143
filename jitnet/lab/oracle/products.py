"""The products of matrices, and the formulas of a dense layer, which are products and a little more."""

import numpy as np

from ...kernels.activations import CODES
from .case import SAFETY, Array, Draw, Expected, formula, wide
from .functions import ACTIVATIONS, DERIVATIVES


def _product(inputs: list[Array], left: Array, right: Array) -> Expected:
    """Roundings of a plain sum of random numbers mostly cancel, so errors near the bounds come from something else."""
    terms, result = left.shape[1], left @ right
    typical = [SAFETY * 0.2 * np.sqrt(terms * (left**2 @ right**2))] if terms >= 16 and result.size >= 64 else []
    return Expected(inputs, [result], [(terms + 2) * (np.abs(left) @ np.abs(right))], typical=typical)


@formula("matmul")
def matmul(draw: Draw) -> Expected:
    m, n_in, n_out = draw.shape
    X, W = draw.with_zeros(m, n_in), draw(n_in, n_out)
    return _product([X, W], wide(X), wide(W))


@formula("matmul_tn")
def matmul_tn(draw: Draw) -> Expected:
    m, n_in, n_out = draw.shape
    X, delta = draw.with_zeros(m, n_in), draw(m, n_out)
    return _product([X, delta], wide(X).T, wide(delta))


@formula("matmul_nt")
def matmul_nt(draw: Draw) -> Expected:
    m, n_in, n_out = draw.shape
    delta, W = draw.with_zeros(m, n_out), draw(n_in, n_out)
    return _product([delta, W], wide(delta), wide(W).T)


@formula("layer")
def layer(draw: Draw) -> Expected:
    m, n_in, n_out = draw.shape
    f = sum(draw.shape) % len(CODES)
    inputs = [draw(m, n_in), draw(n_in, n_out), draw(n_out)]
    X, W, b = map(wide, inputs)
    A = ACTIVATIONS[list(CODES)[f]](X @ W + b)
    return Expected([*inputs, f], [A], [(n_in + 8) * (np.abs(X) @ np.abs(W) + np.abs(b) + np.abs(A))])


@formula("delta")
def delta(draw: Draw) -> Expected:
    m, n_in, n_out = draw.shape
    f = sum(draw.shape) % len(CODES)
    name = list(CODES)[f]
    A = draw.rounded(ACTIVATIONS[name](draw.rng.standard_normal((m, n_in))))
    inputs = [draw(m, n_out), draw(n_in, n_out)]
    above, W = map(wide, inputs)
    result = (above @ W.T) * DERIVATIVES[name](wide(A))
    return Expected([*inputs, A, f], [result], [(n_out + 8) * (np.abs(above) @ np.abs(W.T))])


@formula("gradients")
def gradients(draw: Draw) -> Expected:
    m, n_in, n_out = draw.shape
    inputs = [draw(m, n_in), draw(m, n_out)]
    X, delta = map(wide, inputs)
    sizes = [(m + 2) * (np.abs(X.T) @ np.abs(delta)), (m + 2) * np.abs(delta).sum(axis=0)]
    return Expected(inputs, [X.T @ delta, delta.sum(axis=0)], sizes)


@formula("descend")
def descend(draw: Draw) -> Expected:
    m, n_in, n_out = draw.shape
    lr, decay = draw.number(0.1), draw.number(0.01)
    inputs, starts = [draw(m, n_in), draw(m, n_out)], [draw(n_in, n_out), draw(n_out)]
    X, delta, W, b = map(wide, (*inputs, *starts))
    results = [
        W - float(lr) * (X.T @ delta + float(decay) * W), b - float(lr) * (delta.sum(axis=0) + float(decay) * b)
    ]  # fmt: skip
    sizes = [
        (m + 4) * (np.abs(X.T) @ np.abs(delta) + np.abs(W)), (m + 4) * (np.abs(delta).sum(axis=0) + np.abs(b))
    ]  # fmt: skip
    return Expected([*inputs, lr, decay], results, sizes, starts)
