"""scikit-learn's optimizers: with `alpha`, the L2 weight decay of weights but not of biases, and its momentum."""

from __future__ import annotations

import itertools
from typing import Any

from .. import checks, optimizers, parameters
from ..network import Network


class Penalty:
    """α/2 · Σ W² of each batch, divided by its samples: its gradient, and its sum over an epoch. Biases have none."""

    def __init__(self, net: Network, alpha: float, sizes: list[int], of_sample: float) -> None:
        self._layers, self._pairs, self._grad = net.layers, list[Any](), None
        self._alpha, self._sizes, self._of_sample = alpha, itertools.cycle(sizes), of_sample
        self.total = 0.0

    def __call__(self, grad: Any, theta: Any) -> None:
        if grad is not self._grad:
            named = [parameters.named(self._layers, flat) for flat in (grad, theta)]
            self._pairs = [tuple(flat[name].ravel() for flat in named) for name in named[0] if name[0] == "W"]
            self._grad = grad
        size = next(self._sizes)
        decay = self._alpha / (size * self._of_sample)
        for dW, W in self._pairs:
            self.total += 0.5 * size * decay * float(W @ W)
            dW += theta.dtype.type(decay) * W


class Penalized:
    """An optimizer whose gradient is that of the loss and of a penalty."""

    penalty: Penalty | None = None
    base: type[optimizers.Optimizer]

    @property
    def name(self) -> str:
        return self.base.__name__.lower()

    def __repr__(self) -> str:
        return object.__getattribute__(self, "base").__repr__(self).removeprefix("Penalized")

    def step(self, kernel: Any, t: int, grad: Any, state: Any, theta: Any) -> None:
        if self.penalty is not None:
            self.penalty(grad, theta)
        self.base.step(self, kernel, t, grad, state, theta)  # type: ignore[arg-type]


class PenalizedAdam(Penalized, optimizers.Adam):
    base = optimizers.Adam


class PenalizedMomentum(Penalized, optimizers.Momentum):
    """The velocity of scikit-learn has the learning rate in it, so that earlier gradients keep the rate of their step.

    jitnet's has not: if the rate changes, it is multiplied by the earlier rate divided by the new one.
    """

    base = optimizers.Momentum
    latest: list[float]
    """The learning rate of the latest step, shared by the copies of `scaled`."""

    def __post_init__(self) -> None:
        checks.store_number(self, "lr", above=0)
        checks.store_number(self, "beta", least=0, most=1)  # 1 is allowed, as in scikit-learn

    def step(self, kernel: Any, t: int, grad: Any, state: Any, theta: Any) -> None:
        if self.latest != [self.lr]:
            state[0] *= theta.dtype.type(self.latest[0] / self.lr)
            self.latest[:] = [self.lr]
        super().step(kernel, t, grad, state, theta)
