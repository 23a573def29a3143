"""The solver "lbfgs": SciPy's L-BFGS-B minimizes the loss of all samples, with the gradient of `Network.gradients`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from scipy import sparse
from scipy.optimize import OptimizeResult, minimize

from .. import parameters
from ..network import Network
from ..step import ROWS_AT_ONCE


class Objective:
    """theta -> the mean loss of all samples with its penalty, and the gradient of both, in float64.

    Formula   L(theta) = (Σ_i w[i]·losses[i] + α/2·Σ W²) / Σ_i w[i], with w[i] = 1 without sample weights
    """

    def __init__(self, net: Network, X: Any, Y: Any, weights: Any, loss: Any, alpha: float) -> None:
        self._net, self._X, self._Y, self._loss = net, X, Y, loss
        decay = np.zeros_like(net.theta)
        for name, part in parameters.named(net.layers, decay).items():
            part[...] = alpha if name[0] == "W" else 0  # biases have no penalty
        self._decay = decay.astype(np.float64)
        self._weights = np.ones(len(Y)) if weights is None else weights
        self._samples = float(self._weights.sum())
        self.latest = np.inf
        """The loss of the latest call."""

    def __call__(self, theta: Any) -> tuple[float, Any]:
        net = self._net
        net.theta[...] = theta
        theta = net.theta.astype(np.float64)  # rounded
        gradient = self._decay * theta
        total = 0.5 * float(theta @ gradient)
        for start in range(0, len(self._Y), ROWS_AT_ONCE):  # limits the memory; only these rows of a sparse X are dense
            rows = slice(start, start + ROWS_AT_ONCE)
            X, w = self._X[rows], self._weights[rows]
            if not w.any():
                continue
            X = X.toarray() if sparse.issparse(X) else X
            mean, _ = net.gradients(X, self._Y[rows], self._loss, sample_weight=w)
            total += w.sum() * mean
            gradient += w.sum() * net.grad
        self.latest = total / self._samples
        return self.latest, gradient / self._samples


def train(
    objective: Objective, net: Network, tol: float, max_iter: int, max_fun: int, report: Callable[[], None]
) -> OptimizeResult:
    """Minimize; `report` is called after each iteration.

    tol       it has converged if no part of the gradient is larger
    max_fun   calls of the objective at most
    """
    options = {"maxiter": max_iter, "maxfun": max_fun, "gtol": tol}
    start = net.theta.astype(np.float64)
    found = minimize(objective, start, method="L-BFGS-B", jac=True, callback=lambda _: report(), options=options)
    net.theta[...] = found.x
    return found
