"""Backpropagation equals finite differences over every parameter, for every activation × loss."""

import numpy as np
import pytest
from cases import release, slow
from runs import ON_CPU
from test_mathematics import PAIRS

from jitnet import Dense, Network, backend, calculus
from jitnet.kernels.activations import ACTIVATIONS


def relative_error(a, b):
    return np.linalg.norm(a - b) / max(np.linalg.norm(a), np.linalg.norm(b), 1e-300)


def draw(hidden, activation, bias, seed, loss=None):
    """A network of three layers, X and Y."""
    rng = np.random.default_rng(seed)
    layers = Dense(5, 4, hidden, bias=bias), Dense(4, 6, hidden), Dense(6, 3, activation, bias=bias)
    net = Network(*layers, seed=seed, dtype="float64")
    for layer in net.layers:
        if layer.b is not None:
            layer.b = 0.5 * rng.standard_normal(layer.n_out)
    X, Y = rng.standard_normal((7, 5)), rng.dirichlet(np.ones(3), 7)
    return net, X, np.where(Y > 1 / 3, 1.0, -1.0) if loss == "hinge" else Y


def is_not_comparable(net, X, Y, loss):
    """relu has no derivative at 0, so values near 0 cannot be compared; if all are negative, all gradients are 0.

    The same is true of hinge, which is relu of 1 − a·y.
    """
    work = net.workspace(len(X))
    backend.get("fast").run(net.pass_forward(X, work))
    relus, A = [], X
    for layer, A_next in zip(net.layers, work.A, strict=True):
        relus += [A @ layer.W + (0 if layer.b is None else layer.b)] if "relu" in layer.activation else []
        A = A_next
    relus += [1 - A * Y] if loss == "hinge" else []
    return any(np.abs(Z).min() < 1e-3 or (Z > 0).mean() < 0.2 for Z in relus)


@pytest.mark.parametrize(("hidden", "activation", "loss", "bias"), [
    pytest.param(hidden, *pair, bias, marks=pytest.mark.slow if (n + k) % 2 == bias else ())  # a normal run alternates
    for n, hidden in enumerate(ACTIVATIONS) for k, pair in enumerate(PAIRS) for bias in (True, False)
])  # fmt: skip
def test_gradient_of_every_parameter_equals_finite_differences(hidden, activation, loss, bias):
    net, X, Y = next(
        (net, X, Y)
        for net, X, Y in (draw(hidden, activation, bias, seed, loss) for seed in range(100))
        if not is_not_comparable(net, X, Y, loss)
    )
    loss_now, grads = net.gradients(X, Y, loss=loss)
    assert loss_now == pytest.approx(net.evaluate(X, Y, loss=loss)["loss"], rel=1e-14)

    def loss_at(_):
        return net.evaluate(X, Y, loss=loss)["loss"]

    for layer, grad in zip(net.layers, grads, strict=True):
        assert relative_error(calculus.numerical_gradient(loss_at, layer.W), grad.dW) <= 1e-7
        if layer.b is not None:
            assert relative_error(calculus.numerical_gradient(loss_at, layer.b), grad.db) <= 1e-7
            assert np.abs(grad.db).max() > 0
        assert np.abs(grad.dW).max() > 0


@pytest.mark.parametrize(
    ("backend", "dtype"),
    [
        (release if (name, dtype) == ("parallel", "float64") else slow)(name, dtype)
        if name == "parallel" or dtype == "float32" else (name, dtype)
        for name in ON_CPU for dtype in ("float32", "float64")
    ],
)  # fmt: skip
def test_every_backend_gives_the_same_gradients(backend, dtype):
    rng = np.random.default_rng(0)
    for last, loss in PAIRS:
        widths = [13, 17, 5, 3]
        layers = [Dense(n, p, f) for n, p, f in zip(widths, widths[1:], ["tanh", "sigmoid", last], strict=False)]
        net = Network(*layers, seed=1, dtype=dtype)
        reference = Network(*layers, seed=1, dtype="float64")
        reference.theta[...] = 0
        for mine, exact in zip(net.layers, reference.layers, strict=True):
            exact.W = mine.W
        X, Y = rng.standard_normal((11, 13)).astype("float32"), rng.dirichlet(np.ones(3), 11).astype("float32")
        Y /= Y.sum(axis=1, keepdims=True)
        if loss == "hinge":  # constant for a softmax, whose outputs add up to 1, if all targets are above 0
            Y = np.eye(3, dtype="float32")[Y.argmax(axis=1)]
        loss_here, here = net.gradients(X, Y, loss=loss, backend=backend)
        loss_exact, exact_grads = reference.gradients(X, Y, loss=loss, backend="numpy")
        eps = float(np.finfo(dtype).eps)
        assert loss_here == pytest.approx(loss_exact, rel=50 * eps)
        for mine, exact in zip(here, exact_grads, strict=True):
            for a, e in zip(mine, exact, strict=True):
                assert np.abs(a - e).max() <= 100 * eps * np.abs(e).max()


def test_gradients_are_copies():
    net = Network(Dense(3, 2), seed=0)
    _, first = net.gradients(np.ones((4, 3)), np.ones((4, 2)))
    kept = first[0].dW.copy()
    net.gradients(-np.ones((4, 3)), np.zeros((4, 2)))
    np.testing.assert_array_equal(first[0].dW, kept)
