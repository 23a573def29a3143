"""A whole training step as an operation: the backends are its rungs.

One step of SGD on n_in-n_out-10 with m samples: sigmoid, softmax and cross-entropy, so that every formula of training
takes part but delta·Wᵀ of the first layer, which no step needs. The oracle does the same in float64.
"""

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from ... import backend, losses
from ...compiler.threads import thread_count
from ...layers import Dense
from ...losses import Loss
from ...network import Network
from ...optimizers import SGD
from ...step import Step, needed
from ..oracle import UGLY, Case, Shape, sigmoid, softmax
from ..problems import Problem

CLASSES = 10
LR = 0.125
"""Exact in float32, so that the oracle takes the same step."""

RUNGS = {
    "python": "the loops, interpreted",
    "njit": "the same loops, compiled",
    "parallel": "the same, divided among the threads",
    "fast": "the best rung of each operation, with the update fused into the products",
    "fast_parallel": "the same, with threads where they are faster",
    "numpy": "NumPy, the baseline",
}


def flops(shape: Shape) -> float:
    """Of the products: forward and gradients of both layers, delta of the first."""
    m, n_in, n_out = shape
    return 2.0 * m * (2 * n_in * n_out + 3 * n_out * CLASSES)


def memory(shape: Shape, dtype: np.dtype[Any]) -> float:
    """Of the parameters, which are read and written."""
    _, n_in, n_out = shape
    return 2.0 * dtype.itemsize * ((n_in + 1) * n_out + (n_out + 1) * CLASSES)


def network(shape: Shape, dtype: str) -> tuple[Network, Loss, SGD]:
    """The network, its loss and its optimizer."""
    _, n_in, n_out = shape
    net = Network(Dense(n_in, n_out, "sigmoid"), Dense(n_out, CLASSES, "softmax"), seed=0, dtype=np.dtype(dtype))
    return net, losses.get("cross_entropy", "softmax"), SGD(LR)


def prepare(rung: str, shape: Shape, dtype: np.dtype[Any]) -> tuple[Callable[[], object], Case]:
    """A call that makes one step, and the expected parameters after the first."""
    m, n_in, n_out = shape
    net, loss, optimizer = network(shape, dtype.name)
    run = backend.get(rung.removesuffix("_parallel"))
    run.prepare(needed(net, run, m, loss, optimizer), net.dtype)
    step = Step(net, run, m, loss, optimizer, thread_count() if rung == "fast_parallel" else 1)
    rng = np.random.default_rng((m, n_in, n_out))
    step.work.X[...] = rng.standard_normal((m, n_in))
    step.work.Y[...] = np.eye(CLASSES)[rng.integers(0, CLASSES, m)]
    case = _case(net, step.work.X, step.work.Y)
    return functools.partial(step, 1, optimizer.start(net.theta)), case


def _case(net: Network, X: np.ndarray[Any, Any], Y: np.ndarray[Any, Any]) -> Case:
    """W and b of both layers after one step, and bounds on their rounding errors."""
    m, eps = len(X), np.finfo(X.dtype).eps
    parameters = [array for layer in net.layers for array in (layer.W, layer.b) if array is not None]
    W1, b1, W2, b2 = (array.astype(np.float64) for array in parameters)
    x = X.astype(np.float64)
    a1 = sigmoid(x @ W1 + b1)
    a2 = softmax(a1 @ W2 + b2)
    delta2 = (a2 - Y) / m
    delta1 = (delta2 @ W2.T) * a1 * (1 - a1)
    # the terms of a sum carry the rounding errors of the sums that they came from
    off1 = eps * (len(W1) + 8) * (np.abs(x) @ np.abs(W1) + np.abs(b1))
    off2 = eps * (len(W2) + 8) * (a1 @ np.abs(W2) + np.abs(b2)) + (off1 / 4) @ np.abs(W2)
    off_delta2 = (off2.max(axis=1, keepdims=True) * 2 * a2 + 4 * eps) / m
    off_delta1 = (
        off_delta2 @ np.abs(W2.T) / 4
        + eps * (CLASSES + 8) * (np.abs(delta2) @ np.abs(W2.T))
        + (np.abs(delta2 @ W2.T) * off1 / 4)
    )
    steps, bounds = [], []
    for inputs, off_inputs, delta, off_delta in ((x, 0 * x, delta1, off_delta1), (a1, off1 / 4, delta2, off_delta2)):
        size = np.abs(inputs).T @ np.abs(delta)
        off = np.abs(inputs).T @ off_delta + off_inputs.T @ np.abs(delta) + eps * (m + 4) * size
        steps += [inputs.T @ delta, delta.sum(axis=0)]
        bounds += [off, off_delta.sum(axis=0) + eps * (m + 4) * np.abs(delta).sum(axis=0)]
    before = [W1, b1, W2, b2]
    return Case(
        parameters,
        [array - LR * step for array, step in zip(before, steps, strict=True)],
        [LR * bound + 2 * eps * np.abs(array) for bound, array in zip(bounds, before, strict=True)],
    )


STEP = Problem(
    name="train", about="one training step", parameters=("W1", "b1", "W2", "b2"), results=("W1", "b1", "W2", "b2"),
    draw=lambda shape, dtype, seed: prepare("python", shape, dtype)[1], shapes=tuple(UGLY), timed=((512, 512, 512),),
    flops=flops, memory=memory, rungs={name: functools.partial(prepare, name) for name in RUNGS}, unit="GFLOP/s",
)  # fmt: skip
"""Its rungs are no kernels: they prepare a step."""
