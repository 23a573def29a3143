"""The optimizers, and the other operations of a step: gather a batch, weight its samples, clip its gradient."""

import math
from itertools import pairwise

import numpy as np

from ...kernels.optimizers import RULES
from ...optimizers import OPTIMIZERS
from .case import Array, Draw, Expected, formula, wide

LR, DECAY, BETA = 0.1, 0.01, 0.9


def _parameters(draw: Draw) -> int:
    _, n_in, n_out = draw.shape
    return n_out * max(n_in, 1)


def _decayed(theta: Array, grad: Array, decay: float) -> tuple[Array, Array]:
    """The gradient with weight decay, and the size of what is added in an update."""
    g = wide(grad) + decay * wide(theta)
    return g, np.abs(theta) + np.abs(g) + 1.0


@formula("sgd")
def sgd(draw: Draw) -> Expected:
    n = _parameters(draw)
    theta, grad, lr, decay = draw(n), draw(n), draw.number(LR), draw.number(DECAY)
    g, size = _decayed(theta, grad, float(decay))
    return Expected([grad, lr, decay], [theta - float(lr) * g], [8 * size], [theta])


@formula("momentum", "nesterov")
def momentum(draw: Draw) -> Expected:
    n = _parameters(draw)
    theta, grad, velocity = draw(n), draw(n), draw(n)
    lr, beta, decay = draw.number(LR), draw.number(BETA), draw.number(DECAY)
    g, size = _decayed(theta, grad, float(decay))
    v = float(beta) * wide(velocity) + g
    step = g + float(beta) * v if draw.operation == "nesterov" else v
    sizes = [8 * (size + np.abs(v))] * 2
    return Expected([grad, lr, beta, decay], [v, theta - float(lr) * step], sizes, [velocity, theta])


@formula("adam")
def adam(draw: Draw) -> Expected:
    n, t = _parameters(draw), 3
    theta, grad, mean, square = draw(n), draw(n), draw(n), np.abs(draw(n))
    lr, beta, beta2, epsilon, decay = map(draw.number, (LR, BETA, 0.99, 1e-6, DECAY))
    rest1, rest2 = draw.number(0.1), draw.number(0.01)
    c1, c2 = draw.number(1 - 0.9**t), draw.number(1 - 0.99**t)
    g, size = _decayed(theta, grad, float(decay))
    first = float(beta) * wide(mean) + float(rest1) * g
    second = float(beta2) * wide(square) + float(rest2) * g * g
    step = float(lr) * (first / float(c1)) / (np.sqrt(second / float(c2)) + float(epsilon))
    sizes = [16 * (size + np.abs(first)), 16 * (second + g * g), 32 * (size + np.abs(step) * 10)]
    numbers = [lr, beta, beta2, rest1, rest2, epsilon, decay, c1, c2]
    return Expected([grad, *numbers], [first, second, theta - step], sizes, [mean, square, theta])


def rule(draw: Draw) -> Expected:
    """A rule for one parameter, interpreted in float64, with the numbers of its third step."""
    n = _parameters(draw)
    update, _, vectors = RULES[draw.operation]
    optimizer = next(o for o in (make(lr=LR) for make in OPTIMIZERS.values()) if o.kernel == draw.operation)
    numbers, grad, theta = draw.rounded(optimizer.numbers(3)), draw(n), draw(n)
    memory = [np.abs(draw(n)) for _ in range(vectors)]
    given = tuple(map(float, numbers))
    steps = [update(*values, given) for values in zip(*(v.tolist() for v in (grad, theta, *memory)), strict=True)]
    results = [np.array(column) for column in np.reshape(steps, (n, vectors + 1)).T]
    size = 32 * (1 + np.abs(grad) + np.abs(theta) + sum(memory))
    return Expected([grad, numbers], results, [size * (1 + np.abs(values)) for values in results], [*memory, theta])


@formula("weigh")
def weigh(draw: Draw) -> Expected:
    m, _, n = draw.shape
    weights, delta = draw.rounded(draw.rng.uniform(0, 1, m)), draw(m, n)
    w = wide(weights)
    result = wide(delta) * (w * m / w.sum())[:, None]
    return Expected([weights, delta], [result], [(m + 6) * np.abs(result)])


@formula("squares")
def squares(draw: Draw) -> Expected:
    m, n = draw.shape[0], _parameters(draw)
    grad, ends = draw(n), [t * n // max(m, 1) for t in range(m + 1)]
    result = np.array([(wide(grad)[start:stop] ** 2).sum() for start, stop in pairwise(ends)])
    return Expected([grad], [result], [(n + 2) * result])


@formula("shrink")
def shrink(draw: Draw) -> Expected:
    m, n = draw.shape[0], _parameters(draw)
    parts, limit, grad = draw.rounded(draw.rng.uniform(0, 1, m)), draw.number(0.37), draw(n)
    length = math.sqrt(wide(parts).sum())
    result = wide(grad) * (float(limit) / length if length > float(limit) else 1)
    return Expected([parts, limit, grad], [result], [(m + 8) * np.abs(result)])


@formula("gather")
def gather(draw: Draw) -> Expected:
    m, n_in, n_out = draw.shape
    order = draw.rng.integers(0, m, m + 3) if m else np.zeros(3, np.int64)
    inputs = [draw(m, n_in), draw(m, n_out)]
    results = [wide(data[order[2 : m + 2]]) if m else wide(data) for data in inputs]
    return Expected([*inputs, order, 2], results, [np.zeros_like(result) for result in results])
