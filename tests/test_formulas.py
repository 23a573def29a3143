"""Activations and losses equal formulas in NumPy, and each derivative equals finite differences of its formula."""

from typing import get_args

import numpy as np
import pytest

from jitnet.kernels.activations import ACTIVATIONS, ActivationName
from jitnet.kernels.elementwise import loop_forward, named
from jitnet.losses import LOSSES, LossName

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
