"""Compares numerical derivatives by every parameter of many networks with backpropagation.

    python tests/campaign/gradients.py [--count 22500] [--seed 0] [--minutes 5] [--case NUMBER]

A case is one network in float64: its widths (1 to 33, odd ones), activations and biases are random, and the cases
cycle through 1 to 4 layers and each activation × loss. The derivative by each parameter is computed from losses alone:

    D(h)   = (L(θ + h) − L(θ − h)) / 2h            error     c₂·h² + c₄·h⁴ + c₆·h⁶ + ...
    R₄(h)  = (4·D(h) − D(2h)) / 3                  error     c₄'·h⁴ + ...
    R₆(h)  = (16·R₄(h) − R₄(2h)) / 15              error     c₆'·h⁶ + ...

and must agree with `gradients` of every CPU backend within a bound: |R₆(h) − R₄(h)|, the error of the less accurate
one, plus rounding. A loss is a mean of sums of `terms` products, so the error of L is about terms·ε·(|L| + 1), and R₆
adds six of them with weights that sum to 1.7/h.
"""

import sys

import trials  # before NumPy
from trials import TrialError, choose

import numpy as np  # isort: skip

from jitnet import Dense, Network
from jitnet.backend import REGISTRY
from jitnet.kernels.activations import ACTIVATIONS
from jitnet.lab import oracle
from jitnet.losses import LOSSES

WIDTHS = (1, 2, 3, 5, 7, 9, 13, 17, 19, 33)
ON_CPU = [name for name, backend in REGISTRY.items() if not backend.is_remote]
PAIRS = [(activation, loss.name) for loss in LOSSES.values() for activation in loss.goes_with]
H = 5e-4
EPS = float(np.finfo(np.float64).eps)


def draw(number, rng):
    """A network, X, Y and a loss that is differentiable there."""
    activation, loss = PAIRS[number % len(PAIRS)]
    while True:
        widths = [int(choose(rng, WIDTHS)) for _ in range(2 + number % 4)]
        hidden = [str(choose(rng, list(ACTIVATIONS))) for _ in widths[2:]]
        layers = [
            Dense(n_in, n_out, f, bias=bool(rng.random() < 0.7))
            for n_in, n_out, f in zip(widths, widths[1:], [*hidden, activation], strict=False)
        ]
        net = Network(*layers, seed=int(rng.integers(1 << 30)), dtype="float64")
        for layer in net.layers:
            if layer.b is not None:
                layer.b = 0.5 * rng.standard_normal(layer.n_out)
        m = int(choose(rng, (1, 2, 3, 5, 7)))
        X = rng.standard_normal((m, widths[0]))
        Y = rng.dirichlet(np.ones(widths[-1]), m) if widths[-1] > 1 or activation == "softmax" else rng.random((m, 1))
        if loss == "hinge":
            Y = np.where(Y.mean() < Y, 1.0, -1.0)
        if not near_a_kink(net, X, Y, loss):
            return net, X, Y, loss


def near_a_kink(net, X, Y, loss):
    """relu has no derivative at 0, hinge none at 1, huber no second one at 1: steps must not cross these points."""
    A = X
    for layer in net.layers:
        Z = A @ layer.W + (0 if layer.b is None else layer.b)
        if layer.activation in ("relu", "leaky_relu") and np.abs(Z).min() < 20 * H:
            return True
        A = oracle.f_of(layer.activation)(Z)
    kink = {"hinge": 1 - A * Y, "huber": 1 - np.abs(A - Y)}.get(loss)
    return kink is not None and np.abs(kink).min() < 20 * H


def differentiate(function, theta, h=H):
    """R₆(h) of `function` at each place of theta, and |R₆(h) − R₄(h)|."""
    six, distance = np.empty_like(theta), np.empty_like(theta)
    for i in range(theta.size):
        before, D = theta[i], []
        for step in (h, 2 * h, 4 * h):
            theta[i] = before + step
            above = function()
            theta[i] = before - step
            D.append((above - function()) / (2 * step))
        theta[i] = before
        near, far = (4 * D[0] - D[1]) / 3, (4 * D[1] - D[2]) / 3
        six[i] = (16 * near - far) / 15
        distance[i] = abs(six[i] - near)
    return six, distance


class Gradients:
    """The trial, and the worst relative error so far."""

    def __init__(self, backends=ON_CPU):
        self.backends = backends
        self.worst, self.tightest = 0.0, 0.0

    def __call__(self, number, rng):
        net, X, Y, loss = draw(number, rng)
        terms = sum(layer.n_in for layer in net.layers) + 10 * len(net.layers)

        def value():
            return net.evaluate(X, Y, loss=loss, backend="numpy")["loss"]

        parts = [array for layer in net.layers for array in (layer.W, layer.b) if array is not None]
        numeric = [differentiate(value, part.reshape(-1)) for part in parts]
        rounding = 1.7 * terms * EPS * (abs(value()) + 1) / H
        largest = max(float(np.abs(six).max()) for six, _ in numeric)
        for name in self.backends:
            _, grads = net.gradients(X, Y, loss=loss, backend=name)
            mine = [array for grad in grads for array in (grad.dW, grad.db) if array is not None]
            for l, (array, (six, distance)) in enumerate(zip(mine, numeric, strict=True)):
                error, bound = np.abs(array.reshape(-1) - six), distance + rounding
                self.worst = max(self.worst, float(error.max()) / max(largest, 1e-3))
                self.tightest = max(self.tightest, float((error / bound).max()))
                if not (error <= bound).all():
                    i = int((error / bound).argmax())
                    raise TrialError(
                        f"{net!r}, {loss}, backend {name}, array {l} at {i}: {array.reshape(-1)[i]:.12g} by "
                        f"backpropagation, {six[i]:.12g} ± {bound[i]:.1g} by differences"
                    )
        return sum(part.size for part in parts), f"of {len(net.layers)} layers"


def main():
    given = trials.arguments(__doc__, 22_500, "parameters")
    trial = Gradients()
    status = trials.run(given, "parameters", 1e-3, trial, per_case=200)
    backends = ", ".join(trial.backends)
    print(f"worst relative error {trial.worst:.2g}, at most {trial.tightest:.0%} of a bound; float64, {backends}")
    return status


if __name__ == "__main__":
    sys.exit(main())
