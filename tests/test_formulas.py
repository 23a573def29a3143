"""Activations, losses and optimizers equal formulas in NumPy; derivatives equal finite differences of the formula."""

from typing import get_args

import numpy as np
import pytest

from jitnet import SGD, Adam, AdamW, Momentum, RMSprop, optimizers
from jitnet.kernels import LADDERS
from jitnet.kernels.activations import ACTIVATIONS, ActivationName
from jitnet.kernels.elementwise import loop_forward, named
from jitnet.losses import LOSSES, LossName
from jitnet.optimizers import OPTIMIZERS

POINTS = np.array([-7.5, -2.25, -1.1, -0.4, -0.01, 0.03, 0.6, 0.9, 1.7, 6.5])  # some have a kink at 0
STEP = 1e-6


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


OF_Z = {
    "sigmoid": sigmoid,
    "tanh": lambda z: 1 - 2 / (1 + np.exp(2 * z)),
    "relu": lambda z: np.maximum(z, 0),
    "identity": lambda z: z,
    "gelu": lambda z: z / 2 * (1 + np.tanh(np.sqrt(2 / np.pi) * (z + 0.044715 * z**3))),
    "silu": lambda z: z * sigmoid(z),
    "leaky_relu": lambda z: np.maximum(z, z / 100),
    "softplus": lambda z: np.log(1 + np.exp(z)),
}
OF_A_AND_Y = {
    "half_squared_error": lambda a, y: (a - y) ** 2 / 2,
    "mse": lambda a, y: (a - y) ** 2,
    "cross_entropy": lambda a, y: -np.log(a**y),
    "binary_cross_entropy": lambda a, y: -np.log(a**y * (1 - a) ** (1 - y)),
    "huber": lambda a, y: np.where(abs(a - y) > 1, abs(a - y) - 1 / 2, (a - y) ** 2 / 2),
    "hinge": lambda a, y: np.maximum(1 - np.where(y > 0, a, -a), 0),
}


def fading(beta, values):
    """The sum of all values so far, each times beta for each step since then."""
    return sum(beta**age * value for age, value in enumerate(reversed(values)))


def adam_step(g):
    mean, square = fading(0.8, g) * 0.2 / (1 - 0.8 ** len(g)), fading(0.9, np.square(g)) * 0.1 / (1 - 0.9 ** len(g))
    return 0.1 * mean / (np.sqrt(square) + 1e-3)


ADAM = {"lr": 0.1, "beta1": 0.8, "beta2": 0.9, "epsilon": 1e-3}
OF_GRADIENTS = [
    (SGD(0.1, 0.02), 0.02, lambda w, g: w - 0.1 * g[-1]),
    (Momentum(0.1, 0.8, weight_decay=0.02), 0.02, lambda w, g: w - 0.1 * fading(0.8, g)),
    (Momentum(0.1, 0.8, True, 0.02), 0.02, lambda w, g: w - 0.1 * (g[-1] + 0.8 * fading(0.8, g))),
    (Adam(**ADAM, weight_decay=0.02), 0.02, lambda w, g: w - adam_step(g)),
    (AdamW(**ADAM, weight_decay=0.02), 0, lambda w, g: w - 0.1 * 0.02 * w - adam_step(g)),
    (RMSprop(0.1, 0.9, 1e-3, 0.02), 0.02,
        lambda w, g: w - 0.1 * g[-1] / (np.sqrt(0.1 * fading(0.9, np.square(g))) + 1e-3)),
]  # fmt: skip
"""An optimizer, its weight decay if it is part of the gradient, and its step, from the parameter and all gradients."""


@pytest.mark.parametrize(("optimizer", "decay", "formula"), OF_GRADIENTS, ids=[o.kernel for o, *_ in OF_GRADIENTS])
@pytest.mark.parametrize("rung", ["python", "numpy"])
def test_three_steps_of_an_optimizer_equal_its_formula(optimizer, decay, formula, rung):
    w, g, theta = 0.7, [], np.array([0.7])
    memory = optimizer.start(theta)
    for t, gradient in enumerate((0.4, -0.3, 0.2), 1):
        g.append(gradient + decay * w)
        w = formula(w, g)
        optimizer.step(LADDERS[optimizer.kernel][rung], t, np.array([gradient]), memory, theta)
        assert theta == pytest.approx(w, rel=1e-12)


def test_every_optimizer_has_a_formula():
    assert {optimizer.name for optimizer, *_ in OF_GRADIENTS} == {*OPTIMIZERS}
    assert {name.lower() for name in optimizers.__all__} == {*OPTIMIZERS}


@pytest.mark.parametrize("name", [name for name in get_args(ActivationName) if name != "softmax"])
def test_activations_and_derivatives_equal_numpy_formulas(name):
    ours, formula = ACTIVATIONS[name], OF_Z[name]
    np.testing.assert_allclose(list(map(ours.f, POINTS)), formula(POINTS), rtol=1e-12, atol=1e-15)
    slope = (formula(POINTS + STEP) - formula(POINTS - STEP)) / (2 * STEP)
    given = POINTS if ours.reads_Z else formula(POINTS)
    np.testing.assert_allclose(list(map(ours.f_prime, given)), slope, rtol=1e-8, atol=1e-9)


def test_docstring_of_a_loop_names_the_first_line_of_its_function():
    def swish(z):
        """z times its sigmoid.

        The same as SiLU.
        """

    assert loop_forward(swish).__doc__.startswith("{f}. Z (m, n)")
    assert named(loop_forward(swish), "swish", swish).__doc__.startswith("z times its sigmoid. Z (m, n)")
    assert named(loop_forward(sigmoid), "sigmoid", sigmoid).__doc__.startswith("sigmoid. Z (m, n)")


@pytest.mark.parametrize("name", get_args(LossName))
def test_losses_and_derivatives_equal_numpy_formulas(name):
    """Outputs are between 0 and 1 if the loss needs that; otherwise some differ from the target by more than 1."""
    ours, formula = LOSSES[name], OF_A_AND_Y[name]
    outputs = POINTS if ours.targets == "numbers" else sigmoid(POINTS / 2)
    a, y = (part.ravel() for part in np.meshgrid(outputs, [0.0, 0.3, 1.0]))
    np.testing.assert_allclose(list(map(ours.f, a, y)), formula(a, y), rtol=1e-12, atol=1e-14)
    slope = (formula(a + STEP, y) - formula(a - STEP, y)) / (2 * STEP)
    np.testing.assert_allclose(list(map(ours.f_prime, a, y)), slope, rtol=1e-8, atol=1e-8)
