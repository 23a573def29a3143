"""Small networks, data and displays that several training tests share."""

import os
import signal
import time
from itertools import pairwise

import numpy as np
from cases import release

from jitnet import SGD, Adam, AdamW, Dense, Momentum, Network, RMSprop
from jitnet.backend import REGISTRY
from jitnet.process.progress import Progress

ON_CPU = [name for name, backend in REGISTRY.items() if not backend.is_remote]
"""The backends that work on every machine."""

IN_FLOAT64 = [release(name) if name == "parallel" else name for name in ON_CPU]
"""For tests in float64. The loops of "parallel" are those of "njit", and test_kernels.py tests them in float32."""

OPTIMIZERS = [
    SGD(0.5, weight_decay=1e-3), Momentum(0.1), Momentum(0.1, nesterov=True), Adam(0.01, weight_decay=1e-4),
    AdamW(0.01), RMSprop(0.01, weight_decay=1e-4),
]  # fmt: skip


def spiral(n=97, seed=0):
    """Three arms, two coordinates; n is prime, so the last batch is shorter."""
    rng = np.random.default_rng(seed)
    t = rng.uniform(0.2, 1, n)
    y = np.arange(n) % 3
    angle = 4 * t + 2 * np.pi / 3 * y
    return np.c_[t * np.cos(angle), t * np.sin(angle)], y


def make(dtype="float32", seed=3, widths=(2, 17, 3)):
    hidden = [Dense(n, p, "tanh") for n, p in pairwise(widths[:-1])]
    return Network(*hidden, Dense(widths[-2], widths[-1], "softmax"), seed=seed, dtype=dtype)


def overfit():
    rng = np.random.default_rng(1)
    X, y = rng.standard_normal((60, 8)), rng.integers(0, 2, 60)  # only noise to learn
    return (X[:40], y[:40]), (X[40:], y[40:])


class At(Progress):
    """Calls a function at a given epoch or batch."""

    def __init__(self, action, *, epoch=None, batch=None):
        self.action, self.at_epoch, self.at_batch = action, epoch, batch
        self.batches = 0

    def batch(self, done, total):
        self.batches += 1
        if self.batches == self.at_batch:
            self.action()

    def epoch(self, history, epochs):
        if history.epochs == self.at_epoch:
            self.action()


def press_ctrl_c():
    os.kill(os.getpid(), signal.SIGINT)
    time.sleep(0.01)  # time for the interpreter to handle the signal
